"""Booking a new appointment, and the steps that moving one shares with it: day, time, name, summary, yes or no.

Nothing is written here: `accept` returns the call that the road executes, only after a summary and a yes.
"""

from __future__ import annotations

import datetime as dt

from shared.conversation import Conversation, Expects, Flow, FlowKind
from shared.messages import Reply
from shared.prediction import Slots
from workers.dialogue.asking import ask, join, values
from workers.dialogue.buttons import menu
from workers.dialogue.decision import (
    BackendCall,
    Cancel,
    Conclusion,
    Confirm,
    Decision,
    FreeSlots,
    Known,
    Reschedule,
    Schedule,
    TurnInput,
)
from workers.dialogue.wording import has_hour
from workers.dialogue.words import ordinal, says_same_day, says_same_time, shifts, wants_any_slot

DAYS_SEARCHED = 4  # the day that was asked for and the days after it


def begin_booking(turn: TurnInput, conversation: Conversation, known: Known, before: str = "") -> Decision:
    """Start a booking with nothing but what this turn says: no slot of an older flow survives."""
    said = turn.prediction.slots
    kept = said.model_copy(update={"old_date": None, "old_time": None, "appointment_ref": None})
    flow = Flow(kind=FlowKind.AGENDAR, expects=Expects.FECHA, number=turn.new_number, slots=kept)
    return advance(flow, turn, conversation, known, before)


def advance(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known, before: str = "") -> Decision:
    """Ask for the first thing that is missing (day, time, name), or show the summary."""
    if turn.appointments is None:
        return Decision(turn, conversation, needs_agenda=True)
    slots = flow.slots
    flow = flow.model_copy(update={"offered": (), "suspended": False})
    if flow.appointment_start and start_of(flow, turn) == flow.appointment_start:
        before = join(before, known.say("same_time", **values(flow, known)))
        slots = slots.model_copy(update={"date": None, "time": None})
        flow = flow.model_copy(update={"slots": slots})
    any_slot = wants_any_slot(turn.text)
    if slots.date is None:
        if any_slot:
            return look_for_slots(flow, turn.now.date(), turn, conversation, before)
        return ask(_expecting(flow, Expects.FECHA), turn, conversation, known, before=before)
    if slots.time is None:
        if any_slot or slots.time_window or (flow.appointment_start and shifts(turn.text)):
            return look_for_slots(flow, slots.date, turn, conversation, before)
        return ask(_expecting(flow, Expects.HORA), turn, conversation, known, before=before)
    if flow.kind is FlowKind.AGENDAR and not turn.record.registered and not slots.name:
        return ask(_expecting(flow, Expects.NOMBRE), turn, conversation, known, before=before)
    return ask(_expecting(flow, Expects.CONFIRMAR), turn, conversation, known, before=before)


def _expecting(flow: Flow, expects: Expects) -> Flow:
    return flow.model_copy(update={"expects": expects})


def look_for_slots(
    flow: Flow, first: dt.date, turn: TurnInput, conversation: Conversation, before: str = ""
) -> Decision:
    """Read the free slots of a day and of the days after it; `conclude` offers up to three."""
    if turn.appointments is None:
        return Decision(turn, conversation, needs_agenda=True)
    following = max(first, turn.now.date())
    dates = (first, *(following + dt.timedelta(days=n) for n in range(1, DAYS_SEARCHED)))
    return Decision(turn, conversation, call=FreeSlots(dates), flow=_expecting(flow, Expects.HORA), aside=before)


def fill(flow: Flow, turn: TurnInput) -> Flow:
    """The flow with what this turn says about the new appointment; equal to `flow` when it says nothing new."""
    said, slots = turn.prediction.slots, flow.slots
    if picked := _picked(flow, said, turn.text):
        return with_start(flow, picked)
    update: dict[str, object] = {}
    if said.date:
        update["date"] = said.date
    if said.time:
        update |= {"time": said.time, "time_window": None}
        days = {start.date() for start in flow.offered}
        if not said.date and not slots.date and len(days) == 1:
            update["date"] = days.pop()
        elif not said.date and not slots.date and not days and flow.appointment_start:
            update["date"] = flow.appointment_start.date()  # only the hour of the visit is moved
    elif said.time_window:
        update |= {"time_window": said.time_window, "time": None}
    if flow.appointment_start and has_hour(flow.appointment_start) and says_same_time(turn.text):
        update |= {"time": f"{flow.appointment_start:%H:%M}", "time_window": None}
    if flow.appointment_start and says_same_day(turn.text):
        update["date"] = flow.appointment_start.date()
    update |= {key: value for key, value in (("reason", said.reason), ("name", said.name)) if value}
    filled = slots.model_copy(update=update)
    return flow if filled == slots else flow.model_copy(update={"slots": filled, "offered": ()})


