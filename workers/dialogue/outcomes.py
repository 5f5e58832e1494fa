"""What is said and remembered after the backend answered. Never claims what the outcome does not prove."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from shared.conversation import Expects, Flow, FlowKind
from shared.messages import Reply
from shared.prediction import TimeWindow
from workers.dialogue.asking import join, question, say_slots, slot_buttons, upcoming, values
from workers.dialogue.booking import start_of
from workers.dialogue.buttons import button, menu
from workers.dialogue.decision import (
    ByPerson,
    Cancel,
    Conclusion,
    Confirm,
    Decision,
    Done,
    Free,
    FreeSlots,
    Known,
    Missing,
    Outcome,
    Params,
    Reschedule,
    Schedule,
    Taken,
    TakenReason,
    TurnInput,
    Unknown,
    Wish,
)
from workers.dialogue.wording import say_date, say_time
from workers.dialogue.words import asks_other_time, wants_earlier, wants_later, wants_the_soonest

OFFERED = 3  # free slots or alternatives shown at once
_NOON, _EVENING = dt.time(12), dt.time(18)


def conclude_call(decision: Decision, outcome: Outcome, known: Known) -> Conclusion:
    """Turn the outcome of `decision.call` into words.

    Raises:
        ValueError: if the decision has no call, or the outcome cannot belong to it.
    """
    call, flow = decision.call, decision.flow
    if call is None or flow is None:
        raise ValueError("nothing was called")
    if isinstance(call, FreeSlots):
        if isinstance(outcome, Free):
            return _offer(decision, flow, call, outcome.slots, known)
        return _ask_in_words(decision, flow, known)
    if isinstance(outcome, Free):
        raise ValueError("free slots answer no write")
    action, params = _told(call)
    if isinstance(outcome, Taken):
        return _alternatives(decision, flow, outcome, known, action, params)
    params["status"] = type(outcome).__name__.lower()
    if isinstance(outcome, Done):
        return _done(decision, flow, outcome, known, action, params)
    facts = values(flow, known)
    if isinstance(outcome, Unknown):
        key = "unknown_agendar" if isinstance(call, Schedule) else "unknown_change"
        reply = Reply(text=known.say(key, **facts))
        return Conclusion(reply=reply, action=action, params=params, handoff="resultado_desconocido")
    if isinstance(outcome, ByPerson):
        reply = Reply(text=known.say(f"by_person_{outcome.why}"))
        return Conclusion(reply=reply, action=action, params=params, handoff=outcome.why, wish=_wish(call, flow))
    if isinstance(outcome, Missing):
        # Offer a booking as a flow, so that "sí" goes on from here.
        offer = Flow(kind=FlowKind.AGENDAR, expects=Expects.FECHA, number=decision.turn.new_number)
        reply = Reply(text=known.say("gone"), buttons=menu(known.wording, "offer_visit"))
        return Conclusion(reply=reply, flow=offer, action=action, params=params)
    reply = Reply(text=known.say("refused"), buttons=menu(known.wording, "hablar_humano"))
    return Conclusion(reply=reply, action=action, params=params)


def _wish(call: Schedule | Cancel | Reschedule | Confirm, flow: Flow) -> Wish:
    start = call.start if isinstance(call, Schedule | Reschedule) else None
    return Wish(call.key, start, flow.appointment_id, flow.appointment_ref, flow.appointment_start)


def _told(call: Schedule | Cancel | Reschedule | Confirm) -> tuple[str, Params]:
    if isinstance(call, Schedule):
        return "schedule", {"datetime": call.start.isoformat(), "reason": call.reason, "name": call.name}
    if isinstance(call, Reschedule):
        return "reschedule", {"appointment_id": call.appointment_id, "datetime": call.start.isoformat()}
    return "cancel" if isinstance(call, Cancel) else "confirm", {"appointment_id": call.appointment_id}


def _done(decision: Decision, flow: Flow, outcome: Done, known: Known, action: str, params: Params) -> Conclusion:
    facts, visit = values(flow, known), outcome.appointment
    if visit is not None and flow.kind in (FlowKind.AGENDAR, FlowKind.REPROGRAMAR):
        start = visit.start.astimezone(decision.turn.now.tzinfo)  # what stands in the agenda, not what was asked for
        facts |= {"date": say_date(start.date()), "time": say_time(start)}
        facts["ref"] = known.say("ref_part", ref=visit.ref) if visit.ref else ""
        params |= {"appointment_id": visit.id, "ref": visit.ref}
    text = join(decision.aside, known.say(f"done_{flow.kind}", **facts))
    following = _following(decision.turn, flow)
    if following is None:
        asks = flow.kind is FlowKind.AGENDAR and not decision.turn.may_be_reminded
        reply = _ask_about_reminders(text, known) if asks else Reply(text=text)
        return Conclusion(reply=reply, action=action, params=params, asked_about_reminders=asks)
    reply = question(following, decision.turn, known)
    reply = reply.model_copy(update={"text": join(text, reply.text)})
    return Conclusion(reply=reply, flow=following, action=action, params=params)


def _ask_about_reminders(text: str, known: Known) -> Reply:
    return Reply(text=join(text, known.say("ask_reminders")), buttons=(button(known.wording, "recordar"),))


def _following(turn: TurnInput, flow: Flow) -> Flow | None:
    """The next of several visits that are cancelled or confirmed one by one."""
    if flow.kind not in (FlowKind.CANCELAR, FlowKind.CONFIRMAR):
        return None
    left = [visit for visit in upcoming(turn) if visit.start in flow.offered and visit.id != flow.appointment_id]
    if not left:
        return None
    return flow.model_copy(
        update={
            "number": f"{turn.new_number}n",  # the turn's own number may be this flow's
            "expects": Expects.CONFIRMAR,
            "appointment_id": left[0].id,
            "appointment_ref": left[0].ref,
            "appointment_start": left[0].start,
            "offered": tuple(visit.start for visit in left[1:]),
        }
    )


def _alternatives(
    decision: Decision, flow: Flow, outcome: Taken, known: Known, action: str, params: Params
) -> Conclusion:
    """Say why not, offer what the backend proposes.

    The flow gets a new number: the old one is spent in the idempotency key, and the backend would answer it with the
    same refusal for ever.
    """
    zone = decision.turn.now.tzinfo
    starts = tuple(start.astimezone(zone) for start in outcome.alternatives[:OFFERED])
    same_day = outcome.reason is TakenReason.SLOT_TAKEN
    slots = flow.slots.model_copy(update={"time": None} if same_day else {"time": None, "date": None})
    if not starts:
        slots = slots.model_copy(update={"date": None})
    flow = flow.model_copy(
        update={
            "slots": slots,
            "offered": starts,
            "number": decision.turn.new_number,
            "expects": Expects.HORA if starts else Expects.FECHA,
        }
    )
    tail = known.say("alternatives", options=say_slots(starts)) if starts else known.say("no_alternatives")
    reply = Reply(text=join(known.say(outcome.reason), tail), buttons=slot_buttons(flow, known))
    return Conclusion(reply=reply, flow=flow, action=action, params=params | {"status": str(outcome.reason)})


def _offer(decision: Decision, flow: Flow, call: FreeSlots, slots: Iterable[dt.datetime], known: Known) -> Conclusion:
    """Offer up to three free slots: of the day that was asked for, else of the days after it."""
    turn, first = decision.turn, call.dates[0]
    free = sorted(start.astimezone(turn.now.tzinfo) for start in slots)
    free = [start for start in free if start > turn.now and start != flow.appointment_start]
    left = _left(decision)  # "otra hora": near the one that was proposed, but not that one again
    free = [start for start in free if start != left]
    free, direction = _shifted(decision, free)
    if flow.slots.time:  # "a las 10, cuando haya": that hour, if any day has it
        free = [start for start in free if f"{start:%H:%M}" == flow.slots.time] or free
    asked_day = flow.slots.date is not None
    window = None if direction else flow.slots.time_window
    that_day = [start for start in free if start.date() == first] if asked_day else []
    near = left if not (window or direction) else None
    today = _nearest(that_day, near) if near else choose(that_day, window, spread=not wants_the_soonest(turn.text))
    chosen = today or choose(free, window, spread=False)
    if chosen:
        slots_now = flow.slots if today else flow.slots.model_copy(update={"date": None})
        flow = flow.model_copy(update={"offered": tuple(chosen), "slots": slots_now, "expects": Expects.HORA})
    else:
        nothing = flow.slots.model_copy(update={"date": None})
        flow = flow.model_copy(update={"offered": (), "slots": nothing, "expects": Expects.FECHA})
    part_of_day = known.wording.windows[window] if window else ""
    facts = {"date": say_date(first), "window": known.say(direction) if direction else part_of_day}
    if today:
        text = known.say("offer_day", options=" o ".join(_times(today)), **facts)
    elif chosen:
        text = known.say("offer_other_days" if asked_day else "offer_days", options=say_slots(chosen), **facts)
    else:
        text = known.say("offer_none" if asked_day else "offer_none_soon", **facts)
    flow = flow.model_copy(update={"number": turn.new_number})
    reply = question(flow, turn, known).model_copy(update={"text": join(decision.aside, text)})
    return Conclusion(reply=reply, flow=flow, action="ask", params={"flow": flow.state})


def _ask_in_words(decision: Decision, flow: Flow, known: Known) -> Conclusion:
    """The free slots could not be read: nothing is said about them, the patient names a time."""
    expects = Expects.HORA if flow.slots.date else Expects.FECHA
    slots = flow.slots.model_copy(update={"time_window": None})
    flow = flow.model_copy(update={"slots": slots, "expects": expects, "number": decision.turn.new_number})
    reply = question(flow, decision.turn, known)
    reply = reply.model_copy(update={"text": join(decision.aside, reply.text)})
    return Conclusion(reply=reply, flow=flow, action="ask", params={"flow": flow.state})


def _left(decision: Decision) -> dt.datetime | None:
    """The time that was proposed before this turn, if the day stays."""
    before, now = decision.conversation.flow, decision.flow
    if before is None or now is None or before.slots.date != now.slots.date:
        return None
    return start_of(before, decision.turn)


def _shifted(decision: Decision, free: list[dt.datetime]) -> tuple[list[dt.datetime], str]:
    """ "Más tarde", "más temprano", "otra hora": of the day being talked about, only what was not named yet."""
    now, text = decision.flow, decision.turn.text
    if now is None or now.slots.date is None:
        return free, ""
    left, offered = _left(decision), decision.conversation.flow.offered if decision.conversation.flow else ()
    spoken_of = (left, *offered) if left or offered else (now.appointment_start,)
    named = [start for start in spoken_of if start and start.date() == now.slots.date]
    if named and wants_later(text):
        return [start for start in free if start > max(named)], "later"
    if named and wants_earlier(text):
        return [start for start in free if start.date() != now.slots.date or start < min(named)], "earlier"
    if asks_other_time(text):
        return [start for start in free if start not in offered] or free, ""
    return free, ""


def _nearest(free: list[dt.datetime], to: dt.datetime) -> list[dt.datetime]:
    return sorted(sorted(free, key=lambda start: abs(start - to))[:OFFERED])


def _times(starts: list[dt.datetime]) -> list[str]:
    words = [say_time(start) for start in starts]
    return [", ".join(words[:-1]), words[-1]] if len(words) > 1 else words


def choose(free: list[dt.datetime], window: TimeWindow | None, spread: bool = True) -> list[dt.datetime]:
    """Up to three slots that fit the window; spread over it (first, middle, last), or simply the nearest.

    `primera_hora` and `ultima_hora` mean the first and the last slots of each day.
    """
    if window is TimeWindow.PRIMERA_HORA:
        return free[:OFFERED]
    if window is TimeWindow.ULTIMA_HORA:
        return free[-OFFERED:] if spread else free[:OFFERED]
    fitting = [start for start in free if window is None or _window_of(start) is window]
    if len(fitting) <= OFFERED or not spread:
        return fitting[:OFFERED]
    return [fitting[0], fitting[len(fitting) // 2], fitting[-1]]


def _window_of(start: dt.datetime) -> TimeWindow:
    if start.time() < _NOON:
        return TimeWindow.MANANA
    return TimeWindow.TARDE if start.time() < _EVENING else TimeWindow.NOCHE
