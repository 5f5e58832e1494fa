"""How a turn is read while a flow is open: what it is beside its intent, and whether it stays with the flow. Pure.

`flowing` decides what follows; nothing is said here.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

from shared.conversation import Conversation, Expects, Flow, FlowKind, Role
from shared.prediction import INFORMATION_INTENTS, Intent
from workers.dialogue.asking import upcoming
from workers.dialogue.consent import agrees, is_undecided
from workers.dialogue.decision import TurnInput
from workers.dialogue.words import (
    is_coming,
    names_a_visit,
    names_next_week,
    names_weekday,
    opens_with_no,
    shifts,
    speaks_of_cancelling,
    wants_another,
)
from workers.language.slots import extract
from workers.language.yes_no import answer_of

KINDS = {
    Intent.AGENDAR_CITA: FlowKind.AGENDAR,
    Intent.REPROGRAMAR_CITA: FlowKind.REPROGRAMAR,
    Intent.CANCELAR_CITA: FlowKind.CANCELAR,
    Intent.CONFIRMAR_ASISTENCIA: FlowKind.CONFIRMAR,
}
NEW_TIME = frozenset({FlowKind.AGENDAR, FlowKind.REPROGRAMAR})
_BARE_NUMBER = re.compile(r"\d{1,2}")


def with_plain_answer(turn: TurnInput) -> TurnInput:
    """A bare yes or no in whole words is that, whatever the model made of it."""
    answer, said = answer_of(turn.text), turn.prediction
    if answer is None or said.intent is Intent.CONFIRMAR_ASISTENCIA:
        return turn
    intent = Intent.AFIRMAR if answer else Intent.NEGAR
    return replace(turn, prediction=said.model_copy(update={"intent": intent, "confidence": 1.0}))


def datum_first(turn: TurnInput) -> TurnInput:
    """ "El jueves, ¿y atienden hasta las 6?": the datum goes on with the flow, the question is answered beside it."""
    said = turn.prediction
    if said.intent not in INFORMATION_INTENTS or Intent.INFORMAR_DATO not in said.secondary or not has_datum(turn):
        return turn
    update = {"intent": Intent.INFORMAR_DATO, "secondary": (said.intent,)}
    return replace(turn, prediction=said.model_copy(update=update))


def hour_alone(flow: Flow, turn: TurnInput) -> TurnInput:
    """ "4" to a summary ("a las 3 o 4 pm") is an hour."""
    if (
        flow.kind not in NEW_TIME
        or flow.expects is not Expects.CONFIRMAR
        or not _BARE_NUMBER.fullmatch(turn.text.strip())
    ):
        return turn
    time = extract(turn.text, turn.now, expects=Expects.HORA).time
    if time is None or has_datum(turn):
        return turn
    slots = turn.prediction.slots.model_copy(update={"time": time})
    update = {"intent": Intent.INFORMAR_DATO, "slots": slots}
    return replace(turn, prediction=turn.prediction.model_copy(update=update))


def in_that_week(turn: TurnInput, conversation: Conversation) -> TurnInput:
    """ "La otra semana", and now "el martes": the Tuesday of that week, not the nearest one."""
    said = turn.prediction.slots
    before = next((t.text for t in reversed(conversation.turns) if t.role is Role.PATIENT), "")
    if said.date is None or not names_next_week(before) or not names_weekday(turn.text):
        return turn
    monday = turn.now.date() + dt.timedelta(days=7 - turn.now.weekday())
    if said.date >= monday:
        return turn
    slots = said.model_copy(update={"date": said.date + dt.timedelta(days=7)})
    return replace(turn, prediction=turn.prediction.model_copy(update={"slots": slots}))


def has_datum(turn: TurnInput) -> bool:
    said = turn.prediction.slots
    return bool(said.date or said.time or said.time_window or said.appointment_ref)


def hesitates(flow: Flow, turn: TurnInput) -> bool:
    """ "No sé si voy a poder" to a summary: nothing is agreed, and nothing is given up."""
    about_it = turn.prediction.intent not in INFORMATION_INTENTS | {Intent.REPROGRAMAR_CITA, Intent.HABLAR_HUMANO}
    return flow.expects is Expects.CONFIRMAR and about_it and not has_datum(turn) and is_undecided(turn.text)


def goes_on(flow: Flow, turn: TurnInput) -> bool:
    """Is another appointment intent really a correction of this flow ("mejor cámbiela al jueves" before the yes)?"""
    intent, text = turn.prediction.intent, turn.text
    said = turn.prediction.slots
    if intent is Intent.CONFIRMAR_ASISTENCIA:
        if flow.kind is FlowKind.CANCELAR:
            return not is_coming(text)
        about_mine = names_a_visit(text) and has_datum(turn)
        return flow.kind in NEW_TIME and flow.expects is Expects.CONFIRMAR and not about_mine
    moves_this = intent is Intent.REPROGRAMAR_CITA and flow.kind is FlowKind.AGENDAR and not names_a_visit(text)
    if moves_this and turn.appointments is not None and not upcoming(turn):
        return True  # there is nothing to move but what is being booked
    about_another = said.appointment_ref or said.old_date or said.old_time or wants_another(text)
    if not (said.date or said.time or said.time_window) or about_another:
        return False
    if intent is Intent.CANCELAR_CITA:
        return flow.kind in NEW_TIME and not speaks_of_cancelling(text)
    if intent is Intent.REPROGRAMAR_CITA:
        return flow.kind is FlowKind.AGENDAR and not names_a_visit(text)
    return intent is Intent.AGENDAR_CITA and flow.kind is FlowKind.REPROGRAMAR


def same_visit(flow: Flow, turn: TurnInput) -> bool:
    said, start = turn.prediction.slots, flow.appointment_start
    if start is None:
        return False
    return said.date in (None, start.date()) and said.time in (None, f"{start:%H:%M}") and not said.time_window


def is_yes(turn: TurnInput, flow: Flow) -> bool:
    """A yes in whole words. A guess of the model is no yes, nor is a sentence that begins with no.

    Only attendance, which is confirmed without asking, may be agreed to in other words ("ahí estaré").
    """
    if opens_with_no(turn.text) or turn.prediction.intent is Intent.NEGAR:
        return False
    attends = flow.kind is FlowKind.CONFIRMAR and turn.prediction.intent is Intent.CONFIRMAR_ASISTENCIA
    return attends or agrees(turn.text, flow.kind)


def sounds_like_yes(turn: TurnInput, flow: Flow) -> bool:
    """ "Ahí estaré", "si Dios quiere": likely a yes, but not one to write upon."""
    if flow.expects is not Expects.CONFIRMAR or opens_with_no(turn.text):
        return False
    return turn.prediction.intent in (Intent.AFIRMAR, Intent.CONFIRMAR_ASISTENCIA)


def asks_to_shift(flow: Flow, turn: TurnInput) -> bool:
    """ "Más tarde", "más temprano", without an hour: other free slots of the day that is being talked about."""
    said = turn.prediction.slots
    named = flow.slots.date and (flow.slots.time or flow.offered or flow.appointment_start)
    if said.date or said.time or not named:
        return False
    return shifts(turn.text)
