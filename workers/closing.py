"""How a turn ends: everything it changes, put together as one Commit. Called by `answer` only.

Replies get ids that follow from the message, so that a repeated turn says the same thing under the same id.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

from shared import tracing
from shared.canary import is_canary
from shared.conversation import Conversation, Role, Turn, recent
from shared.messages import Channel, Delivery, Message, Reply
from shared.metrics import field
from shared.prediction import Danger, Intent, Prediction
from shared.state.inbox import Entry, Outgoing
from shared.state.turns import Commit, Desk
from workers.dialogue.decision import Conclusion, Wish
from workers.services import Services
from workers.triage import danger_answer, delivery_id, raise_alarm, window_end

SUSPENDED_TTL_S = 86400  # a flow interrupted by an alarm is kept a day
PERSON_LINE_EVERY = timedelta(minutes=30)


def close_alarm(
    services: Services,
    patient: str,
    entries: Sequence[Entry],
    desk: Desk,
    conversation: Conversation,
    hits: Sequence[tuple[Entry, Danger]],
) -> Commit:
    """The fixed reply answers everything up to the last danger message; what came after it is a turn of its own.

    A flow in progress is kept, but asks again before it acts.
    """
    entries = entries[: max(list(entries).index(entry) for entry, _ in hits) + 1]
    for entry, danger in hits:
        if entry.message.id not in desk.alarmed:
            raise_alarm(services, patient, entry, danger)
    flow = conversation.flow.model_copy(update={"suspended": True}) if conversation.flow else None
    texts = [(Role.PATIENT, e.message.text) for e in entries]
    conversation = _with_turns(conversation.model_copy(update={"flow": flow}), entries, texts)
    outgoing: list[Outgoing] = []
    head = entries[0].message
    if head.channel is Channel.CHAT and all(e.message.id != head.id for e, _ in hits):
        outgoing.append(_answer_for_chat(services, head, hits[0][1]))
    ttl_s = SUSPENDED_TTL_S if flow else services.settings.CONVERSATION_TTL
    return Commit(
        entries,
        conversation,
        ttl_s,
        outgoing,
        detail={"action": "escalate", "intent": Intent.URGENCIA.value, "source": "safety"},
        counters=(field("turns_total", source="safety"), field("intents_total", intent=Intent.URGENCIA.value)),
    )


def _answer_for_chat(services: Services, message: Message, danger: Danger) -> Outgoing:
    reply = Reply(text=services.texts.escalation(danger, staff_told=False))
    delivery = Delivery(id=delivery_id(message.id, "danger"), reply=reply, created_at=services.now())
    return Outgoing(delivery, message.id, danger_answer(services, reply, danger))


def close_under_handoff(
    services: Services, patient: str, entries: Sequence[Entry], desk: Desk, conversation: Conversation
) -> Commit:
    """After an alarm the short reminder, every time; after asking for a person one line, at most every half hour."""
    handoff = dict(desk.handoff or {})
    now = services.now()
    reply: Reply | None = None
    renewed: str | None = None
    if handoff.get("reason") == "alarm":
        reply = Reply(text=services.texts.alarm_reminder(bool(handoff.get("told"))))
    else:
        told_at = datetime.fromisoformat(handoff.get("told_at") or handoff["at"])
        waits = any(e.message.channel is Channel.CHAT for e in entries)  # a caller gets an answer each time
        if waits or now - told_at >= PERSON_LINE_EVERY:
            reply = Reply(text=services.texts.get("persona_espera"))
            renewed = json.dumps(handoff | {"told_at": now.isoformat()})
    # What was meant is not asked while a person has the patient.
    prediction = Prediction(intent=Intent.HABLAR_HUMANO, confidence=1.0)
    conclusion = Conclusion(reply=reply, flow=conversation.flow, action="handoff")  # passes: it says who has them
    return close_turn(
        services, patient, entries, conclusion.remember(conversation), conclusion, prediction, handoff=renewed
    )


def close_turn(
    services: Services,
    patient: str,
    entries: Sequence[Entry],
    conversation: Conversation,
    conclusion: Conclusion,
    prediction: Prediction,
    *,
    handoff: str | None = None,
) -> Commit:
    """Put together what the turn changes."""
    now, call, call_id = services.now(), "", ""
    texts = [(Role.PATIENT, e.message.text) for e in entries]
    if conclusion.reply is not None:
        texts.append((Role.ASSISTANT, conclusion.reply.text))
    if conclusion.handoff is not None and not is_canary(services.settings, patient):
        services.alerts.incident(f"handoff_{conclusion.handoff}", "una persona debe atender a un paciente")
        call_id = f"h:{patient}"  # one line while nobody has called
        line = {"patient": patient, "kind": "handoff", "why": conclusion.handoff, "at": round(now.timestamp() * 1000)}
        if conclusion.wish is not None:  # each wish has a line of its own
            call_id, line = f"{call_id}:{conclusion.wish.key}", line | _wished(conclusion.wish)
        call = json.dumps(line)
        if conclusion.handoff == "pedido":
            handoff = json.dumps({"reason": "person", "at": now.isoformat(), "told_at": now.isoformat()})
    suspended = conversation.flow is not None and conversation.flow.suspended
    intent = conclusion.intent or prediction.intent
    detail = {
        "action": conclusion.action,
        "intent": intent.value,
        "source": prediction.source.value,
        "confidence": round(prediction.confidence, 3),
        "handoff": conclusion.handoff,
        "optout": conclusion.optout,
    }
    return Commit(
        entries=entries,
        conversation=_with_turns(conversation, entries, texts),
        conversation_ttl_s=SUSPENDED_TTL_S if suspended else services.settings.CONVERSATION_TTL,
        outgoing=[_outgoing(services, entries, conclusion, prediction, intent)] if conclusion.reply else [],
        handoff=handoff,
        optout=conclusion.optout,
        consent=json.dumps({"at": now.isoformat(), "source": conclusion.consent}) if conclusion.consent else "",
        call=call,
        call_id=call_id,
        detail=detail,
        counters=(field("turns_total", source=prediction.source.value), field("intents_total", intent=intent.value)),
    )


def _wished(wish: Wish) -> dict[str, str]:
    """What staff need to know to arrange it: days and hours, no text."""
    found = {
        "wish": wish.start.isoformat() if wish.start else "",
        "appointment": wish.appointment_id or "",
        "ref": wish.appointment_ref or "",
        "start": wish.appointment_start.isoformat() if wish.appointment_start else "",
    }
    return {name: value for name, value in found.items() if value}


def _outgoing(
    services: Services, entries: Sequence[Entry], conclusion: Conclusion, prediction: Prediction, intent: Intent
) -> Outgoing:
    head, last, now = entries[0].message, entries[-1].message, services.now()
    reply = conclusion.reply or Reply()
    delivery = Delivery(
        id=delivery_id(head.id, "reply"),
        reply=reply,
        created_at=now,
        asked_at=entries[-1].received_at + timedelta(milliseconds=services.settings.BURST_WAIT_MS),
        expires_at=window_end(services, last.at),
        covers=tuple(e.message.id for e in entries),
        # The words that hand over, the reminder of it, and the answer to BAJA.
        through_handoff=conclusion.action == "handoff" or conclusion.optout is True,
        trace=tracing.traceparent(),
    )
    if head.channel is not Channel.CHAT:
        return Outgoing(delivery)
    answered = {
        "response": reply.text,
        "intent": intent,
        "confidence": prediction.confidence,
        "action": conclusion.action,
        "params": conclusion.params,
        "buttons": [b.title for b in reply.buttons] or [row.title for row in reply.rows],
        "timestamp": now.isoformat(),
    }
    return Outgoing(delivery, head.id, json.dumps(answered, ensure_ascii=False))


def _with_turns(
    conversation: Conversation, entries: Sequence[Entry], texts: Sequence[tuple[Role, str]]
) -> Conversation:
    at = entries[-1].message.at
    turns = (*conversation.turns, *(Turn(role=role, text=text[:2000], at=at) for role, text in texts if text.strip()))
    return conversation.model_copy(update={"turns": recent(turns)})
