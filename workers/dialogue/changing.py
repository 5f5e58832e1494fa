"""Appointments that exist: cancel, move, confirm attendance, look up; and which of several is meant."""

from __future__ import annotations

import datetime as dt

from shared.conversation import Appointment, Conversation, Expects, Flow, FlowKind
from shared.messages import Reply
from shared.prediction import Reason, Slots
from workers.dialogue.asking import ask, join, upcoming, values
from workers.dialogue.booking import advance
from workers.dialogue.buttons import menu
from workers.dialogue.decision import Conclusion, Confirm, Decision, Known, Params, TurnInput
from workers.dialogue.wording import has_hour, say_all, say_date, say_start, say_time
from workers.dialogue.words import asks_another_hour, means_all, ordinal, says_same_day, says_same_time, shifts


def begin_change(
    kind: FlowKind,
    turn: TurnInput,
    conversation: Conversation,
    known: Known,
    before: str = "",
    referent: str | None = None,
) -> Decision:
    """Start to cancel, move or confirm. `referent` is the appointment's id when a button or the old flow names it.

    One appointment is the implicit one; several are asked about; none is said, and a booking is offered.
    """
    if turn.appointments is None:
        return Decision(turn, conversation, needs_agenda=True)
    visits, said = upcoming(turn), turn.prediction.slots
    said = _old_from_new(said, visits) if kind is FlowKind.REPROGRAMAR and referent is None else said
    wanted = said if kind is FlowKind.REPROGRAMAR else Slots()
    slots = Slots(date=wanted.date, time=wanted.time, time_window=wanted.time_window, reason=wanted.reason)
    flow = Flow(kind=kind, expects=Expects.CUAL, number=turn.new_number, slots=slots)
    if referent is not None:
        visit = next((v for v in visits if v.id == referent), None)
        if visit is None:
            return _offer_booking(turn, conversation, known, join(before, known.say("gone")))
        return settle(flow, visit, turn, conversation, known, before=before)
    if not visits:
        return _offer_booking(
            turn, conversation, known, join(before, known.say("no_visit"), known.say("offer_one")), slots
        )
    meant = matching(visits, said, moving=kind is FlowKind.REPROGRAMAR)
    if not meant:
        before = join(before, _missed(said, kind, known))
    if len(meant or visits) == 1:
        return settle(flow, (meant or visits)[0], turn, conversation, known, before=before, sure=bool(meant))
    if means_all(turn.text):
        return _one_by_one(flow, meant or visits, turn, conversation, known, before)
    offered = tuple(visit.start for visit in (meant or visits))
    return ask(flow.model_copy(update={"offered": offered}), turn, conversation, known, before=before)


def _old_from_new(said: Slots, visits: list[Appointment]) -> Slots:
    """ "Cambiar mi cita del martes": a visit's own day, without a time, names that visit and not the new day."""
    alone = said.date and not (said.old_date or said.time or said.time_window)
    if alone and any(visit.start.date() == said.date for visit in visits):
        return said.model_copy(update={"date": None, "old_date": said.date})
    return said


def matching(visits: list[Appointment], said: Slots, *, moving: bool = False) -> list[Appointment]:
    """The visits that fit what was said; all of them when nothing was said about which one."""
    date, time = (said.old_date, said.old_time) if moving else (said.date, said.time)
    return [
        visit
        for visit in visits
        if said.appointment_ref in (None, visit.ref)
        and date in (None, visit.start.date())
        and time in (None, say_time(visit.start))
    ]


def _missed(said: Slots, kind: FlowKind, known: Known) -> str:
    if said.appointment_ref:
        return known.say("no_such_ref", ref=said.appointment_ref)
    date, time = (said.old_date, said.old_time) if kind is FlowKind.REPROGRAMAR else (said.date, said.time)
    if date is None:
        return known.say("no_visit_at", time=time or "")
    return known.say("no_visit_then", missed=join(say_date(date), f"a las {time}" if time else ""))


def settle(
    flow: Flow,
    visit: Appointment,
    turn: TurnInput,
    conversation: Conversation,
    known: Known,
    *,
    before: str = "",
    sure: bool = True,
    rest: tuple[dt.datetime, ...] = (),
) -> Decision:
    """Go on once the appointment is known.

    Args:
        sure: False when it is not quite the one that was described.
        rest: further visits to be cancelled or confirmed after it.
    """
    flow = flow.model_copy(
        update={
            "appointment_id": visit.id,
            "appointment_ref": visit.ref,
            "appointment_start": visit.start,
            "offered": () if flow.kind is FlowKind.REPROGRAMAR else rest,
            "expects": Expects.CONFIRMAR,
        }
    )
    if flow.kind is FlowKind.REPROGRAMAR:
        flow = flow.model_copy(update={"slots": _kept_of(visit, flow.slots, turn.text)})
        return advance(flow, turn, conversation, known, before)
    if flow.kind is FlowKind.CANCELAR or turn.late or not sure:
        return ask(flow, turn, conversation, known, before=before)
    if visit.status == "confirmed":
        reply = Reply(text=join(before, known.say("already_confirmed", **values(flow, known))))
        return Decision(turn, conversation, conclusion=Conclusion(reply=reply, action="query"))
    call = Confirm(key=f"{flow.number}:confirm", appointment_id=visit.id)
    return Decision(turn, conversation, call=call, flow=flow, aside=before)


