"""THE STORY: one turn of one patient in, one commit out. Read it from the top of `answer`.

Effects on the way: alarms (`triage.raise_alarm`), reads and one write at the appointments backend. Nothing is sent from
here: replies go into the outbox with the commit, and `deliver` sends them.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared import tracing
from shared.canary import is_canary
from shared.checkpoints import Step, reached
from shared.conversation import Appointment, Conversation, PatientRecord, Role, Turn, recent
from shared.errors import AssistantError, EngineBusy, ModelUnavailable, PromptTooLong, RetryLater, UnreadablePrediction
from shared.identity import candidate_ids
from shared.messages import Channel, Identity, Message, MessageKind
from shared.prediction import Intent, Prediction
from shared.state import addresses, audit
from shared.state.audit import Event
from shared.state.inbox import Entry
from shared.state.turns import Commit, Desk, handed_over
from workers.closing import close_alarm, close_turn, close_under_handoff
from workers.dialogue.buttons import read_choice, read_turn
from workers.dialogue.decide import conclude, decide
from workers.dialogue.decision import BackendCall, Outcome, TurnInput
from workers.language.other_language import is_other_language
from workers.partners import execute
from workers.safety.guardrails import strip_control_tokens
from workers.services import Services
from workers.triage import dangerous
from workers.understanding import read_rules, understand

if TYPE_CHECKING:
    from workers.model.reader import Reading

log = logging.getLogger(__name__)

MODEL_DEADLINE_S = 30.0
REPLY_TOKENS = 160
TYPING_WITHIN = timedelta(seconds=10)


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
    if not is_canary(services.settings, patient):  # nothing of it reaches Meta
        _show_typing(services, entries[-1])

    # 1. Danger first, without model or backend. Triage has usually answered already; doing it again changes nothing.
    if hits := dangerous(entries):
        return close_alarm(services, patient, entries, desk, conversation, hits)

    # 2. What does the patient want? A tap says it itself; a text is read by rules and model.
    identity = _identity(services, patient, messages)
    now = messages[-1].at.astimezone(services.settings.timezone)
    text, choice_id = read_turn(messages, conversation)
    text = strip_control_tokens(text)
    if desk.handoff and not _asks_to_leave(text, now, choice_id, conversation):
        # A person has this patient; BAJA always passes.
        return close_under_handoff(services, patient, entries, desk, conversation)
    if choice_id is None:
        _stop_while_loading(services, entries, text, now, conversation)
    record, appointments = _agenda(services, identity)
    if choice_id is not None:
        prediction = read_choice(choice_id, conversation).prediction
    else:
        with tracing.span("understand"):
            prediction = _understand(services, entries, text, now, conversation, record, appointments)
    log.info("turn understood", extra={"intent": prediction.intent, "source": prediction.source})
    _note_understanding(services, patient, entries, prediction)
    reached(Step.UNDERSTOOD)
    if prediction.danger is not None:  # the model saw what the rules did not
        return close_alarm(services, patient, entries, desk, conversation, [(entries[-1], prediction.danger)])

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
        may_be_reminded=record.consented or desk.agreed or desk.opted_out,
        late=_is_late(services, messages[-1]),
        other_language=is_other_language(text),
    )
    return _act(services, patient, entries, desk, conversation, identity, turn)


def _act(
    services: Services,
    patient: str,
    entries: Sequence[Entry],
    desk: Desk,
    conversation: Conversation,
    identity: Identity,
    turn: TurnInput,
) -> Commit:
    """Decide, do what was decided at the backend, and put together what the turn changes."""
    decision = decide(turn, conversation, services.known)
    if decision.needs_agenda:
        raise RetryLater("the appointments backend is unreachable")
    conclusion = decision.conclusion
    if decision.call is not None:
        if taken := handed_over(services.client, patient):  # an alarm came meanwhile: nothing is booked now
            return close_under_handoff(services, patient, entries, replace(desk, handoff=taken), conversation)
        outcome = execute(services, identity, decision.call)
        _note_backend(services, patient, entries, decision.call, outcome)
        reached(Step.BACKEND_CALLED)
        conclusion = conclude(decision, outcome, services.known)
    if conclusion is None:
        raise AssistantError("a decision without call or conclusion")
    return close_turn(services, patient, entries, conclusion.remember(conversation), conclusion, turn.prediction)


def _note_understanding(services: Services, patient: str, entries: Sequence[Entry], prediction: Prediction) -> None:
    info = services.model.info
    audit.note(
        services.client,
        Event.UNDERSTOOD,
        patient,
        [entry.message.id for entry in entries],
        intent=prediction.intent.value,
        confidence=round(prediction.confidence, 3),
        source=prediction.source.value,
        model=(info.revision or info.name) if info else None,
        danger=prediction.danger.category.value if prediction.danger else None,
    )


def _note_backend(
    services: Services, patient: str, entries: Sequence[Entry], call: BackendCall, outcome: Outcome
) -> None:
    ids = [entry.message.id for entry in entries]
    told = {"call": type(call).__name__.lower(), "outcome": type(outcome).__name__.lower()}
    audit.note(services.client, Event.BACKEND, patient, ids, **told)


def seeded(message: Message) -> Conversation:
    """A new conversation; earlier turns that a caller of POST /chat sent along are its history."""
    turns = tuple(
        Turn(role=Role.PATIENT if role == "user" else Role.ASSISTANT, text=text, at=message.at)
        for role, text in message.seed
    )
    return Conversation(turns=recent(turns))


def new_number(message_id: str) -> str:
    """The one-time number of whatever is asked in this turn: unguessable, and the same when the turn is repeated."""
    return hashlib.blake2b(f"{message_id}:flow".encode(), digest_size=6).hexdigest()


def _asks_to_leave(text: str, now: datetime, choice_id: str | None, conversation: Conversation) -> bool:
    if choice_id is not None:
        return read_choice(choice_id, conversation).prediction.intent is Intent.BAJA
    return read_rules(text, now, None).reading.intent is Intent.BAJA


def _show_typing(services: Services, entry: Entry) -> None:
    """Mark as read and show that we write; not again when the turn is repeated later."""
    message = entry.message
    if services.now() - entry.received_at > TYPING_WITHIN:
        return
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
        visits = tuple(services.appointments.of_patient(phone))
        services.alerts.resolve("backend_down")
        return record, visits
    except AssistantError as error:
        services.metrics.count("backend_failures_total", cause=type(error).__name__)
        log.warning("appointments backend unavailable", extra={"cause": type(error).__name__})
        services.alerts.incident("backend_down", type(error).__name__)
        return PatientRecord(), None
    finally:
        services.metrics.observe("backend_seconds", time.perf_counter() - began)


def _stop_while_loading(
    services: Services, entries: Sequence[Entry], text: str, now: datetime, conversation: Conversation
) -> None:
    """Hold a turn that needs the model while it loads, before anything is asked of a partner: it comes each second.

    Raises:
        ModelUnavailable: look again in a moment.
    """
    waited_s = (services.now() - entries[0].received_at).total_seconds()
    may_wait = services.model.state == "loading" and waited_s < services.settings.MODEL_WAIT_S
    state = conversation.flow.state if conversation.flow else None
    if may_wait and text.strip() and read_rules(text, now, state).needs_model:
        raise ModelUnavailable("the model is loading")


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

    def ask_model(needs_reply: bool) -> Reading | None:
        reader = services.model.reader_or_none()
        if reader is None or not text.strip():
            services.metrics.count("model_skipped_total", cause=services.model.state)
            return None
        began = time.perf_counter()
        try:
            with tracing.span("model"):
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
