"""One patient's waiting messages, in order, by one worker at a time: lease, read, answer, commit.

A crash before the commit repeats the turn, a crash after it repeats nothing. Failures of a partner wait and do not
count; after three failures of the turn itself its messages are set aside, the patient is told once, staff hear of it,
and the next message has its turn.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from shared import tracing
from shared.celery_app import TaskName
from shared.checkpoints import Step, reached
from shared.errors import AssistantError, ModelUnavailable, RetryLater
from shared.logs import bind
from shared.messages import Channel, Delivery, MessageKind, Reply
from shared.state import audit, turns
from shared.state.audit import Event
from shared.state.inbox import Entry, Outgoing
from shared.state.turns import CommitResult, Desk
from workers.answer import answer
from workers.services import Services
from workers.triage import WINDOW, delivery_id, window_end

log = logging.getLogger(__name__)

TURNS_PER_DRAIN = 10  # then others have their turn
MESSAGES_PER_TURN = 50
MODEL_POLL_MS = 1000
TRIES = 3
WAITS_S = (2, 10, 30, 60)  # before the next try; the last one repeats
LONGEST_BURST = 8  # quiet times, as in accept.lua


class TurnEnd(NamedTuple):
    """How a turn ended."""

    goes_on: bool  # more lies in the inbox; False too when the patient has to wait or belongs to another worker
    replied: bool  # a reply lies in the outbox for which nobody was rung yet


WAITS = TurnEnd(goes_on=False, replied=False)


def drain(services: Services, patient: str) -> bool:
    """Answer what this patient wrote; leave at once if another worker does it already.

    Returns:
        True when a reply lies in the outbox, to be delivered now: the caller does it, so that no bell need be rung.
    """
    if services.stopping.is_set() or not services.turns.take():
        turns.keep_place(services.client, patient)
        return False
    try:
        token = services.leases.take(patient)
        if token is None:
            return False
        try:
            with bind(patient=patient):
                return _drain_with_lease(services, patient, token)
        finally:
            services.leases.forget(patient)
    finally:
        services.turns.leave()


def _drain_with_lease(services: Services, patient: str, token: str) -> bool:
    reached(Step.LEASED)
    end = WAITS
    for _ in range(TURNS_PER_DRAIN):
        desk = turns.read_desk(services.client, patient, at_most=MESSAGES_PER_TURN)
        if not desk.entries:
            break
        if wait_ms := max(desk.delay_ms, quiet_in_ms(services, desk.entries)):
            turns.release(services.client, patient, token, wait_ms)
            return end.replied
        if end.replied:
            services.ring(TaskName.DELIVER_OUTBOX, patient, "normal")  # it need not wait for the next turn
        end = _one_turn(services, patient, token, desk)
        if not end.goes_on or services.stopping.is_set():
            break
    turns.release(services.client, patient, token, 0)
    return end.replied


def _one_turn(services: Services, patient: str, token: str, desk: Desk) -> TurnEnd:
    """Answer the first turn on the desk."""
    entries = next_turn(desk.entries)
    ids = [entry.message.id for entry in entries]
    head = entries[0].message
    others = [entry.message.trace for entry in entries[1:]]
    with (
        bind(message=head.id),
        tracing.span("turn", head.trace, links=others, message=head.id, patient=patient, messages=len(ids)),
    ):
        log.info("turn drained", extra={"messages": len(ids)})
        told = _waits_for_the_model(services, entries)  # and looks every second: said once is enough
        if not told:
            audit.note(services.client, Event.DRAINED, patient, ids, worker=services.name, messages=len(ids))
        try:
            commit = answer(services, patient, entries, desk)
            with tracing.span("commit"):
                result, left = turns.commit(services.client, patient, token, commit)
        except ModelUnavailable:
            if not told:
                _note_waiting(services, patient, ids, "model", MODEL_POLL_MS / 1000)
            turns.release(services.client, patient, token, MODEL_POLL_MS)  # loading: look again soon
            return WAITS
        except AssistantError as error:
            return _failed(services, patient, token, entries, error)
        except Exception as error:
            log.exception("turn failed")
            services.alerts.incident("turn_failed", type(error).__name__)
            return _failed(services, patient, token, entries, error)
        reached(Step.COMMITTED)
        if result is CommitResult.LEASE_LOST:
            services.metrics.count("leases_lost_total")
            log.warning("lease lost, another worker has this patient")
            return WAITS
        if result is CommitResult.NOT_REPLICATED:
            log.warning("no replica has this turn yet: whoever sweeps sends its reply")
            return WAITS
        log.info("turn committed", extra={"replies": len(commit.outgoing)})
        ended = turn_ready_at(services, entries)
        services.metrics.observe("turn_seconds", max(0.0, (services.now() - ended).total_seconds()))
        return TurnEnd(goes_on=left > 0, replied=any(out.answer_to is None for out in commit.outgoing))


def next_turn(entries: Sequence[Entry]) -> list[Entry]:
    """The messages that are answered together (pure).

    A burst of WhatsApp messages is one turn; a tap is a turn of its own, because it means one thing; each caller of
    POST /chat waits for a reply of its own.
    """

    def alone(entry: Entry) -> bool:
        return entry.message.kind is MessageKind.CHOICE or entry.message.channel is Channel.CHAT

    if alone(entries[0]):
        return [entries[0]]
    turn: list[Entry] = []
    for entry in entries:
        if alone(entry):
            break
        turn.append(entry)
    return turn


def quiet_in_ms(services: Services, entries: Sequence[Entry]) -> int:
    """How long until the patient has paused long enough to be answered; 0 when the turn may begin."""
    turn = next_turn(entries)
    left = turn_ready_at(services, turn) - services.now()
    return max(0, round(left.total_seconds() * 1000))


def turn_ready_at(services: Services, turn: Sequence[Entry]) -> datetime:
    """When the burst of this turn is over."""
    quiet = timedelta(milliseconds=services.settings.BURST_WAIT_MS)
    if turn[0].message.channel is Channel.CHAT:
        return turn[0].received_at
    return min(turn[-1].received_at + quiet, max(turn[-1].received_at, turn[0].received_at + LONGEST_BURST * quiet))


def _failed(services: Services, patient: str, token: str, entries: Sequence[Entry], error: Exception) -> TurnEnd:
    """Wait and try again, or give the turn up."""
    head = entries[0].message
    partner_down = isinstance(error, AssistantError) and error.retry and getattr(error, "partner_down", True)
    own, partner = turns.count_failure(services.client, head.id, own=not partner_down)
    services.metrics.count("turns_failed_total", cause=type(error).__name__)
    expired = bool(services.settings.LATE_MESSAGE_HOURS) and services.now() > head.at + WINDOW
    refused = isinstance(error, AssistantError) and not error.retry
    if own >= TRIES or expired or refused:
        _give_up(services, patient, token, entries, type(error).__name__, can_speak=not expired)
        return TurnEnd(goes_on=True, replied=False)
    tries = partner if partner_down else own
    wait_s = getattr(error, "after_s", None) if isinstance(error, RetryLater) else None
    wait_s = wait_s if wait_s is not None else WAITS_S[min(tries, len(WAITS_S)) - 1]
    log.warning("turn will be tried again", extra={"cause": type(error).__name__, "tries": tries, "wait_s": wait_s})
    _note_waiting(services, patient, [e.message.id for e in entries], type(error).__name__, wait_s)
    turns.postpone(services.client, patient, token, round(wait_s * 1000), as_delay=True)
    return WAITS


def _give_up(
    services: Services, patient: str, token: str, entries: Sequence[Entry], cause: str, *, can_speak: bool
) -> None:
    head, last = entries[0].message, entries[-1].message
    now = services.now()
    letter = json.dumps(
        {"patient": patient, "why": cause, "at": now.isoformat(), "entries": [entry.raw for entry in entries]}
    )
    apology = None
    if can_speak:
        reply = Reply(text=services.texts.get("fallo"))
        delivery = Delivery(
            id=delivery_id(head.id, "apology"),
            reply=reply,
            created_at=now,
            expires_at=window_end(services, last.at),
            covers=tuple(e.message.id for e in entries),
            apology=True,
            trace=tracing.traceparent(),
        )
        to_chat = head.channel is Channel.CHAT
        answer_text = json.dumps(
            {"response": reply.text, "intent": None, "confidence": 0.0, "action": "failed", "params": {}, "buttons": []}
            | {"timestamp": now.isoformat()},
            ensure_ascii=False,
        )
        apology = Outgoing(delivery, head.id if to_chat else None, answer_text if to_chat else "")
    detail = json.dumps({"why": cause})
    result, _ = turns.give_up(services.client, patient, token, entries, letter, apology, detail=detail)
    if result is CommitResult.DONE:
        log.error("turn given up", extra={"cause": cause, "messages": len(entries)})
        services.alerts.incident("dead_letter", cause)
        services.ring(TaskName.DELIVER_OUTBOX, patient, "normal")


def _waits_for_the_model(services: Services, entries: Sequence[Entry]) -> bool:
    """True when this turn has been looking for a loading model for some time already."""
    waited = services.now() - turn_ready_at(services, entries)
    return services.model.state == "loading" and waited > timedelta(milliseconds=2 * MODEL_POLL_MS)


def _note_waiting(services: Services, patient: str, ids: Sequence[str], why: str, wait_s: float) -> None:
    audit.note(services.client, Event.WAITS, patient, ids, why=why, wait_s=wait_s)
