"""One queue of messages per patient, answered in order by one worker at a time.

`webhook` accepts; `workers` triage, take the lease, drain and commit. Every function is one round trip.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import redis

from shared.conversation import Conversation
from shared.messages import Delivery, Identity, Message
from shared.state.store import Value, script

SEEN_TTL_S = 8 * 86400  # Meta repeats a webhook for up to seven days
ADDRESS_TTL_S = 90 * 86400
HANDOFF_TTL_S = 86400
RING_AGAIN_MS = 2000  # a doorbell that nobody answered is rung again by the sweep after this


class Accepted(IntEnum):
    DUPLICATE = 0
    NEW = 1
    OVER_LIMIT = 2


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message on its way into an inbox. `ids`: candidate patient ids, the surest first."""

    message: Message
    identity: Identity
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One inbox item exactly as stored, so that it can be removed exactly."""

    raw: str
    received_at: datetime
    message: Message

    @classmethod
    def read(cls, raw: str) -> Entry:
        received_ms, _, body = raw.partition("|")
        return cls(raw, datetime.fromtimestamp(int(received_ms) / 1000, UTC), Message.from_json(body))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply of a turn: to the outbox, or to the caller of POST /chat who waits for `answer_to`."""

    delivery: Delivery
    answer_to: str | None = None  # message id
    answer: str = ""  # JSON for the caller


@dataclass(frozen=True, slots=True)
class Commit:
    """All that a turn changes, written in one step."""

    entries: Sequence[Entry]
    conversation: Conversation
    conversation_ttl_s: int
    outgoing: Sequence[Outgoing] = ()
    handoff: str | None = None  # json; "-" ends it
    optout: bool | None = None  # True: no more proactive messages; False: back
    counters: Sequence[str] = ()
    call: str = ""  # JSON line for the staff call list


class CommitResult(IntEnum):
    LEASE_LOST = 0
    DONE = 1
    DONE_BEFORE = 2


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies before the worker who took a patient's lease."""

    entries: list[Entry]
    conversation: Conversation | None
    handoff: dict[str, Any] | None
    opted_out: bool
    delay_ms: int
    alarmed: frozenset[str] = field(default_factory=frozenset)  # message ids whose fixed reply is queued


def accept(
    client: redis.Redis, arrivals: Sequence[Arrival], *, burst_ms: int, limit_per_minute: int
) -> list[tuple[Accepted, str]]:
    """Put messages durably into their patients' inboxes, each once, in one round trip.

    Returns:
        Per arrival what became of it, and the patient id.
    """
    calls: list[tuple[list[str], list[Value]]] = []
    for arrival in arrivals:
        message = arrival.message
        wait_ms = burst_ms if message.channel == "whatsapp" else 0
        keys = [f"seen:{message.id}", "waiting", "fresh"]
        args: list[Value] = [
            message.to_json(),
            message.id,
            SEEN_TTL_S,
            wait_ms,
            limit_per_minute,
            arrival.identity.number or "",
            arrival.identity.user_id or "",
            ADDRESS_TTL_S,
            *arrival.ids,
        ]
        calls.append((keys, args))
    results = script("accept").many(client, calls)
    return [(Accepted(code), patient) for code, patient in results]


def unsearched(client: redis.Redis, patients: Sequence[str]) -> dict[str, list[Entry]]:
    """Read the inboxes of several patients in one round trip, for triage."""
    with client.pipeline(transaction=False) as pipe:
        for patient in patients:
            pipe.lrange(f"inbox:{patient}", 0, -1)
        found = pipe.execute()
    return {p: readable(client, p, rows) for p, rows in zip(patients, found, strict=True)}


def readable(client: redis.Redis, patient: str, rows: Sequence[str]) -> list[Entry]:
    """Read stored items; one that cannot be read goes to the dead letters instead of standing in the way."""
    entries = []
    for raw in rows:
        try:
            entries.append(Entry.read(raw))
        except ValueError:
            with client.pipeline(transaction=True) as pipe:
                pipe.lrem(f"inbox:{patient}", 1, raw)
                pipe.lpush("dead", json.dumps({"patient": patient, "why": "unreadable", "entries": [raw]}))
                pipe.execute()
    return entries


def mark_searched(client: redis.Redis, newest: dict[str, datetime | None]) -> None:
    """Note up to which message each patient's inbox was searched for danger signs; None: it was empty."""
    args: list[Value] = []
    for patient, received_at in newest.items():
        args += [patient, round(received_at.timestamp() * 1000) if received_at else 0]
    if args:
        script("triaged")(client, ["fresh"], args)


def raise_alarm(
    client: redis.Redis, patient: str, message_id: str, outgoing: Outgoing, *, handoff: str, level: str
) -> bool:
    """Queue the fixed reply to a danger message at the head of everything; False if it was queued before."""
    delivery = outgoing.delivery
    to_chat = outgoing.answer_to is not None
    box = f"answer:{outgoing.answer_to}" if to_chat else f"outbox:{patient}:urgent"
    entry = outgoing.answer if to_chat else f"{delivery.id}|{delivery.to_json()}"
    keys = [f"alarmed:{message_id}", f"handoff:{patient}", box, "outgoing", f"delivery:{delivery.id}"]
    member = "" if to_chat else f"{patient}:urgent"
    args: list[Value] = [SEEN_TTL_S, handoff, HANDOFF_TTL_S, entry, member, RING_AGAIN_MS, delivery.kind, level]
    return bool(script("alarm")(client, keys, args))


