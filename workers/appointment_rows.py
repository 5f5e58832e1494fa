"""JSON of the appointments backend -> our records (pure). Called by `workers.appointments`.

Only the named fields are looked at: the rest of a row may hold things that are none of our business. A row that lacks a
field we need is None, never an exception: one odd row must not hide a patient's other visits.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import Any

from shared.conversation import Appointment, PatientRecord

_SLOT_REASONS = frozenset({"slot_taken", "closed", "past"})


def read_instant(value: object, zone: dt.tzinfo) -> dt.datetime | None:
    """An ISO 8601 time, in the clinic's zone; None for anything else, and without offset: it would be a guess."""
    if not isinstance(value, str):
        return None
    try:
        at = dt.datetime.fromisoformat(value)
        return at.astimezone(zone) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


def read_appointment(row: object, zone: dt.tzinfo, **defaults: str) -> Appointment | None:
    """One visit; `defaults` (phone, name, reason) stand in for what an answer to a write does not repeat."""
    if not isinstance(row, dict):
        return None
    appointment_id = id_of(row)
    start = read_instant(row.get("datetime"), zone)
    if not appointment_id or start is None:
        return None
    words = {key: _word(row, key) or defaults.get(key, "") for key in ("phone", "name", "reason")}
    return Appointment(id=appointment_id, ref=_word(row, "ref"), start=start, status=_word(row, "status"), **words)


def id_of(row: object) -> str:
    """The appointment id as text (numbers are accepted); "" when there is none."""
    value = row.get("appointment_id") if isinstance(row, dict) else None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def status_of(row: object) -> str:
    return _word(row, "status") if isinstance(row, dict) else ""


def read_patient(row: dict[str, Any]) -> PatientRecord:
    """What is known of a patient; a last visit that cannot be read counts as unknown."""
    last_visit = None
    with contextlib.suppress(ValueError):
        last_visit = dt.date.fromisoformat(_word(row, "last_visit")[:10])
    return PatientRecord(
        registered=row.get("registered", True) is True,
        name=_word(row, "name") or None,
        last_visit=last_visit,
        consented=_has_consent(row),
    )


def _has_consent(row: dict[str, Any]) -> bool:
    """Consent counts only with its date: without one nobody could show it."""
    consent = row.get("whatsapp_consent")
    return isinstance(consent, dict) and bool(_word(consent, "date"))


def read_clock(value: object) -> dt.time | None:
    """`HH:MM`."""
    try:
        clock = dt.time.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return clock if clock and clock.tzinfo is None else None


def read_refused_slot(body: object, zone: dt.tzinfo) -> tuple[str, tuple[dt.datetime, ...]]:
    """Why a time was not given, and the times offered instead."""
    fields = body if isinstance(body, dict) else {}
    reason = fields.get("error")
    offered = fields.get("alternatives")
    times = (read_instant(value, zone) for value in (offered if isinstance(offered, list) else []))
    return reason if reason in _SLOT_REASONS else "slot_taken", tuple(time for time in times if time)


def _word(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
