"""A turn while a flow is open: does it answer, correct, refuse, leave or replace what was asked?

Returns None for what is not about the flow (a question, a greeting): `decide` answers it and asks again.
"""

from __future__ import annotations

from shared.conversation import Conversation, Expects, Flow, FlowKind
from shared.prediction import Intent
from workers.dialogue.asking import ask, join, question, upcoming
from workers.dialogue.booking import (
    accept,
    advance,
    begin_booking,
    drop,
    fill,
    other_day,
    other_time,
    refuse,
    with_start,
)
from workers.dialogue.buttons import Choice, Scope
from workers.dialogue.changing import answer_which, begin_change, other_visit, settle
from workers.dialogue.decision import Decision, Known, TurnInput
from workers.dialogue.information import side_answer
from workers.dialogue.reading import (
    KINDS,
    NEW_TIME,
    asks_to_shift,
    datum_first,
    goes_on,
    has_datum,
    hesitates,
    hour_alone,
    in_that_week,
    is_yes,
    same_visit,
    sounds_like_yes,
    with_plain_answer,
)
from workers.dialogue.social import SURE, not_sure
from workers.dialogue.words import (
    asks_other_day,
    asks_other_time,
    cannot,
    drops,
    name_in,
    names_a_visit,
    names_next_week,
    opens_with_no,
    shifts,
    wants_any_slot,
)

_SPEAKS_OF_A_DATUM = frozenset({Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR, Intent.CONFIRMAR_ASISTENCIA})


def in_flow(
    flow: Flow, turn: TurnInput, conversation: Conversation, known: Known, choice: Choice | None
) -> Decision | None:
    """Decide a turn of an open flow; None when the turn is about something else."""
    if choice is not None:
        return _tapped(flow, turn, conversation, known, choice)
    turn = hour_alone(flow, in_that_week(datum_first(with_plain_answer(turn)), conversation))
    said = turn.prediction
    if hesitates(flow, turn):
        return ask(flow, turn, conversation, known, before=known.say("undecided"))
    if said.intent in KINDS and KINDS[said.intent] is not flow.kind and not goes_on(flow, turn):
        return _replaced(flow, turn, conversation, known)
    if flow.expects is Expects.CUAL:
        if said.intent not in _SPEAKS_OF_A_DATUM and said.intent not in KINDS and said.confidence >= SURE:
            return None
        if said.intent is Intent.NEGAR and not has_datum(turn):
            return drop(flow, turn, conversation, known)
        return answer_which(flow, turn, conversation, known) or again(flow, turn, conversation, known)
    if flow.kind in NEW_TIME:
        return _choosing_a_time(flow, turn, conversation, known)
    return _about_a_visit(flow, turn, conversation, known)


def _tapped(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known, choice: Choice) -> Decision | None:
    if choice.scope is Scope.FREE and choice.action == "agendar" and flow.kind is FlowKind.AGENDAR:
        return advance(flow, turn, conversation, known)
    if choice.scope is not Scope.FLOW:
        return None
    if choice.action in ("si_agendar", "si_reprogramar", "si_cancelar", "empezar"):
        return accept(flow, turn, conversation, known)
    if choice.action == "otra_hora":
        return other_time(flow, turn, conversation, known)
    if choice.action == "otro_dia":
        return other_day(flow, turn, conversation, known)
    if choice.action == "mover":
        return begin_change(FlowKind.REPROGRAMAR, turn, conversation, known, referent=flow.appointment_id)
    if choice.action == "visit":
        return answer_which(flow, turn, conversation, known, chosen=choice.arg)
    if choice.action == "slot":
        start = next((start for start in flow.offered if f"{start:%Y-%m-%dT%H:%M}" == choice.arg), None)
        if start is None:
            return ask(flow, turn, conversation, known, before=known.say("stale"))
        return advance(with_start(flow, start), turn, conversation, known)
    return drop(flow, turn, conversation, known)  # mantener, dejar


