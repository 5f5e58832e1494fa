"""The question that a flow is waiting for, as the patient reads it, and the renewal of its number.

Used by every part of the dialogue: to ask, to ask again after a side question, and to recognise a typed button title.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from shared.conversation import Appointment, Conversation, Expects, Flow, FlowKind
from shared.messages import Button, ListRow, Reply
from shared.prediction import Intent
from workers.dialogue.buttons import button, menu
from workers.dialogue.decision import Conclusion, Decision, Known, TurnInput
from workers.dialogue.wording import (
    MAX_BUTTONS,
    has_hour,
    say_all,
    say_date,
    say_options,
    say_start,
    say_time,
    slot_title,
)

MAX_ROWS = 10  # of a WhatsApp list
_GRACE = dt.timedelta(hours=1)  # "ya estoy llegando": a visit that has just begun still counts
_MENUS = {
    FlowKind.AGENDAR: Intent.AGENDAR_CITA,
    FlowKind.REPROGRAMAR: Intent.REPROGRAMAR_CITA,
    FlowKind.CANCELAR: Intent.CANCELAR_CITA,
    FlowKind.CONFIRMAR: Intent.CONFIRMAR_ASISTENCIA,
}


def upcoming(turn: TurnInput) -> list[Appointment]:
    """The patient's appointments still to come, earliest first, in clinic time; empty when the backend is down."""
    visits = [
        visit.model_copy(update={"start": visit.start.astimezone(turn.now.tzinfo)})
        for visit in turn.appointments or ()
        if visit.status != "cancelled"
    ]
    visits = [visit for visit in visits if _is_ahead(visit.start, turn.now)]
    return sorted(visits, key=lambda visit: visit.start)


def _is_ahead(start: dt.datetime, now: dt.datetime) -> bool:
    """A visit of which only the day is known counts until the day is over."""
    return start > now - _GRACE if has_hour(start) else start.date() >= now.date()


def values(flow: Flow, known: Known) -> dict[str, str]:
    """What a flow knows, ready for the placeholders of a sentence."""
    slots, found = flow.slots, {"reason": "", "name": "", "window": "", "ref": ""}
    if slots.date:
        found["date"] = say_date(slots.date)
    if slots.time:
        found["time"] = slots.time
    if slots.reason:
        found["reason"] = known.wording.reasons[slots.reason]
    if slots.name:
        found["name"] = known.say("name_part", name=slots.name)
    if slots.time_window:
        found["window"] = known.wording.windows[slots.time_window]
    if flow.appointment_start:
        found["old_date"] = say_date(flow.appointment_start.date())
        found["old_start"] = say_start(flow.appointment_start)
    return found


def say_slots(starts: Sequence[dt.datetime]) -> str:
    """`martes 24 de noviembre a las 10:00, 10:30 o 11:00`, or each in full when the days differ."""
    if len({start.date() for start in starts}) == 1:
        return f"{say_date(starts[0].date())} a las {say_options(say_time(start) for start in starts)}"
    return say_options(say_start(start) for start in starts)


def slot_buttons(flow: Flow, known: Known) -> tuple[Button, ...]:
    return tuple(
        button(known.wording, "slot", flow=flow, arg=f"{start:%Y-%m-%dT%H:%M}", title=slot_title(start))
        for start in flow.offered[:MAX_BUTTONS]
    )


