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

_REF = re.compile(
    r"(?<!\S)(?:c(?: \.)? ?c|codigo|cod|ref|referencia|comprobante)(?: \.)?(?: (?:es|de|mi|la|el|"
    r"cita|ficha|nro|numero|num|no|n|,|-|cc))* (\d{1,4})(?!\S)"
)
_BARE_REF = re.compile(r"(?:(?:la|el|es|numero|nro) )*(\d{3,4})(?: [.,]| por favor)*")

_PILLS = r"(?:pastill\w*|medic(?:ament|in)\w*|remedi\w*|tratamiento|tabletas?|capsulas?)"
_FAMILY = (
    r"(?:hij\w*|famili\w*|wawas?|espos\w*|marido|mujer|herman\w*|nin[oa]s?|padres|papas|"
    r"contactos?|abuel\w*|guaguas?)"
)
_FETCH = (
    r"(?:recog\w*|recoj\w*|retir\w*|sac\w*|llevar\w*|busc\w*|traer\w*|entreg\w*|me den|dar\w*|"
    r"reponer|renovar|pedir|por|para)"
)
_SYMPTOM = (
    r"(?:tos|tose|toser|tosiendo|fiebres?|calenturas?|flema|dolor\w*|duele\w*|sud(?:a|o|or\w*)|"
    r"flac[oa]|peso|cansancio|debil\w*|malestar|gripe|"
    r"ganglios?|pulmon\w*|pecho|espalda)"
)
# In this order: the first that is stated is the reason.
_REASONS: tuple[tuple[Reason, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        (
            Reason.PRIMERA_CONSULTA,
            (
                r"\bprimera (?:consulta|vez|cita|visita|ficha|atencion)\b|\bnunca (?:fui|he ido|me "
                r"atend\w+)\b|\b(?:soy|paciente) nuev[oa]\b"
            ),
        ),
        (
            Reason.RESULTADOS,
            (
                r"\bresultad\w*\b|\b(?:ver|explic\w+|recog\w+|entreg\w+|leer\w*|interpret\w+|salieron) (?:\w+ "
                r"){0,2}(?:analisis|examen\w*|estudios)\b"
            ),
        ),
        (Reason.RADIOGRAFIA, r"\b(?:radiografia\w*|placas?|rayos x|rayos por|rx|rayos equis|torax)\b"),
        (
            Reason.LABORATORIO,
            r"\b(?:muestra\w*|frasc\w*|laboratorio|baciloscopia\w*|genexpert|gene expert|esputo|cultivo|"
            r"tuberculina|ppd|hemograma)\b"
            r"|\b(?:dejar|llevar|entregar|traer) (?:\w+ ){0,2}flema\b|\b(?:prueba|examen|analisis|test) "
            r"de (?:\w+ )?(?:flema|sangre|tuberculosis|tb|esputo|orina)\b"
            r"|\b(?:hacerme|hacer|sacarme|sacar) (?:\w+ ){0,2}(?:analisis|examen\w*|prueba\w*)\b",
        ),
        (
            Reason.EFECTOS,
            (
                rf"\b(?:(?<!sin )efectos?|reaccion\w*|alergia)\b|\b{_PILLS} (?:\w+ )?(?:me|le) (?:estan? |"
                rf"hacen? |caen? |dan? )\w+|\b(?:mal|nausea\w*|ronch\w*|picazon|comezon|molest\w*) (?:\w+ "
                rf"){{0,3}}{_PILLS}"
            ),
        ),
        (
            Reason.MEDICAMENTOS,
            (
                rf"\b{_FETCH} (?:(?!control)\w+ ){{0,3}}{_PILLS}|\bacab\w+ (?:\w+ ){{0,2}}{_PILLS}|"
                rf"\b{_PILLS} se me acab\w+"
            ),
        ),
        (
            Reason.CONTACTOS,
            rf"\bcontactos?\b|\b{_FAMILY}(?: \w+){{0,5}} (?:revis\w+|cheque\w*|control\w*|evalu\w+|"
            rf"examin\w+|descart\w+)|"
            rf"\b(?:revis\w+|cheque\w*|evalu\w+|examin\w+) (?:\w+ ){{0,3}}{_FAMILY}",
        ),
        (Reason.CONTROL, r"\b(?:control(?:es)?|controlcito|controlarme|seguimiento|chequeo|revision)\b"),
        (Reason.OTRO, rf"\b{_SYMPTOM}\b"),
    )
)

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


def extract(text: str, now: dt.datetime, *, expects: str | None = None) -> Slots:
    """Return the slots stated in a message. See `read` for the arguments."""
    return read(text, now, expects=expects).slots


def read(text: str, now: dt.datetime, *, expects: str | None = None) -> Extraction:
    """Return the slots stated in a message together with the patient's words for dates and times.

    Args:
        text: the message as written.
        now: when it was written, timezone-aware, in the clinic's zone.
        expects: the datum just asked for (`shared.conversation.Expects`), None outside a flow.
    """
    normal = normalise(text[:MAX_READ])
    when = resolve(text, now, expects=expects)
    ref = _reference(normal, expects)
    slots = Slots(
        date=when.date,
        time=when.time,
        time_window=when.window,
        old_date=when.old_date,
        old_time=when.old_time,
        appointment_ref=ref,
        reason=reason_of(normal),
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


def reason_of(normal: str) -> Reason | None:
    """Return why the patient wants to come, from a normalised text. "Ficha" or "cita" alone is no reason."""
    return next((reason for reason, pattern in _REASONS if pattern.search(normal)), None)


def _reference(normal: str, expects: str | None) -> str | None:
    match = _REF.search(normal) or (_BARE_REF.fullmatch(normal) if expects == "cual" else None)
    return f"CC-{int(match.group(1)):04d}" if match else None


def _name(text: str, expects: str | None) -> str | None:
    name = stated_name(text)
    if name is None:
        name = bare_name(text, asked=expects == "nombre")
    return name
