"""What staff read in an e-mail or in Slack (pure). Spanish; no text, name or number of a patient."""

from __future__ import annotations

import datetime as dt
import re
from zoneinfo import ZoneInfo

from shared.alerts.kinds import MINUTE_MS, kind_of, title_of
from shared.state.incidents import Incident

_LONG_NUMBER = re.compile(r"\d{6,}")
_LEVELS = {"emergencia": "EMERGENCIA", "mismo_dia": "Atender hoy mismo"}
_PREFIX = "Asistente de WhatsApp"


def masked(text: str) -> str:
    """One line of at most 300 characters in which long numbers cannot be read."""
    return _LONG_NUMBER.sub("***", " ".join(text.split()))[:300]


def clock(ms: int, zone: ZoneInfo) -> str:
    """The clinic's date and hour of an instant."""
    return f"{dt.datetime.fromtimestamp(ms / 1000, zone):%d/%m/%Y %H:%M}"


def lasted(ms: int) -> str:
    """A length of time in words: `menos de un minuto`, `25 min`, `3 h 5 min`."""
    minutes = max(0, ms) // MINUTE_MS
    if minutes < 1:
        return "menos de un minuto"
    hours, minutes = divmod(minutes, 60)
    return " ".join(([f"{hours} h"] if hours else []) + ([f"{minutes} min"] if minutes else []))


def opened(kind: str, detail: str, at_ms: int, zone: ZoneInfo) -> tuple[str, str]:
    """Subject and text when an incident opens."""
    lines = (
        f"Incidente abierto: {title_of(kind)}",
        f"Tipo: {kind}",
        f"Detalle: {detail or 'sin detalle'}",
        f"Hora: {clock(at_ms, zone)}",
        f"Qué hacer: {kind_of(kind).advice}",
    )
    return f"{_PREFIX}: incidente abierto: {title_of(kind)}", "\n".join(lines)


def still_open(incident: Incident, now_ms: int, zone: ZoneInfo) -> tuple[str, str]:
    """Subject and text when an incident is told again."""
    more = incident.count - incident.told_count
    lines = (
        f"Incidente que sigue abierto: {title_of(incident.kind)}",
        f"Tipo: {incident.kind}",
        f"Detalle: {incident.detail or 'sin detalle'}",
        f"Abierto desde: {clock(incident.opened_ms, zone)} (hace {lasted(now_ms - incident.opened_ms)})",
        f"Desde el aviso anterior se vio {_times(more)} más."
        if more
        else "No se vio de nuevo desde el aviso anterior.",
        f"Qué hacer: {kind_of(incident.kind).advice}",
    )
    return f"{_PREFIX}: sigue abierto: {title_of(incident.kind)}", "\n".join(lines)


def closed(incident: Incident, now_ms: int, zone: ZoneInfo) -> tuple[str, str]:
    """Subject and text when an incident ends."""
    ended_ms = incident.works_ms or incident.last_ms
    lines = (
        f"Incidente cerrado: {title_of(incident.kind)}",
        f"Tipo: {incident.kind}",
        f"Abierto: {clock(incident.opened_ms, zone)}",
        f"Duró: {lasted(ended_ms - incident.opened_ms)}",
        f"Se vio: {_times(incident.count)}",
        f"Cerrado: {clock(now_ms, zone)}",
    )
    return f"{_PREFIX}: incidente cerrado: {title_of(incident.kind)}", "\n".join(lines)


def _times(count: int) -> str:
    return "1 vez" if count == 1 else f"{count} veces"


def urgency(level: str) -> str:
    """The level of a danger sign as staff read it."""
    return _LEVELS.get(level, level)


def category_words(category: str) -> str:
    """The category of a danger sign as staff read it."""
    return category.replace("_", " ")


def danger(
    category: str, level: str, at: str, patient: str, link: str | None, waited_ms: int | None = None
) -> tuple[str, str]:
    """Subject and text of a danger alert.

    Args:
        category, level: of `shared.prediction.Danger`.
        at: the clinic's date and hour of the message.
        patient: the opaque id.
        link: where to acknowledge; None when it is done on the operators' page.
        waited_ms: how long nobody has acknowledged; None for the first alert.
    """
    subject = f"{urgency(level)}: señal de peligro de un paciente"
    waiting = [] if waited_ms is None else [f"Nadie ha confirmado este aviso desde hace {lasted(waited_ms)}."]
    how = f"Confirme aquí que se ocupa: {link}" if link else "Confirme que se ocupa en la página de operadores (/ops)."
    lines = (
        *waiting,
        f"Señal de peligro: {category_words(category)}",
        f"Urgencia: {urgency(level)}",
        f"Hora del mensaje: {at}",
        f"Paciente: {patient}",
        "Revise la conversación y llame al paciente. Este aviso no contiene su mensaje ni su número.",
        how,
    )
    return (f"SIN CONFIRMAR: {subject}" if waiting else subject), "\n".join(lines)
