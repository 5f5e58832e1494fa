"""Replies on their way to Meta: one queue per patient and lane, what is sending, sent, unknown or failed.

`workers.deliver` sends, one lane of one patient at a time; `webhook` notes the statuses that Meta returns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import redis

from shared.errors import UnreadableSecret
from shared.logs import bind
from shared.messages import Delivery, DeliveryState, StatusUpdate
from shared.state.at_rest import read_delivery, sent_key
from shared.state.store import NotReplicated, Value, cipher_of, script

log = logging.getLogger(__name__)

REMEMBER_S = 8 * 86400
UNREADABLE_WAIT_MS = 10_000  # a worker with the right key may be starting
NO_REPLICA_WAIT_MS = 1000
REMINDERS_SHARE = 0.7  # of the number's throughput: sends reach Meta in bunches, and what comes in counts too
LANES = ("urgent", "normal", "reminder")


class Claim(StrEnum):
    SEND = "send"
    EMPTY = "empty"
    WAIT = "wait"  # the head is unknown and waits for its status
    LOST = "lost"  # the lease is not ours any more


@dataclass(frozen=True, slots=True)
class Claimed:
    kind: Claim
    raw: str = ""
    delivery: Delivery | None = None
    attempts: int = 0
    pair_refusals: int = 0  # how often Meta refused it for the pair rate


def clock_of(lane: str) -> str:
    """The zset that says when a lane is to be looked at: reminders have one of their own, to be rung at a pace."""
    return "reminders" if lane == "reminder" else "outgoing"


def head(client: redis.Redis, patient: str, lane: str) -> Delivery | None:
    """The delivery that would be sent next, without touching it."""
    raw = client.lindex(f"outbox:{patient}:{lane}", 0)
    return read_delivery(str(raw), cipher_of(client)) if raw else None


def claim(
    client: redis.Redis, patient: str, lane: str, token: str, *, settle_ms: int, pace_ms: float = 12.5
) -> Claimed:
    """Mark the head of a lane as being sent by `token` and return it, or say why there is nothing to send.

    Behind Sentinel a replica knows of the mark, and of all that came before it, when this returns.

    Args:
        client: state store.
        patient, lane, token: the lane and its lease.
        settle_ms: how long an unknown send waits for its status.
        pace_ms: share of the number's throughput that one message takes.

    Raises:
        UnreadableSecret: no key of ours fits; it is queued again.
    """
    box = f"{patient}:{lane}"
    keys = [f"lease:{box}", f"outbox:{box}", clock_of(lane), "throughput", f"handoff:{patient}", f"paced:{patient}"]
    keys.append("reminder_pace")
    args: list[Value] = [token, box, settle_ms, patient, pace_ms, pace_ms / REMINDERS_SHARE]
    try:
        kind, *rest = script("claim").kept(client, [(keys, args)])[0]
    except NotReplicated as late:  # after a failover nobody would know of this send: it is not made
        kind, *rest = late.results[0]
        if kind == Claim.SEND:
            queued = DeliveryState.QUEUED
            _unsent(client, patient, lane, token, rest[0], queued, wait_ms=NO_REPLICA_WAIT_MS, why="replica")
            return Claimed(Claim.WAIT)
    if kind != Claim.SEND:
        return Claimed(Claim(kind))
    raw, attempts, pair_refusals = rest
    try:
        delivery = read_delivery(raw, cipher_of(client))
    except UnreadableSecret:  # certainly not sent
        _unsent(client, patient, lane, token, raw, DeliveryState.QUEUED, wait_ms=UNREADABLE_WAIT_MS, why="key")
        raise
    return Claimed(Claim.SEND, raw, delivery, int(attempts), int(pair_refusals))


def mark_sent(
    client: redis.Redis, patient: str, lane: str, claimed: Claimed, wamid: str, *, by_meta: bool = True
) -> None:
    """Note that Meta accepted a delivery and take it out of the outbox.

    Args:
        by_meta: False for what stops at our door: it says nothing of whether Meta works.
    """
    if claimed.delivery is None:
        raise ValueError("nothing was claimed")
    keys = [f"delivery:{claimed.delivery.id}", f"outbox:{patient}:{lane}", sent_key(wamid)]
    script("sent")(client, keys, [claimed.raw, claimed.delivery.id, REMEMBER_S, patient, int(by_meta)])


def mark_unsent(
    client: redis.Redis,
    patient: str,
    lane: str,
    token: str,
    claimed: Claimed,
    state: DeliveryState,
    *,
    wait_ms: int = 0,
    code: str = "",
    letter: str = "",
    why: str = "",
    again: bool = False,
) -> bool:
    """Put a delivery back (`queued`), leave it `unknown`, drop it, or give it up (`failed`).

    A failed one becomes a dead letter, or, without `letter`, a line of the staff call list.

    Args:
        why: for the audit.
        again: a dropped reminder's visit may be planned anew.
    """
    if claimed.delivery is None:
        raise ValueError("nothing was claimed")
    return _unsent(
        client,
        patient,
        lane,
        token,
        claimed.raw,
        state,
        wait_ms=wait_ms,
        code=code,
        letter=letter,
        why=why,
        again=again,
    )


def _unsent(
    client: redis.Redis,
    patient: str,
    lane: str,
    token: str,
    raw: str,
    state: DeliveryState,
    *,
    wait_ms: int = 0,
    code: str = "",
    letter: str = "",
    why: str = "",
    again: bool = False,
) -> bool:
    box, id_ = f"{patient}:{lane}", raw.partition("|")[0]
    keys = [f"delivery:{id_}", f"outbox:{box}", clock_of(lane), "dead", f"lease:{box}"]
    args: list[Value] = [token, raw, state, box, wait_ms, code, letter, patient, id_, why, int(again)]
    return bool(script("unsent")(client, keys, args))


def release(client: redis.Redis, patient: str, lane: str, token: str, *, wait_ms: int = 0) -> int:
    """Give a lane back, to be looked at again in `wait_ms`; returns deliveries left, -1 if the lease was not ours."""
    box = f"{patient}:{lane}"
    return int(script("release")(client, [f"lease:{box}", f"outbox:{box}", clock_of(lane)], [token, box, wait_ms]))


def note_replayed(client: redis.Redis) -> None:
    """Say that statuses of an outage of Redis are still coming in: what waits for one waits anew."""
    script("back")(client, [], [])


def note_statuses(client: redis.Redis, statuses: Sequence[StatusUpdate]) -> int:
    """Store delivery statuses in one round trip; returns how many were ours and moved forward."""
    calls: list[tuple[list[str], list[Value]]] = [
        (
            [sent_key(s.wamid), "outgoing", "dead"],
            [s.delivery_id or "", s.status, "" if s.error_code is None else s.error_code],
        )
        for s in statuses
    ]
    if not calls:
        return 0
    noted = 0
    for status, (moved, delivery, *covers) in zip(statuses, script("status").kept(client, calls), strict=True):
        if moved:
            noted += 1
            with bind(delivery=delivery, message=covers[0].partition(" ")[0]):
                log.info("status noted", extra={"status": status.status, "code": status.error_code})
    return noted