def question(flow: Flow, turn: TurnInput, known: Known) -> Reply:
    """What to ask now, with the buttons that answer it. Pure: the same flow gives the same question."""
    facts = values(flow, known)
    moving = flow.kind is FlowKind.REPROGRAMAR
    if flow.expects is Expects.CUAL:
        return _which(flow, turn, known)
    if flow.expects is Expects.NOMBRE:
        return Reply(text=known.say("ask_name"))
    if flow.expects is Expects.CONFIRMAR:
        buttons = menu(known.wording, _MENUS[flow.kind], flow=flow, visit=flow.appointment_id)
        return Reply(text=known.say(f"summary_{flow.kind}", **facts), buttons=buttons)
    if flow.offered:
        text = known.say("offer_days", options=say_slots(flow.offered))
        return Reply(text=text, buttons=slot_buttons(flow, known))
    if flow.expects is Expects.HORA:
        return Reply(text=known.say("ask_new_time" if moving else "ask_time", **facts))
    if flow.slots.date and flow.slots.time:  # the summary was refused: what shall change?
        return Reply(text=known.say("ask_change"), buttons=menu(known.wording, f"change_{flow.kind}", flow=flow))
    if flow.slots.date:  # a day was named without asking for anything
        text = known.say("offer_booking", **facts)
        return Reply(text=text, buttons=menu(known.wording, "start", flow=flow))
    return Reply(text=known.say("ask_new_date" if moving else "ask_date", **facts))


def sound(flow: Flow) -> Flow:
    """A flow that expects only what its data allow: it may come from an older version or from a test line."""
    visits = flow.kind in (FlowKind.CANCELAR, FlowKind.CONFIRMAR)
    expects = flow.expects
    if visits or (flow.kind is FlowKind.REPROGRAMAR and flow.appointment_start is None):
        expects = Expects.CONFIRMAR if flow.appointment_start else Expects.CUAL
    elif expects in (Expects.CONFIRMAR, Expects.HORA, Expects.NOMBRE) and not (flow.slots.date or flow.offered):
        expects = Expects.FECHA
    elif expects in (Expects.CONFIRMAR, Expects.NOMBRE) and not flow.slots.time:
        expects = Expects.HORA
    elif expects is Expects.CUAL:
        expects = Expects.FECHA
    return flow if expects is flow.expects else flow.model_copy(update={"expects": expects})


def _which(flow: Flow, turn: TurnInput, known: Known) -> Reply:
    visits = [visit for visit in upcoming(turn) if visit.start in flow.offered] if flow.offered else upcoming(turn)
    starts = [visit.start for visit in visits] or list(flow.offered)
    if not starts:
        return Reply(text=known.say("which_unknown"))
    text = known.say(f"which_{flow.kind}", options=say_all(say_start(start) for start in starts[:MAX_ROWS]))
    titles = [slot_title(visit.start) for visit in visits]
    if len(set(titles)) < len(titles):  # two visits at the same time: WhatsApp wants different titles
        titles = [visit.ref or visit.id for visit in visits]
    buttons = tuple(
        button(known.wording, "visit", flow=flow, arg=visit.id, title=title)
        for visit, title in zip(visits, titles, strict=True)
    )
    if len(buttons) <= MAX_BUTTONS:
        return Reply(text=text, buttons=buttons)
    rows = tuple(
        ListRow(id=tap.id, title=tap.title, description=visit.ref)
        for tap, visit in zip(buttons[:MAX_ROWS], visits, strict=False)
    )
    return Reply(text=text, rows=rows, rows_label=known.say("which_label"))


def numbered(flow: Flow, before: Flow | None, new_number: str) -> Flow:
    """Give a flow that changed a new number, so that the buttons shown before it changed are stale.

    Without this a tap on an older summary would confirm the newer one.
    """
    if before is not None and flow.model_copy(update={"number": before.number}) == before:
        return before
    return flow.model_copy(update={"number": new_number})


def ask(
    flow: Flow,
    turn: TurnInput,
    conversation: Conversation,
    known: Known,
    *,
    before: str = "",
    text: str | None = None,
    unsure: int = 0,
) -> Decision:
    """Ask the flow's question, after `before`; `text` replaces the question's own words but not its buttons."""
    flow = numbered(flow, conversation.flow, turn.new_number)
    reply = question(flow, turn, known)
    words = join(before, reply.text if text is None else text)
    conclusion = Conclusion(
        reply=reply.model_copy(update={"text": words}),
        flow=flow,
        action="ask",
        params={"flow": flow.state},
        unsure_in_a_row=unsure,
    )
    return Decision(turn, conversation, conclusion=conclusion)


def join(*parts: str) -> str:
    """Put sentences after one another; empty ones leave no trace."""
    return " ".join(part for part in parts if part)
