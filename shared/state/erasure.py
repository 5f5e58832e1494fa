"""One person taken out of Redis: who they are by all their names, what is kept of them, and its removal in one step.

What stays holds neither name, number nor id: `seen:{message_id}`, so that Meta's repetition brings nothing back, the
claims of reminders, and the sums. A person who wrote BAJA stays on the list of those who get no reminders: it is the
only way to go on respecting it. Called by `python -m workers.erase`.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from shared.errors import UnreadableSecret
from shared.identity import candidate_ids, canonical_number, looks_like_user_id, patient_id
from shared.messages import Identity
from shared.state import audit, dead
from shared.state.addresses import address_of
from shared.state.first_shape import handfuls
from shared.state.inbox import Entry
from shared.state.outbox import LANES
from shared.state.store import cipher_of, script, unseal

_TECHNICAL = ("rate", "delay", "rung", "paced")
_CLOCKS = ("waiting", "untold", "fresh", "handoffs", "contacted")
_OF_MESSAGE = ("answer", "alarmed", "tries")
_AT_ONCE = 500

Command = list[str]


@dataclass(frozen=True, slots=True)
class Person:
    """One person by all their names. `ids`: opaque, the one in use first; `address` is not to be logged."""

    ids: tuple[str, ...]
    address: Identity

    def leases(self) -> Iterator[str]:
        """Names of the leases under which workers act for this person."""
        for id_ in self.ids:
            yield id_
            yield from (f"{id_}:{lane}" for lane in LANES)


@dataclass(slots=True)
class Found:
    """What is kept of a person, counted by kind, and the commands that remove it."""

    counts: Counter[str] = field(default_factory=Counter)
    commands: list[Command] = field(default_factory=list)
    opted_out: bool = False

    def add(self, kind: str, count: int, *commands: Command) -> None:
        if count:
            self.counts[kind] += count
            self.commands.extend(commands)


def find_person(client: redis.Redis, name: str, key: bytes) -> Person | None:
    """The person behind an opaque id, a phone number or a user id; None when it is none of the three.

    Args:
        client: state store.
        name: as typed.
        key: PATIENT_ID_KEY.
    """
    if name.startswith("p_"):
        asked = name
    elif looks_like_user_id(name):
        asked = patient_id(key, name)
    elif number := canonical_number(name):
        asked = patient_id(key, number)
    else:
        return None
    ids = [str(client.get(f"alias:{asked}") or asked), asked]
    address = Identity()
    while True:
        before = tuple(ids)
        for id_ in list(ids):
            known = address_of(client, id_)
            address = Identity(number=address.number or known.number, user_id=address.user_id or known.user_id)
        others = [alias for alias, patient in _aliases(client) if patient in ids]
        ids = list(dict.fromkeys([*ids, *others, *candidate_ids(key, address)]))
        if tuple(ids) == before:
            return Person(before, address)


def _aliases(client: redis.Redis) -> Iterator[tuple[str, str]]:
    for keys in handfuls(client, "alias:*"):
        for key, patient in zip(keys, client.mget(keys), strict=True):
            if patient:
                yield key.removeprefix("alias:"), str(patient)


def look(client: redis.Redis, person: Person) -> Found:
    """All that is kept of a person. Reads the whole store: seconds, once in a long while."""
    found = Found()
    messages: set[str] = set()
    for id_ in person.ids:
        _own_keys(client, id_, found, messages)
    deliveries = _deliveries(client, person, found)
    _alarms(client, person, found)
    _lists(client, person, found, messages)
    _audit(client, person, found, messages | deliveries, messages)
    for kind in _OF_MESSAGE:
        for keys in _some(sorted(f"{kind}:{message}" for message in messages)):
            found.add("technical", int(client.exists(*keys)), ["DEL", *keys])
    return found


def remove(client: redis.Redis, found: Found, leases: dict[str, str]) -> bool:
    """Do it in one step and give the leases back; False, and nothing was touched, when a lease was lost.

    Args:
        client: state store.
        found: by `look`, while the leases were held.
        leases: name -> token.
    """
    keys = [f"lease:{name}" for name in leases]
    return bool(script("erase")(client, keys, [*leases.values(), json.dumps(found.commands)]))


def _own_keys(client: redis.Redis, id_: str, found: Found, messages: set[str]) -> None:
    for kind in ("address", "alias", "conversation", "handoff", "consent"):
        found.add("contact" if kind == "alias" else kind, int(client.exists(f"{kind}:{id_}")), ["DEL", f"{kind}:{id_}"])
    rows: Any = client.lrange(f"inbox:{id_}", 0, -1)
    found.add("inbox", len(rows), ["DEL", f"inbox:{id_}"])
    messages.update(_message_ids(client, rows))
    found.add("written", int(client.llen(f"written:{id_}")), ["DEL", f"written:{id_}"])
    for lane in LANES:
        box = f"{id_}:{lane}"
        found.add("outbox", int(client.llen(f"outbox:{box}")), ["DEL", f"outbox:{box}"])
        clock = "reminders" if lane == "reminder" else "outgoing"
        found.add("technical", int(client.zscore(clock, box) is not None), ["ZREM", clock, box])
    for kind in _TECHNICAL:
        found.add("technical", int(client.exists(f"{kind}:{id_}")), ["DEL", f"{kind}:{id_}"])
    for clock in _CLOCKS:
        found.add("technical", int(client.zscore(clock, id_) is not None), ["ZREM", clock, id_])
    found.opted_out = found.opted_out or bool(client.exists(f"optout:{id_}"))


def keep_opt_out(client: redis.Redis, person: Person) -> None:
    """Under each of their names, by which reminders may ask for them, since the aliases go."""
    since = next((s for id_ in person.ids if (s := client.get(f"optout:{id_}"))), None)
    if since is None:
        return
    with client.pipeline(transaction=True) as pipe:
        for id_ in person.ids:
            pipe.set(f"optout:{id_}", since)
            pipe.zadd("optouts", {id_: float(since)})
        pipe.execute()


def _deliveries(client: redis.Redis, person: Person, found: Found) -> set[str]:
    boxes = tuple(f"{id_}:" for id_ in person.ids)
    ids: set[str] = set()
    for keys in handfuls(client, "delivery:*"):
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hget(key, "box")
            mine = [key for key, box in zip(keys, pipe.execute(), strict=True) if str(box or "").startswith(boxes)]
        ids.update(key.removeprefix("delivery:") for key in mine)
        found.add("delivery", len(mine), ["DEL", *mine])
    if ids:
        for keys in handfuls(client, "sent:*"):
            mine = [key for key, id_ in zip(keys, client.mget(keys), strict=True) if id_ in ids]
            found.add("delivery", len(mine), ["DEL", *mine])
    for some in _some(sorted(ids)):
        waits = sum(score is not None for score in client.zmscore("unconfirmed", some))
        found.add("technical", waits, ["ZREM", "unconfirmed", *some])
    return ids


def _alarms(client: redis.Redis, person: Person, found: Found) -> None:
    for keys in handfuls(client, "alarm:*"):
        for key in keys:
            if client.hget(key, "patient") in person.ids:
                id_ = key.removeprefix("alarm:")
                found.add("alarm", 1, ["DEL", key], ["ZREM", "alarms", id_], ["ZREM", "raised", id_])


def _lists(client: redis.Redis, person: Person, found: Found, messages: set[str]) -> None:
    lines: Any = client.hgetall("calls")
    mine = [id_ for id_, line in lines.items() if _patient_of_line(line) in person.ids]
    found.add("call", len(mine), ["HDEL", "calls", *mine])
    for letter in dead.list_letters(client, 10_000):
        if letter.patient in person.ids:
            messages.update(letter.messages)
            found.add("dead", 1, ["LREM", dead.KEY, "1", letter.raw])
    bodies: Any = client.lrange(dead.UNREADABLE, 0, -1)
    for raw in bodies:
        if _names(client, raw, person.address):
            found.add("dead", 1, ["LREM", dead.UNREADABLE, "1", raw])


def _patient_of_line(line: str) -> str:
    try:
        return str(json.loads(line).get("patient", ""))
    except (ValueError, AttributeError):
        return ""


def _names(client: redis.Redis, raw: str, address: Identity) -> bool:
    """Whether a body that could not be read names this person."""
    try:
        body = zlib.decompress(base64.b64decode(unseal(client, json.loads(raw)["zlib"]))).decode("utf-8", "replace")
    except (ValueError, KeyError, TypeError, zlib.error, UnreadableSecret):
        return False
    return any(name in body for name in (address.number, address.user_id) if name)


def _audit(client: redis.Redis, person: Person, found: Found, ids: set[str], messages: set[str]) -> None:
    """Records of the person, and those that only name one of their messages or deliveries."""
    mine: list[str] = []
    for record in audit.read(client, "-"):
        if record.patient in person.ids or (not record.patient and not ids.isdisjoint(record.ids)):
            mine.append(record.position)
            messages.update(id_ for id_ in record.ids if id_.startswith("m_"))
    for some in _some(mine):
        found.add("audit", len(some), ["XDEL", audit.KEY, *some])


def _message_ids(client: redis.Redis, rows: Iterable[str]) -> Iterator[str]:
    for raw in rows:
        try:
            yield Entry.read(raw, cipher_of(client)).message.id
        except (ValueError, UnreadableSecret):
            continue


def _some(values: Sequence[str]) -> Iterator[list[str]]:
    for start in range(0, len(values), _AT_ONCE):
        yield list(values[start : start + _AT_ONCE])
