"""One queue of messages per patient, answered in order by one worker at a time.

`webhook` accepts; `workers` triage. How a turn ends stands in `shared.state.turns`. Every function is one round trip.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

import redis

from shared.cipher import CLEAR, Cipher
from shared.messages import Delivery, Identity, Message, MessageKind
from shared.state import alarms
from shared.state.alarms import NewAlarm
from shared.state.at_rest import stored_delivery
from shared.state.store import Value, cipher_of, script, seal

SEEN_TTL_S = 8 * 86400  # Meta repeats a webhook for up to seven days
ADDRESS_TTL_S = 90 * 86400
HANDOFF_TTL_S = 86400
# Meta does not say whether these open the 24 h window, so they are not counted.
_OPEN_NO_WINDOW = (MessageKind.REACTION, MessageKind.UNSUPPORTED)
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
    def read(cls, raw: str, cipher: Cipher = CLEAR) -> Entry:
        """Read an item of an inbox.

        Raises:
            ValueError: it is no message.
            UnreadableSecret: no key of ours fits.
        """
        received_ms, _, body = raw.partition("|")
        return cls(raw, datetime.fromtimestamp(int(received_ms) / 1000, UTC), Message.from_json(cipher.open(body)))


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A reply of a turn: to the outbox, or to the caller of POST /chat who waits for `answer_to`."""

    delivery: Delivery
    answer_to: str | None = None  # message id
    answer: str = ""  # JSON for the caller


def accept(
    client: redis.Redis, arrivals: Sequence[Arrival], *, burst_ms: int, limit_per_minute: int
) -> list[tuple[Accepted, str]]:
    """Put messages durably into their patients' inboxes, each once, in one round trip.

    Returns:
        Per arrival what became of it, and the patient id.

    Raises:
        redis.RedisError: also NotReplicated: nothing may be acknowledged.
    """
    calls: list[tuple[list[str], list[Value]]] = []
    for arrival in arrivals:
        message = arrival.message
        wait_ms = burst_ms if message.channel == "whatsapp" else 0
        keys = [f"seen:{message.id}", "waiting", "fresh"]
        args: list[Value] = [
            seal(client, message.to_json()),
            message.id,
            SEEN_TTL_S,
            wait_ms,
            limit_per_minute,
            seal(client, arrival.identity.number) if arrival.identity.number else "",
            seal(client, arrival.identity.user_id) if arrival.identity.user_id else "",
            ADDRESS_TTL_S,
            _ms(message.at) if message.kind not in _OPEN_NO_WINDOW else "",
            json.dumps({"kind": message.kind, "channel": message.channel, "wrote_ms": _ms(message.at)}),
            *arrival.ids,
        ]
        calls.append((keys, args))
    results = script("accept").kept(client, calls)
    return [(Accepted(code), patient) for code, patient in results]


def held_back_s(client: redis.Redis, patient: str, message_id: str, limit_per_minute: int) -> int:
    """Whole seconds until a message over the limit has its turn; 0 for one that is within it."""
    with client.pipeline(transaction=False) as pipe:
        pipe.zscore(f"rate:{patient}", message_id)
        pipe.zrange(f"rate:{patient}", 0, -1, withscores=True)
        pipe.time()
        counted, minute, (seconds, _) = pipe.execute()
    if counted is not None or len(minute) < limit_per_minute:
        return 0
    return max(1, round(float(minute[0][1]) / 1000 + 60 - float(seconds)))


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def unsearched(client: redis.Redis, patients: Sequence[str]) -> dict[str, list[Entry]]:
    """Read, in one round trip, what of several patients was not yet searched, and the message before it.

    The one before is there for a sign that is split over two messages.
    """
    with client.pipeline(transaction=False) as pipe:
        pipe.zmscore("fresh", list(patients))
        for patient in patients:
            pipe.lrange(f"inbox:{patient}", 0, -1)
        since, *found = pipe.execute()
    return {
        patient: readable(client, patient, rows[_first_since(rows, start) :] if start is not None else [])
        for patient, start, rows in zip(patients, since, found, strict=True)
    }


def _first_since(rows: Sequence[str], since_ms: float) -> int:
    """Index of the message before the first that came at `since_ms` or later."""
    first = next((i for i, row in enumerate(rows) if int(row.partition("|")[0]) >= since_ms), len(rows))
    return max(0, first - 1)


def readable(client: redis.Redis, patient: str, rows: Sequence[str]) -> list[Entry]:
    """Read stored items; one that cannot be read goes to the dead letters instead of standing in the way.

    Raises:
        UnreadableSecret: no key of ours fits; everything stays where it is.
    """
    entries, cipher = [], cipher_of(client)
    for raw in rows:
        try:
            entries.append(Entry.read(raw, cipher))
        except ValueError:
            with client.pipeline(transaction=True) as pipe:
                pipe.lrem(f"inbox:{patient}", 1, raw)
                letter = {
                    "patient": patient,
                    "why": "unreadable",
                    "at": datetime.now(UTC).isoformat(),
                    "entries": [raw],
                }
                pipe.lpush("dead", json.dumps(letter))
                pipe.execute()
    return entries


def hold_searched(client: redis.Redis, patients: Iterable[str]) -> None:
    """Keep others from searching these patients while staff are told of a danger sign of theirs."""
    with client.pipeline(transaction=False) as pipe:
        for patient in patients:
            pipe.set(f"rung:{patient}", "1", px=RING_AGAIN_MS)
        pipe.execute()


def mark_searched(client: redis.Redis, newest: dict[str, datetime | None]) -> None:
    """Note up to which message each patient's inbox was searched for danger signs; None: it was empty."""
    args: list[Value] = []
    for patient, received_at in newest.items():
        args += [patient, round(received_at.timestamp() * 1000) if received_at else 0]
    if args:
        script("triaged")(client, ["fresh"], args)


def raise_alarm(
    client: redis.Redis, patient: str, message_id: str, outgoing: Outgoing, *, handoff: str, alarm: NewAlarm
) -> bool:
    """Queue the fixed reply to a danger message at the head of everything, and put its alarm on the ladder.

    Returns:
        False if it was done before.
    """
    delivery = outgoing.delivery
    to_chat = outgoing.answer_to is not None
    box = f"answer:{outgoing.answer_to}" if to_chat else f"outbox:{patient}:urgent"
    entry = seal(client, outgoing.answer) if to_chat else stored_delivery(client, delivery)
    keys = [f"alarmed:{message_id}", f"handoff:{patient}", box, "outgoing", f"delivery:{delivery.id}"]
    keys += [f"alarm:{alarm.id}", "alarms"]
    member = "" if to_chat else f"{patient}:urgent"
    args: list[Value] = [SEEN_TTL_S, handoff, HANDOFF_TTL_S, entry, member, RING_AGAIN_MS, delivery.kind, alarm.level]
    args += [alarm.id, alarm.category, alarm.at, alarm.rung, alarm.wait_ms, alarms.KEEP_S]
    return bool(script("alarm")(client, keys, args))


def already_alarmed(client: redis.Redis, message_ids: Iterable[str]) -> set[str]:
    ids = list(message_ids)
    if not ids:
        return set()
    found = client.mget([f"alarmed:{i}" for i in ids])
    return {i for i, value in zip(ids, found, strict=True) if value}