def _kept_of(visit: Appointment, slots: Slots, text: str) -> Slots:
    """What a moved visit keeps: its day when only an hour is named, and what "misma hora" or "mismo día" says."""
    update: dict[str, object] = {}
    if not slots.date and (slots.time or says_same_day(text) or asks_another_hour(text) or shifts(text)):
        update["date"] = visit.start.date()
    if not slots.time and says_same_time(text) and has_hour(visit.start):
        update |= {"time": say_time(visit.start), "time_window": None}
    return slots.model_copy(update=update)


def _one_by_one(
    flow: Flow, visits: list[Appointment], turn: TurnInput, conversation: Conversation, known: Known, before: str = ""
) -> Decision:
    """Several visits at once: each has its own yes; `outcomes` goes on with the next."""
    before = join(before, known.say("one_by_one"))
    return settle(flow, visits[0], turn, conversation, known, before=before, rest=tuple(v.start for v in visits[1:]))


def answer_which(
    flow: Flow, turn: TurnInput, conversation: Conversation, known: Known, chosen: str | None = None
) -> Decision | None:
    """Read the answer to "¿cuál?": a tap (`chosen`, an appointment id), a day, a time, a code or a place in the list.

    None when it answers nothing of the kind.
    """
    if turn.appointments is None:
        return Decision(turn, conversation, needs_agenda=True)
    visits = upcoming(turn)
    if chosen is not None:
        meant = [visit for visit in visits if visit.id == chosen]
        if not meant:
            return _offer_booking(turn, conversation, known, known.say("gone"))
    else:
        listed = [visit for visit in visits if visit.start in flow.offered]
        said, place = turn.prediction.slots, ordinal(turn.text, len(listed))
        said = said.model_copy(update={"date": said.old_date or said.date, "time": said.old_time or said.time})
        if said.date or said.time or said.appointment_ref:
            meant = matching(listed or visits, said)
            if not meant and means_all(turn.text):  # one yes is for one appointment
                return _one_by_one(flow, listed or visits, turn, conversation, known)
            if not meant:
                return ask(flow, turn, conversation, known, before=_missed(said, FlowKind.CANCELAR, known))
        elif place is not None:
            meant = [listed[place]]
        elif means_all(turn.text):
            return _one_by_one(flow, listed or visits, turn, conversation, known)
        else:
            return None
    if len(meant) > 1:
        offered = tuple(visit.start for visit in meant)
        return ask(flow.model_copy(update={"offered": offered}), turn, conversation, known)
    return settle(flow, meant[0], turn, conversation, known)


def other_visit(flow: Flow, turn: TurnInput) -> Appointment | None:
    """The patient's other appointment that this turn names, if exactly one: "no, la del jueves"."""
    said = turn.prediction.slots
    if not (said.date or said.time or said.appointment_ref):
        return None
    meant = [visit for visit in matching(upcoming(turn), said) if visit.id != flow.appointment_id]
    return meant[0] if len(meant) == 1 else None


def look_up(turn: TurnInput, conversation: Conversation, known: Known, before: str = "") -> Decision:
    """Say when the appointments are."""
    if turn.appointments is None:
        return Decision(turn, conversation, needs_agenda=True)
    visits = upcoming(turn)
    if not visits:
        return _offer_booking(turn, conversation, known, join(before, known.say("no_visit"), known.say("offer_one")))
    reply = describe(visits, known)
    reply = reply.model_copy(update={"text": join(before, reply.text, known.say("what_next"))})
    params: Params = {"datetime": visits[0].start.isoformat(), "ref": visits[0].ref}
    return Decision(turn, conversation, conclusion=Conclusion(reply=reply, action="query", params=params))


def describe(visits: list[Appointment], known: Known) -> Reply:
    """No, one or several appointments in words, with the buttons about them."""
    if not visits:
        return Reply(text=known.say("no_visit"), buttons=menu(known.wording, "offer_visit"))
    if len(visits) > 1:
        options = say_all(say_start(visit.start) for visit in visits)
        buttons = menu(known.wording, "consultar_cita")
        return Reply(text=known.say("several_visits", options=options), buttons=buttons)
    visit = visits[0]
    ref = known.say("ref_part", ref=visit.ref) if visit.ref else ""
    reason = known.wording.reasons[Reason(visit.reason)] if visit.reason in set(Reason) else ""
    when = {"date": say_date(visit.start.date()), "time": say_time(visit.start)}
    key = "one_visit" if has_hour(visit.start) else "one_visit_day"
    text = known.say(key, reason=reason, ref=ref, **when)
    return Reply(text=text, buttons=menu(known.wording, "consultar_cita", visit=visit))


def _offer_booking(
    turn: TurnInput, conversation: Conversation, known: Known, text: str, slots: Slots | None = None
) -> Decision:
    """There is nothing to change: offer a booking, so that a bare yes or a day goes on from here."""
    flow = Flow(kind=FlowKind.AGENDAR, expects=Expects.FECHA, number=turn.new_number, slots=slots or Slots())
    reply = Reply(text=text, buttons=menu(known.wording, "offer_visit"))
    conclusion = Conclusion(reply=reply, flow=flow, action="query", params={"datetime": None})
    return Decision(turn, conversation, conclusion=conclusion)


def is_soon(visit: Appointment, now: dt.datetime, hours: float = 48) -> bool:
    """Does the visit begin within `hours`? Used to read a bare yes after a reminder."""
    return now < visit.start <= now + dt.timedelta(hours=hours)
