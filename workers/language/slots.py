"""The data a patient states in one message: date, time, reference, reason, name. Called by the rules and the dialogue.

Pure. Nothing is guessed: what was not said stays null. The model's own spans are checked against this reading.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.prediction import Intent, Reason, Slots
from workers.language.dates import When, resolve
from workers.language.names import bare_name, stated_name
from workers.language.normalise import normalise
from workers.language.reasons import reason_of
from workers.language.spelling import correct

_REF = re.compile(
    r"(?<!\S)(?:c(?: \.)? ?c|codigo|cod|ref|referencia|comprobante)(?: \.)?(?: (?:es|de|mi|la|el|"
    r"cita|ficha|nro|numero|num|no|n|,|-|cc))* (\d{1,4})(?!\S)"
)
_BARE_REF = re.compile(r"(?:(?:la|el|es|numero|nro) )*(\d{3,4})(?: [.,]| por favor)*")

MAX_READ = 2000  # characters searched for a reference and a reason
_DATED = {
    Intent.AGENDAR_CITA,
    Intent.CANCELAR_CITA,
    Intent.REPROGRAMAR_CITA,
    Intent.CONFIRMAR_ASISTENCIA,
    Intent.CONSULTAR_CITA,
    Intent.INFORMAR_DATO,
}
_OLD_DATED = {Intent.REPROGRAMAR_CITA}
_REFERRED = _DATED - {Intent.AGENDAR_CITA}


@dataclass(frozen=True)
class Extraction:
    """Slots with the patient's own words for each (`spans`: date, time, old_date, old_time)."""

    slots: Slots
    when: When
    spans: dict[str, str] = field(default_factory=dict)


def extract(text: str, now: dt.datetime, *, expects: str | None = None, moving: bool = False) -> Slots:
    """Return the slots stated in a message. See `read` for the arguments."""
    return read(text, now, expects=expects, moving=moving).slots


def read(text: str, now: dt.datetime, *, expects: str | None = None, moving: bool = False) -> Extraction:
    """Return the slots stated in a message together with the patient's words for dates and times.

    Args:
        text: the message as written.
        now: when it was written, timezone-aware, in the clinic's zone.
        expects: the datum just asked for (`shared.conversation.Expects`), None outside a flow.
        moving: known to ask for a visit to be moved, in whatever words.
    """
    normal = normalise(text[:MAX_READ])
    when = resolve(text, now, expects=expects, moving=moving)
    ref = _reference(normal, expects)
    slots = Slots(
        date=when.date,
        time=when.time,
        time_window=when.window,
        old_date=when.old_date,
        old_time=when.old_time,
        appointment_ref=ref,
        reason=reason_of(correct(normal)),
        name=_name(text, expects),
    )
    spans = {
        name: span
        for name, span in (
            ("date", when.date_span),
            ("time", when.time_span),
            ("old_date", when.old_date_span),
            ("old_time", when.old_time_span),
        )
        if span
    }
    return Extraction(slots, when, spans)


def keep_for(slots: Slots, intents: Iterable[Intent]) -> Slots:
    """Drop the slots that none of these intents fills (specification section 3): a date in a question about TB."""
    wanted = set(intents)
    dated = bool(wanted & _DATED)
    moving = bool(wanted & _OLD_DATED)
    reason = slots.reason if wanted & (_DATED - {Intent.INFORMAR_DATO}) else None
    if reason is Reason.OTRO and Intent.AGENDAR_CITA not in wanted:
        reason = None
    return Slots(
        date=slots.date if dated else None,
        time=slots.time if dated else None,
        time_window=slots.time_window if dated else None,
        old_date=slots.old_date if moving else None,
        old_time=slots.old_time if moving else None,
        appointment_ref=slots.appointment_ref if wanted & _REFERRED else None,
        reason=reason,
        name=slots.name if dated else None,
    )


def _reference(normal: str, expects: str | None) -> str | None:
    match = _REF.search(normal) or (_BARE_REF.fullmatch(normal) if expects == "cual" else None)
    return f"CC-{int(match.group(1)):04d}" if match else None


def _name(text: str, expects: str | None) -> str | None:
    name = stated_name(text)
    if name is None:
        name = bare_name(text, asked=expects == "nombre")
    return name