def already_alarmed(client: redis.Redis, message_ids: Iterable[str]) -> set[str]:
    ids = list(message_ids)
    if not ids:
        return set()
    found = client.mget([f"alarmed:{i}" for i in ids])
    return {i for i, value in zip(ids, found, strict=True) if value}


def read_desk(client: redis.Redis, patient: str, *, at_most: int) -> Desk:
    """Read all that a turn starts from. Call only while holding the patient's lease."""
    with client.pipeline(transaction=False) as pipe:
        pipe.lrange(f"inbox:{patient}", 0, at_most - 1)
        pipe.get(f"conversation:{patient}")
        pipe.get(f"handoff:{patient}")
        pipe.exists(f"optout:{patient}")
        pipe.pttl(f"delay:{patient}")
        rows, conversation, handoff, optout, delay_ms = pipe.execute()
    entries = readable(client, patient, rows)
    return Desk(
        entries=entries,
        conversation=Conversation.from_json(conversation) if conversation else None,
        handoff=json.loads(handoff) if handoff else None,
        opted_out=bool(optout),
        delay_ms=max(0, delay_ms),
        alarmed=frozenset(already_alarmed(client, (e.message.id for e in entries))),
    )


def commit(client: redis.Redis, patient: str, token: str, turn: Commit) -> tuple[CommitResult, int]:
    """Close a turn atomically; refused when the lease is no longer ours.

    Returns:
        What happened, and how many messages are left in the inbox.
    """
    box = f"{patient}:normal"
    keys = [
        f"lease:{patient}",
        f"inbox:{patient}",
        "waiting",
        f"conversation:{patient}",
        f"outbox:{box}",
        "outgoing",
        f"handoff:{patient}",
        f"optout:{patient}",
        f"delay:{patient}",
        "calls",
    ]
    optout = "" if turn.optout is None else str(int(turn.optout))
    args: list[Value] = [
        token,
        patient,
        turn.conversation.to_json(),
        turn.conversation_ttl_s,
        box,
        RING_AGAIN_MS,
        turn.handoff or "",
        HANDOFF_TTL_S,
        optout,
        " ".join(turn.counters),
        turn.call,
        len(turn.entries),
        *(entry.raw for entry in turn.entries),
    ]
    for out in turn.outgoing:
        if out.answer_to is not None:
            args += ["answer", f"answer:{out.answer_to}", "", out.answer, ""]
        else:
            entry = f"{out.delivery.id}|{out.delivery.to_json()}"
            covers = " ".join(out.delivery.covers)
            args += ["outbox", f"delivery:{out.delivery.id}", out.delivery.kind, entry, covers]
    code, left = script("commit")(client, keys, args)
    return CommitResult(code), left


def postpone(client: redis.Redis, patient: str, token: str, wait_ms: int, *, as_delay: bool) -> None:
    """Give the lease back and ring again in `wait_ms`; `as_delay` also holds back messages that come meanwhile."""
    if as_delay:
        client.set(f"delay:{patient}", "1", px=max(1, wait_ms))
    release(client, patient, token, wait_ms)


def release(client: redis.Redis, patient: str, token: str, ring_ms: int) -> int:
    """Give the lease back; returns messages left, -1 if the lease was not ours."""
    keys = [f"lease:{patient}", f"inbox:{patient}", "waiting"]
    return int(script("release")(client, keys, [token, patient, ring_ms]))


def count_failure(client: redis.Redis, message_id: str, *, own: bool) -> tuple[int, int]:
    """Count a failed turn; returns failures of this message itself, and of partners."""
    key = f"tries:{message_id}"
    with client.pipeline(transaction=True) as pipe:
        pipe.hincrby(key, "own", 1 if own else 0)
        pipe.hincrby(key, "partner", 0 if own else 1)
        pipe.expire(key, 2 * 86400)
        own_count, partner_count, _ = pipe.execute()
    return own_count, partner_count


def give_up(
    client: redis.Redis, patient: str, token: str, entries: Sequence[Entry], letter: str, apology: Outgoing | None
) -> tuple[CommitResult, int]:
    """Move a turn's messages to the dead letters; the patient reads `apology` once.

    Args:
        client: state store.
        patient: whose turn.
        token: of the lease.
        entries: the turn's messages.
        letter: JSON for the `dead` list, holding what a replay needs.
        apology: the friendly sentence, or None when nothing can be said.
    """
    box = f"{patient}:normal"
    keys = [f"lease:{patient}", f"inbox:{patient}", "waiting", "dead", f"outbox:{box}", "outgoing", f"delay:{patient}"]
    args: list[Value] = [token, patient, letter, box]
    if apology is None:
        args += ["none", "", ""]
    elif apology.answer_to is not None:
        args += ["answer", f"answer:{apology.answer_to}", apology.answer]
    else:
        args += ["outbox", f"delivery:{apology.delivery.id}", f"{apology.delivery.id}|{apology.delivery.to_json()}"]
    args += [len(entries), *(entry.raw for entry in entries)]
    code, left = script("give_up")(client, keys, args)
    return CommitResult(code), left