def _picked(flow: Flow, said: Slots, text: str) -> dt.datetime | None:
    """The offered slot that was meant: by its day or time when only one fits, or by its place ("la segunda")."""
    if said.date or said.time:
        fitting = [
            start
            for start in flow.offered
            if said.date in (None, start.date()) and said.time in (None, f"{start:%H:%M}")
        ]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    place = ordinal(text, len(flow.offered))
    return None if place is None else flow.offered[place]


def with_start(flow: Flow, start: dt.datetime) -> Flow:
    """The flow with this day and time, and the offer closed."""
    update = {"date": start.date(), "time": f"{start:%H:%M}", "time_window": None}
    return flow.model_copy(update={"slots": flow.slots.model_copy(update=update), "offered": ()})


def start_of(flow: Flow, turn: TurnInput) -> dt.datetime | None:
    """The moment the flow's slots name, in the clinic's time zone; None while day or time is missing."""
    if not (flow.slots.date and flow.slots.time):
        return None
    return dt.datetime.combine(flow.slots.date, dt.time.fromisoformat(flow.slots.time), tzinfo=turn.now.tzinfo)


def other_time(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Keep the day and offer its free slots."""
    flow = flow.model_copy(update={"slots": flow.slots.model_copy(update={"time": None})})
    if flow.slots.date is None:
        return advance(flow, turn, conversation, known)
    return look_for_slots(flow, flow.slots.date, turn, conversation)


def other_day(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Forget the day, keep the time."""
    slots = flow.slots.model_copy(update={"date": None})
    return advance(flow.model_copy(update={"slots": slots}), turn, conversation, known)


def accept(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """A yes. Writes only when the summary is what was asked, nothing came in between and the yes is not late."""
    if flow.expects is Expects.FECHA and flow.slots.date:
        return advance(flow, turn, conversation, known)
    if len(flow.offered) == 1 and flow.expects in (Expects.FECHA, Expects.HORA):
        return advance(with_start(flow, flow.offered[0]), turn, conversation, known)
    if flow.expects is not Expects.CONFIRMAR:
        return ask(flow, turn, conversation, known)
    if flow.suspended:
        awake = flow.model_copy(update={"suspended": False})
        return ask(awake, turn, conversation, known, before=known.say("resumed"))
    if turn.late:
        return ask(flow, turn, conversation, known, before=known.say("late"))
    if turn.appointments is None:
        return Decision(turn, conversation, needs_agenda=True)
    return Decision(turn, conversation, call=_write(flow, turn), flow=flow)


def _write(flow: Flow, turn: TurnInput) -> BackendCall:
    start = start_of(flow, turn)
    visit = flow.appointment_id or ""
    if flow.kind is FlowKind.CANCELAR:
        return Cancel(key=f"{flow.number}:cancel", appointment_id=visit)
    if flow.kind is FlowKind.CONFIRMAR:
        return Confirm(key=f"{flow.number}:confirm", appointment_id=visit)
    if start is None:  # a summary without day or time is never shown
        raise ValueError(f"the flow {flow.state} has no start")
    if flow.kind is FlowKind.REPROGRAMAR:
        return Reschedule(key=f"{flow.number}:reschedule", appointment_id=visit, start=start)
    return Schedule(key=f"{flow.number}:schedule", start=start, reason=flow.slots.reason, name=flow.slots.name)


def refuse(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """A no. To a summary: ask what to change, or keep the appointment; to a question: leave the flow."""
    if flow.expects is Expects.CONFIRMAR and flow.kind in (FlowKind.AGENDAR, FlowKind.REPROGRAMAR):
        return ask(_expecting(flow, Expects.FECHA), turn, conversation, known)
    if flow.offered and flow.expects in (Expects.FECHA, Expects.HORA):
        return other_day(flow, turn, conversation, known)
    return drop(flow, turn, conversation, known)


def drop(flow: Flow, turn: TurnInput, conversation: Conversation, known: Known) -> Decision:
    """Leave the flow; whatever was agreed before it stays as it is."""
    if flow.kind is FlowKind.CONFIRMAR and flow.appointment_start:
        reply = Reply(
            text=known.say("refuse_confirmar", **values(flow, known)),
            buttons=menu(known.wording, "confirmar_asistencia", visit=flow.appointment_id),
        )
    elif flow.kind is FlowKind.AGENDAR:
        reply = Reply(text=known.say("dropped_agendar"))
    elif flow.appointment_start is None:
        reply = Reply(text=known.text("de_acuerdo"))
    else:
        key = "kept" if flow.kind is FlowKind.CANCELAR else "dropped_reprogramar"
        reply = Reply(text=known.say(key, **values(flow, known)))
    return Decision(turn, conversation, conclusion=Conclusion(reply=reply, action="keep"))
