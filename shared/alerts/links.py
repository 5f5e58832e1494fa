"""The signed link in a danger alert: which alarm, and to whom the alert went.

Made by `shared.alerts.alerts`, read by `webhook.acknowledge`. It says nothing about the patient, and it ends with the
alarm's record (8 days).
"""

from __future__ import annotations

from itsdangerous import BadData, URLSafeSerializer

from shared.settings import Settings

_SALT = "danger-acknowledgement"
PATH = "/avisos"


def token(settings: Settings, alarm_id: str, contact: str) -> str:
    """Sign an alarm and the contact who gets the link."""
    return str(_serializer(settings).dumps([alarm_id, contact]))


def link(settings: Settings, alarm_id: str, contact: str) -> str | None:
    """The whole address for one contact; None without PUBLIC_URL."""
    if not settings.PUBLIC_URL or not alarm_id:
        return None
    return f"{settings.PUBLIC_URL}{PATH}/{token(settings, alarm_id, contact)}"


def read(settings: Settings, text: str) -> tuple[str, str] | None:
    """Alarm id and contact of a token; None when we did not sign it."""
    try:
        found = _serializer(settings).loads(text)
    except BadData:
        return None
    if isinstance(found, list) and len(found) == 2 and all(isinstance(part, str) for part in found):
        return found[0], found[1]
    return None


def _serializer(settings: Settings) -> URLSafeSerializer:
    return URLSafeSerializer(settings.patient_id_key, salt=_SALT)