def _replaced(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Another flow takes over. It inherits the appointment that was being talked about, and no other datum."""
    intent, said = turn.prediction.intent, turn.prediction.slots
    if intent is Intent.AGENDAR_CITA:
        return begin_booking(turn, conversation, known)
    names_one = bool(said.appointment_ref or said.old_date or said.old_time)
    if intent is not Intent.REPROGRAMAR_CITA:
        names_one = names_one or bool(said.date or said.time)
    if intent is Intent.CANCELAR_CITA and flow.kind is FlowKind.AGENDAR:
        about_mine = names_one or names_a_visit(turn.text)
        if not about_mine or (turn.appointments is not None and not upcoming(turn)):
            return drop(flow, turn, conversation, known)  # "cancele nomás": the booking that was being made
    referent = None if names_one else flow.appointment_id
    return begin_change(KINDS[intent], turn, conversation, known, referent=referent)


def _choosing_a_time(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision | None:
    """Booking and moving: day, time, name, summary."""
    intent, text, sure = turn.prediction.intent, turn.text, turn.prediction.confidence >= SURE
    asks_when = flow.expects in (Expects.FECHA, Expects.HORA)
    on_topic = (
        intent in _SPEAKS_OF_A_DATUM
        or intent in KINDS
        or not sure
        or intent is Intent.FUERA_DE_TEMA
        or (asks_when and wants_any_slot(text))
        or (asks_when and intent is Intent.CONSULTAR_CITA and not names_a_visit(text) and has_datum(turn))
    )
    if not on_topic:
        return None
    if drops(text) and not has_datum(turn):
        return drop(flow, turn, conversation, known)
    before = join(known.say("late") if turn.late else "", side_answer(turn, conversation, known))
    if cannot(text):
        return refuse(flow, turn, conversation, known)
    if flow.appointment_start and not flow.slots.date and shifts(text):
        flow = flow.model_copy(update={"slots": flow.slots.model_copy(update={"date": flow.appointment_start.date()})})
    if asks_to_shift(flow, turn):
        return other_time(flow, turn, conversation, known)
    if flow.expects is Expects.NOMBRE and not turn.prediction.slots.name and (name := name_in(text)):
        slots = flow.slots.model_copy(update={"name": name})
        return advance(flow.model_copy(update={"slots": slots}), turn, conversation, known, before)
    filled = fill(flow, turn)
    if filled != flow:
        return advance(filled, turn, conversation, known, before)
    if asks_when and wants_any_slot(text):
        return advance(flow, turn, conversation, known, before)
    if flow.slots.date and not has_datum(turn) and names_next_week(text):
        return other_day(flow, turn, conversation, known)
    if flow.expects is Expects.CONFIRMAR and is_yes(turn, flow):
        return accept(flow, turn, conversation, known)
    if flow.slots.date and asks_other_time(text):
        return other_time(flow, turn, conversation, known)
    if flow.slots.date and flow.slots.time and asks_other_day(text):
        return other_day(flow, turn, conversation, known)
    if is_yes(turn, flow):
        return accept(flow, turn, conversation, known)
    if intent is Intent.NEGAR and (sure or opens_with_no(text)):
        return refuse(flow, turn, conversation, known)
    if intent is Intent.FUERA_DE_TEMA and sure:
        return None
    if sounds_like_yes(turn, flow):
        return ask_plainly(flow, turn, conversation, known)
    if has_datum(turn):  # what is known already: understood, but no yes
        confirming = flow.expects is Expects.CONFIRMAR
        return (ask_plainly if confirming else ask)(flow, turn, conversation, known)
    if intent in KINDS and sure:
        return ask(flow, turn, conversation, known, before=before)
    return again(flow, turn, conversation, known)


def _about_a_visit(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision | None:
    """Cancelling, and confirming when it was asked: one appointment, yes or no."""
    intent, said = turn.prediction.intent, turn.prediction.slots
    if intent not in _SPEAKS_OF_A_DATUM and intent not in KINDS:
        return None if turn.prediction.confidence >= SURE else again(flow, turn, conversation, known)
    if (visit := other_visit(flow, turn)) is not None:
        fresh = flow.model_copy(update={"suspended": False})
        return settle(fresh, visit, turn, conversation, known, sure=False)
    if is_yes(turn, flow) and (not has_datum(turn) or same_visit(flow, turn)):
        return accept(flow, turn, conversation, known)
    if intent is Intent.INFORMAR_DATO and (said.date or said.time or said.time_window) and not same_visit(flow, turn):
        return begin_change(FlowKind.REPROGRAMAR, turn, conversation, known, referent=flow.appointment_id)
    if intent in KINDS and has_datum(turn) and not same_visit(flow, turn):
        return begin_change(flow.kind, turn, conversation, known)
    if intent is Intent.NEGAR:
        return drop(flow, turn, conversation, known)
    if sounds_like_yes(turn, flow):
        return ask_plainly(flow, turn, conversation, known)
    return ask(flow, turn, conversation, known)


def ask_plainly(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Ask the same once more and say how to answer; the second time in a row a person is offered."""
    if conversation.unsure_in_a_row and not has_datum(turn):
        return again(flow, turn, conversation, known)
    text = join(question(flow, turn, known).text, known.say("yes_or_button"))
    return ask(flow, turn, conversation, known, text=text, unsure=0 if has_datum(turn) else 1)


def again(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Nothing was understood: ask the same again, in other words for a day; the second time offer a person."""
    unsure = conversation.unsure_in_a_row + 1
    if unsure >= 2:
        return Decision(turn, conversation, conclusion=not_sure(turn, conversation, known))
    if flow.expects is Expects.FECHA and not flow.offered and not flow.slots.date:
        return ask(flow, turn, conversation, known, text=known.say("ask_date_again"), unsure=unsure)
    return ask(flow, turn, conversation, known, before=known.say("unsure_in_flow"), unsure=unsure)
