"""What a patient wants done with a visit: book, move, cancel, confirm, or ask when it is. Called by `intents`.

Pure. These five are told apart by verbs and by what stands beside them ("no voy a poder ir, ¿otro día?" moves, "no voy
a poder ir" cancels), which a list of cues cannot express. The wording is in `shared/assets/visits.yaml`.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.prediction import Intent, Slots
from workers.language.cues import load_patterns
from workers.language.mentions import CHANGE

_FILE = "visits.yaml"
# A refusal without date or the word *cita* is believed only in a short message.
_SHORT_REFUSAL_WORDS = 16
_BARE_REQUEST_WORDS = 5


@dataclass(frozen=True)
class _Said:
    """Which cues a message holds, and what its slots add."""

    text: str
    cues: frozenset[str]
    appointment: bool  # names a visit or its reference
    dated: bool
    moved_from: bool  # names the day or hour to be left
    reason: bool

    def any(self, *names: str) -> bool:
        return not self.cues.isdisjoint(names)


def visit_intents(text: str, slots: Slots, asks: bool) -> dict[Intent, float]:
    """Return the appointment intents of a corrected text with the strength (0 to 1) of each.

    Args:
        text: normalised, key words corrected.
        slots: what was extracted of the message; dates tell moving from cancelling.
        asks: the message has a question mark.
    """
    said = _read(text, slots)
    if said.any("available") and not said.any("for_visit"):
        return {Intent.AGENDAR_CITA: 0.85}
    found: dict[Intent, float] = {}
    if _moves(said):
        found[Intent.REPROGRAMAR_CITA] = 0.92 if said.appointment or said.dated else 0.8
    if said.any("cancel"):
        found[Intent.CANCELAR_CITA] = 0.93 if said.appointment or said.dated else 0.8
    elif _refuses_to_come(said):
        found[Intent.CANCELAR_CITA] = 0.88 if said.appointment or said.dated else 0.75
    if said.any("whether"):
        return {Intent.CONSULTAR_CITA: 0.85}
    if _asks_when(said):
        found[Intent.CONSULTAR_CITA] = 0.88 if said.appointment else 0.75
    elif _books(said):
        found[Intent.AGENDAR_CITA] = 0.9 if said.appointment or said.dated else 0.7
    elif not found and _names_only_a_visit(said):
        found[Intent.AGENDAR_CITA] = 0.75
    if said.any("confirm_question"):
        found.setdefault(Intent.CONSULTAR_CITA, 0.85)
    elif not asks and _confirms(said):
        found[Intent.CONFIRMAR_ASISTENCIA] = 0.9 if said.appointment or said.dated or "confirm" in text else 0.8
        if not said.any("besides"):
            found.pop(Intent.AGENDAR_CITA, None)
        found.pop(Intent.CONSULTAR_CITA, None)
    return found


def _read(text: str, slots: Slots) -> _Said:
    cues = {name for name, pattern in load_patterns(_FILE).items() if pattern.search(text)}
    if CHANGE.search(text):
        cues.add("change")
    moved_from = bool(slots.old_date or slots.old_time)
    dated = bool(slots.date or slots.time or slots.time_window) or moved_from
    appointment = "appointment" in cues or slots.appointment_ref is not None
    return _Said(text, frozenset(cues), appointment, dated, moved_from, slots.reason is not None)


def _moves(said: _Said) -> bool:
    if said.any("cancel") and said.dated and said.any("book_anew"):
        return True  # "anule la del lunes y deme una el jueves"
    if not said.appointment and said.any("takes_pills"):
        return False  # "las tomo a las 12 en vez de las 8"
    if said.moved_from or said.any("be_moved"):
        return True
    if said.any("change") and (said.appointment or said.dated or said.any("other_day", "change_of_time")):
        return not said.any("change_of_something_else")
    return said.any("cannot_come") and (said.any("other_day") or _names_new_day_after_refusal(said))


def _names_new_day_after_refusal(said: _Said) -> bool:
    """Recognise "hoy no puedo, mañana sí" and "no llego, deme para el jueves"."""
    patterns = load_patterns(_FILE)
    refusal = patterns["cannot_come"].search(said.text)
    after = said.text[refusal.end() :] if refusal else said.text
    return said.dated and patterns["new_day"].search(after) is not None


def _refuses_to_come(said: _Said) -> bool:
    if not said.any("cannot_come") or said.any("go_to_take"):
        return False
    if said.any("takes_pills") and not said.dated and not said.appointment:
        return False
    return said.appointment or said.dated or len(said.text.split()) <= _SHORT_REFUSAL_WORDS


def _asks_when(said: _Said) -> bool:
    if not said.any("when") or said.any("see_if_possible") or _is_general_question(said):
        return False
    return not (said.any("book") and said.dated and not said.any("for_visit"))


def _books(said: _Said) -> bool:
    if not said.any("book") or said.any("opening_hours") or _is_general_question(said):
        return False
    # "¿hay que pagar la ficha?", "¿a qué hora puedo ir?" ask about the centre.
    return said.dated or not said.any("price", "hours_question")


def _names_only_a_visit(said: _Said) -> bool:
    """Recognise "cita para mañana" and "control", where no verb asks."""
    if not said.any("bare_visit") or _is_general_question(said):
        return False
    return said.dated or said.reason or len(said.text.split()) <= _BARE_REQUEST_WORDS


def _confirms(said: _Said) -> bool:
    return said.any("confirm") and not said.any("testing", "not_confirm", "cannot_come", "takes_pills")


def _is_general_question(said: _Said) -> bool:
    """Tell "quiero hacer una consulta" (a question) from "quiero una consulta" (a visit)."""
    return said.any("info_consult") and not said.dated
