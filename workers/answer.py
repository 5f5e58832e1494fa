"""THE STORY: one turn of one patient in, one commit out. Read it from the top of `answer`.

Effects on the way: alarms (`triage.raise_alarm`), reads and one write at the appointments backend. Nothing is sent from
here: replies go into the outbox with the commit, and `deliver` sends them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.checkpoints import Step, reached
from shared.conversation import MAX_TURNS, Appointment, Conversation, PatientRecord, Role, Turn
from shared.errors import AssistantError, EngineBusy, ModelUnavailable, PromptTooLong, RetryLater, UnreadablePrediction
from shared.identity import candidate_ids
from shared.messages import Channel, Delivery, Identity, Message, MessageKind, Reply
from shared.metrics import field
from shared.prediction import Danger, Intent, Prediction
from shared.state import addresses
from shared.state.inbox import Commit, Desk, Entry, Outgoing
from workers.dialogue.buttons import read_choice, read_turn
from workers.dialogue.decide import conclude, decide
from workers.dialogue.decision import Conclusion, TurnInput
from workers.language.other_language import is_other_language
from workers.partners import execute
from workers.safety.guardrails import strip_control_tokens
from workers.services import Services
from workers.triage import danger_answer, dangerous, delivery_id, raise_alarm, window_end
from workers.understanding import read_rules, understand

if TYPE_CHECKING:
    from workers.model.reader import Reading

log = logging.getLogger(__name__)

SUSPENDED_TTL_S = 86400  # a flow interrupted by an alarm is kept a day
PERSON_LINE_EVERY = timedelta(minutes=30)
MODEL_DEADLINE_S = 30.0
REPLY_TOKENS = 160


def answer(services: Services, patient: str, entries: Sequence[Entry], desk: Desk) -> Commit:
    """Answer one turn.

    Args:
        services: the side effects.
        patient: opaque id.
        entries: the turn's messages, oldest first, at least one.
        desk: what is remembered of the patient.

    Raises:
        ModelUnavailable: the model is still loading; look again in a moment.
        RetryLater: a partner is down; the turn is repeated later, in order.
    """
    messages = tuple(entry.message for entry in entries)
    conversation = desk.conversation or seeded(messages[-1])
    _show_typing(services, messages[-1])

    # 1. Danger first, without model or backend. Triage has usually answered already; doing it again changes nothing.
    if hits := dangerous(entries):
        return _alarm(services, patient, entries, desk, conversation, hits)

    # 2. What does the patient want? A tap says it itself; a text is read by rules and model.
    identity = _identity(services, patient, messages)
    now = messages[-1].at.astimezone(services.settings.timezone)
    text, choice_id = read_turn(messages, conversation)
    text = strip_control_tokens(text)
    if desk.handoff and not _asks_to_leave(text, now, choice_id, conversation):
        return _under_handoff(
            services, patient, entries, desk, conversation
        )  # a person has this patient; BAJA always passes
    record, appointments = _agenda(services, identity)
    if choice_id is not None:
        prediction = read_choice(choice_id, conversation).prediction
    else:
        prediction = _understand(services, entries, text, now, conversation, record, appointments)
    reached(Step.UNDERSTOOD)
    if prediction.danger is not None:  # the model saw what the rules did not
        return _alarm(services, patient, entries, desk, conversation, [(entries[-1], prediction.danger)])

    # 3. Decide, do it, and say what was done.
    turn = TurnInput(
        messages=messages,
        text=text,
        prediction=prediction,
        now=now,
        new_number=new_number(messages[-1].id),
        identity_known=identity.number is not None,
        record=record,
        appointments=appointments,
        choice_id=choice_id,
        late=_is_late(services, messages[-1]),
        other_language=is_other_language(text),
    )
    decision = decide(turn, conversation, services.known)
    if decision.needs_agenda:
        raise RetryLater("the appointments backend is unreachable")
    conclusion = decision.conclusion
    if decision.call is not None:
        outcome = execute(services, identity, decision.call)
        reached(Step.BACKEND_CALLED)
        conclusion = conclude(decision, outcome, services.known)
    if conclusion is None:
        raise AssistantError("a decision without call or conclusion")
    return _commit(services, patient, entries, conclusion.remember(conversation), conclusion, prediction)


def seeded(message: Message) -> Conversation:
    """A new conversation; earlier turns that a caller of POST /chat sent along are its history."""
    turns = tuple(
        Turn(role=Role.PATIENT if role == "user" else Role.ASSISTANT, text=text, at=message.at)
        for role, text in message.seed
    )
    return Conversation(turns=turns[-MAX_TURNS:])


def new_number(message_id: str) -> str:
    """The one-time number of whatever is asked in this turn: unguessable, and the same when the turn is repeated."""
    return hashlib.blake2b(f"{message_id}:flow".encode(), digest_size=6).hexdigest()


def _asks_to_leave(text: str, now: datetime, choice_id: str | None, conversation: Conversation) -> bool:
    if choice_id is not None:
        return read_choice(choice_id, conversation).prediction.intent is Intent.BAJA
    return read_rules(text, now, None).reading.intent is Intent.BAJA


def _show_typing(services: Services, message: Message) -> None:
    if message.channel is Channel.WHATSAPP and message.wamid and message.kind is not MessageKind.REACTION:
        services.background.submit(services.whatsapp.mark_read, message.wamid)


def _identity(services: Services, patient: str, messages: Sequence[Message]) -> Identity:
    """Where the patient can be reached; a number shared on our request is learnt here."""
    shared_number = next((m.contact_phone for m in reversed(messages) if m.contact_phone), None)
    identity = addresses.address_of(services.client, patient)
    if shared_number and identity.number is None:
        learnt = Identity(number=shared_number)
        addresses.learn(services.client, patient, learnt, candidate_ids(services.settings.patient_id_key, learnt))
        return identity.model_copy(update={"number": shared_number})
    return identity


def _agenda(services: Services, identity: Identity) -> tuple[PatientRecord, tuple[Appointment, ...] | None]:
    """What the backend knows of the patient; (nothing, None) when it cannot be reached: much can be said without."""
    if identity.number is None:
        return PatientRecord(), ()
    phone = "+" + identity.number
    began = time.perf_counter()
    try:
        record = services.appointments.patient(phone)
        return record, tuple(services.appointments.of_patient(phone))
    except AssistantError as error:
        log.warning("appointments backend unavailable", extra={"cause": type(error).__name__})
        services.alerts.incident("backend_down", type(error).__name__)
        return PatientRecord(), None
    finally:
        services.metrics.observe("backend_seconds", time.perf_counter() - began)


def _understand(
    services: Services,
    entries: Sequence[Entry],
    text: str,
    now: datetime,
    conversation: Conversation,
    record: PatientRecord,
    appointments: tuple[Appointment, ...] | None,
) -> Prediction:
    message = entries[-1].message
    state = conversation.flow.state if conversation.flow else None
    waited_s = (services.now() - entries[0].received_at).total_seconds()
    may_wait = services.model.state == "loading" and waited_s < services.settings.MODEL_WAIT_S
    if may_wait and text.strip() and read_rules(text, now, state).needs_model:
        raise ModelUnavailable("the model is loading")

    def ask_model(needs_reply: bool) -> Reading | None:
        reader = services.model.reader_or_none()
        if reader is None or not text.strip():
            services.metrics.count("model_skipped_total", cause=services.model.state)
            return None
        began = time.perf_counter()
        try:
            return reader.read(
                record=record,
                appointments=appointments or (),
                state=state,
                turns=conversation.turns,
                question=text,
                tz=services.settings.timezone,
                needs_reply=needs_reply,
                max_new_tokens=message.max_new_tokens or REPLY_TOKENS,
                temperature=message.temperature or 0.0,
                deadline_s=MODEL_DEADLINE_S,
            )
        except (EngineBusy, PromptTooLong, UnreadablePrediction) as error:
            services.metrics.count("model_skipped_total", cause=type(error).__name__)
            log.warning("answered without the model", extra={"cause": type(error).__name__})
            return None
        finally:
            services.metrics.observe("model_seconds", time.perf_counter() - began)

    return understand(text, now, state, ask_model)


def _is_late(services: Services, message: Message) -> bool:
    limit_h = services.settings.LATE_MESSAGE_HOURS
    return bool(limit_h) and services.now() - message.at > timedelta(hours=limit_h)


def _alarm(
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
        counters=(field("turns_total", source="safety"), field("intents_total", intent=Intent.URGENCIA.value)),
    )


def _answer_for_chat(services: Services, message: Message, danger: Danger) -> Outgoing:
    reply = Reply(text=services.texts.escalation(danger, staff_told=False))
    delivery = Delivery(id=delivery_id(message.id, "danger"), reply=reply, created_at=services.now())
    return Outgoing(delivery, message.id, danger_answer(services, reply, danger))


def _under_handoff(
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
    conclusion = Conclusion(reply=reply, flow=conversation.flow, action="handoff")
    return _commit(
        services, patient, entries, conclusion.remember(conversation), conclusion, prediction, handoff=renewed
    )


def _commit(
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
    now, call = services.now(), ""
    texts = [(Role.PATIENT, e.message.text) for e in entries]
    if conclusion.reply is not None:
        texts.append((Role.ASSISTANT, conclusion.reply.text))
    if conclusion.handoff is not None:
        services.alerts.incident(f"handoff_{conclusion.handoff}", "una persona debe atender a un paciente")
        call = json.dumps({"patient": patient, "kind": "handoff", "why": conclusion.handoff, "at": now.isoformat()})
        if conclusion.handoff == "pedido":
            handoff = json.dumps({"reason": "person", "at": now.isoformat(), "told_at": now.isoformat()})
    suspended = conversation.flow is not None and conversation.flow.suspended
    intent = conclusion.intent or prediction.intent
    return Commit(
        entries=entries,
        conversation=_with_turns(conversation, entries, texts),
        conversation_ttl_s=SUSPENDED_TTL_S if suspended else services.settings.CONVERSATION_TTL,
        outgoing=[_outgoing(services, entries, conclusion, prediction, intent)] if conclusion.reply else [],
        handoff=handoff,
        optout=conclusion.optout,
        call=call,
        counters=(field("turns_total", source=prediction.source.value), field("intents_total", intent=intent.value)),
    )


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
    return conversation.model_copy(update={"turns": turns[-MAX_TURNS:]})
