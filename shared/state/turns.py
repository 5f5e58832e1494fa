"""One turn of one patient, under the lease: what lies on the desk, and the atomic ways in which a turn ends.

`workers.drain` reads, commits, releases or gives up. Every function is one or two round trips.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

import redis

from shared.conversation import Conversation
from shared.state.at_rest import stored_delivery
from shared.state.inbox import HANDOFF_TTL_S, RING_AGAIN_MS, Entry, Outgoing, already_alarmed, readable
from shared.state.store import NotReplicated, Value, cipher_of, script, seal


@dataclass(frozen=True, slots=True)
class Commit:
    """All that a turn changes, written in one step."""

    entries: Sequence[Entry]
    conversation: Conversation
    conversation_ttl_s: int
    outgoing: Sequence[Outgoing] = ()
    handoff: str | None = None  # json; None leaves it as it is
    optout: bool | None = None  # True: no more proactive messages; False: back
    counters: Sequence[str] = ()
    call: str = ""  # JSON line for the staff call list
    call_id: str = ""
    consent: str = ""  # JSON: the patient agreed to reminders, when and how
    detail: Mapping[str, Any] = field(default_factory=dict)  # for the audit; no text


class CommitResult(IntEnum):
    LEASE_LOST = 0
    DONE = 1
    DONE_BEFORE = 2
    NOT_REPLICATED = 3  # done, but a failover could forget it: the reply waits until a replica has it


@dataclass(frozen=True, slots=True)
class Desk:
    """What lies before the worker who took a patient's lease."""

    entries: list[Entry]
    conversation: Conversation | None
    handoff: dict[str, Any] | None
    opted_out: bool
    agreed: bool  # in the chat, to be reminded
    delay_ms: int
    alarmed: frozenset[str] = field(default_factory=frozenset)  # message ids whose fixed reply is queued


def read_desk(client: redis.Redis, patient: str, *, at_most: int) -> Desk:
    """Read all that a turn starts from. Call only while holding the patient's lease."""
    with client.pipeline(transaction=False) as pipe:
        pipe.lrange(f"inbox:{patient}", 0, at_most - 1)
        pipe.get(f"conversation:{patient}")
        pipe.get(f"handoff:{patient}")
        pipe.exists(f"optout:{patient}")
        pipe.exists(f"consent:{patient}")
        pipe.pttl(f"delay:{patient}")
        rows, conversation, handoff, optout, agreed, delay_ms = pipe.execute()
    entries = readable(client, patient, rows)
    return Desk(
        entries=entries,
        conversation=Conversation.from_json(cipher_of(client).open(conversation)) if conversation else None,
        handoff=json.loads(handoff) if handoff else None,
        opted_out=bool(optout),
        agreed=bool(agreed),
        delay_ms=max(0, delay_ms),
        alarmed=frozenset(already_alarmed(client, (e.message.id for e in entries))),
    )


def handed_over(client: redis.Redis, patient: str) -> dict[str, Any] | None:
    """Return the hand-off as it is now, or None: an alarm may have come since the desk was read."""
    handoff = client.get(f"handoff:{patient}")
    return json.loads(handoff) if handoff else None


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
        f"consent:{patient}",
    ]
    optout = "" if turn.optout is None else str(int(turn.optout))
    args: list[Value] = [
        token,
        patient,
        seal(client, turn.conversation.to_json()),
        turn.conversation_ttl_s,
        box,
        RING_AGAIN_MS,
        turn.handoff or "",
        HANDOFF_TTL_S,
        optout,
        " ".join(turn.counters),
        turn.call_id,
        turn.call,
        turn.consent,
        " ".join([*(e.message.id for e in turn.entries), *(o.delivery.id for o in turn.outgoing)]),
        json.dumps(dict(turn.detail)),
        len(turn.entries),
        *(entry.raw for entry in turn.entries),
    ]
    for out in turn.outgoing:
        if out.answer_to is not None:
            args += ["answer", f"answer:{out.answer_to}", "", seal(client, out.answer), ""]
        else:
            entry = stored_delivery(client, out.delivery)
            covers = " ".join(out.delivery.covers)
            args += ["outbox", f"delivery:{out.delivery.id}", out.delivery.kind, entry, covers]
    try:
        code, left = script("commit").kept(client, [(keys, args)])[0]
    except NotReplicated as late:
        code, left = late.results[0]
        return CommitResult.NOT_REPLICATED if code else CommitResult.LEASE_LOST, left
    return CommitResult(code), left


def postpone(client: redis.Redis, patient: str, token: str, wait_ms: int, *, as_delay: bool) -> None:
    """Give the lease back and ring again in `wait_ms`; `as_delay` also holds back messages that come meanwhile."""
    if as_delay:
        client.set(f"delay:{patient}", "1", px=max(1, wait_ms))
    release(client, patient, token, wait_ms)


def keep_place(client: redis.Redis, patient: str) -> None:
    """Nobody had a seat for this turn: it is due again at once, where its oldest message stands in the line.

    It was pushed forward when it was rung; among many who are due that would be the end of the line.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.lindex(f"inbox:{patient}", 0)
        pipe.zscore("waiting", patient)
        pipe.time()
        head, due_ms, (seconds, _) = pipe.execute()
    if head and due_ms is not None and due_ms <= seconds * 1000 + 1000 + RING_AGAIN_MS:  # not a delay, nor the limit
        client.zadd("waiting", {patient: int(head.partition("|")[0])}, xx=True, lt=True)


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
    client: redis.Redis,
    patient: str,
    token: str,
    entries: Sequence[Entry],
    letter: str,
    apology: Outgoing | None,
    *,
    detail: str = "",
) -> tuple[CommitResult, int]:
    """Move a turn's messages to the dead letters; the patient reads `apology` once.

    Args:
        client: state store.
        patient: whose turn.
        token: of the lease.
        entries: the turn's messages.
        letter: JSON for the `dead` list, holding what a replay needs.
        apology: the friendly sentence, or None when nothing can be said.
        detail: JSON for the audit.
    """
    box = f"{patient}:normal"
    keys = [f"lease:{patient}", f"inbox:{patient}", "waiting", "dead", f"outbox:{box}", "outgoing", f"delay:{patient}"]
    args: list[Value] = [token, patient, letter, box]
    if apology is None:
        args += ["none", "", ""]
    elif apology.answer_to is not None:
        args += ["answer", f"answer:{apology.answer_to}", seal(client, apology.answer)]
    else:
        args += ["outbox", f"delivery:{apology.delivery.id}", stored_delivery(client, apology.delivery)]
    ids = [entry.message.id for entry in entries]
    if apology is not None:
        ids.append(apology.delivery.id)
    args += [len(entries), " ".join(ids), detail, *(entry.raw for entry in entries)]
    code, left = script("give_up")(client, keys, args)
    return CommitResult(code), left
