"""Dead letters: messages and replies that were given up, listed, put back, or dropped by a person.

Used by `python -m workers.dead` and the operators' page. A letter's id is a hash of its line, so that two who look at
the list name the same letter, and one that was put back is gone for both. No text ever leaves this module.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

import redis

from shared.cipher import CLEAR, Cipher
from shared.errors import UnreadableSecret
from shared.messages import Channel
from shared.state.at_rest import read_delivery
from shared.state.inbox import Entry
from shared.state.outbox import REMEMBER_S
from shared.state.store import Value, cipher_of, script

KEY = "dead"
UNREADABLE = "unreadable"  # webhook bodies; written by `webhook.intake`
KEEP = timedelta(days=90)  # the patient's address is forgotten by then
_CHUNK = 500


class LetterKind(StrEnum):
    MESSAGE = "message"  # a turn that failed: its messages
    DELIVERY = "delivery"  # a reply that could not be sent
    STATUS = "status"  # a reply that Meta took and could not deliver


class Refusal(StrEnum):
    """Why a letter cannot be put back."""

    STATUS = "status"  # the reply's text is not kept after Meta took it
    CHAT = "chat"  # the caller of POST /chat waits no longer
    UNREADABLE = "unreadable"  # the present code cannot read it


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter, without any text."""

    id: str  # x_ and 16 hex digits
    kind: LetterKind
    why: str  # name of the error, or `status`
    patient: str  # opaque; "" when it is not known
    at: datetime | None = None  # when it was given up
    code: str = ""  # Meta's error code
    messages: tuple[str, ...] = ()  # ids
    delivery: str = ""  # id
    refusal: Refusal | None = None  # None: it can be put back
    raw: str = field(default="", repr=False)  # the line itself: holds text, not to be shown


def list_letters(client: redis.Redis, limit: int = 100) -> list[Letter]:
    """The newest letters, newest first, at most `limit`."""
    return list(islice(_all(client), limit))


def find(client: redis.Redis, letter_id: str) -> Letter | None:
    """The letter with this id, or None when it was put back, dropped, or never there."""
    return next((letter for letter in _all(client) if letter.id == letter_id), None)


def replay(client: redis.Redis, letter_id: str, by: str) -> bool:
    """Put a letter back where it was: messages at their place in the inbox, a reply at its place in its lane.

    Removal and return are one step, so that a letter is put back once, whoever asks and however often. The next sweep
    rings for it.

    Args:
        client: state store.
        letter_id: `Letter.id`.
        by: who did it, for the audit.

    Returns:
        False when it is not there any more, cannot be put back (`Letter.refusal`), or arrived meanwhile.
    """
    letter = find(client, letter_id)
    if letter is None or letter.refusal is not None:
        return False
    detail = json.dumps({"by": by, "letter": letter.id})
    if letter.kind is LetterKind.MESSAGE:
        return _replay_messages(client, letter, detail)
    return _replay_delivery(client, letter, detail)


def drop(client: redis.Redis, letter_id: str, by: str) -> bool:
    """Take a letter off the list for good; False when it was not there."""
    letter = find(client, letter_id)
    if letter is None:
        return False
    ids = " ".join((*letter.messages, letter.delivery)).strip()
    detail = json.dumps({"why": "dead letter dropped", "by": by, "letter": letter.id})
    return bool(script("drop_letter")(client, [KEY], [letter.raw, letter.patient, ids, detail]))


def forget_old(client: redis.Redis, now: datetime) -> int:
    """Drop letters and unreadable bodies older than KEEP; returns how many went. Text is not kept for ever."""
    gone = 0
    for key in (KEY, UNREADABLE):
        while True:  # the oldest stand last
            rows: Any = client.lrange(key, -_CHUNK, -1)
            old = [raw for raw in rows if (at := _written_at(raw)) is not None and at < now - KEEP]
            for raw in old:
                gone += int(client.lrem(key, -1, raw))
            if len(old) < _CHUNK:
                break
    return gone


def _written_at(raw: str) -> datetime | None:
    try:
        at = _time(json.loads(raw).get("at"))
    except (ValueError, AttributeError):
        return None
    return at if at and at.tzinfo else None


def read_letter(raw: str, cipher: Cipher = CLEAR) -> Letter:
    """Read one line of the list (pure). A line nobody understands is a letter too: it can be seen and dropped."""
    identifier = "x_" + hashlib.blake2b(raw.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    try:
        content = json.loads(raw)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        return Letter(identifier, LetterKind.MESSAGE, "unreadable", "", refusal=Refusal.UNREADABLE, raw=raw)
    why = str(content.get("why") or "")
    patient = str(content.get("patient") or str(content.get("box") or "").partition(":")[0])
    at, code = _time(content.get("at")), str(content.get("code") or "")
    if "delivery" not in content:
        entries, refusal = _entries(content, cipher)
        at = at or (entries[-1].received_at if entries else None)
        ids = tuple(entry.message.id for entry in entries)
        return Letter(identifier, LetterKind.MESSAGE, why, patient, at, messages=ids, refusal=refusal, raw=raw)
    delivery_id = str(content["delivery"])
    if "entry" not in content:
        return Letter(
            identifier, LetterKind.STATUS, why, patient, at, code, (), delivery_id, refusal=Refusal.STATUS, raw=raw
        )
    try:
        covers, unreadable = read_delivery(str(content["entry"]), cipher).covers, None
    except (ValueError, UnreadableSecret):
        covers, unreadable = (), Refusal.UNREADABLE
    return Letter(identifier, LetterKind.DELIVERY, why, patient, at, code, covers, delivery_id, unreadable, raw)


def _all(client: redis.Redis) -> Iterator[Letter]:
    start, cipher = 0, cipher_of(client)
    while True:
        rows: Any = client.lrange(KEY, start, start + _CHUNK - 1)
        for raw in rows:
            yield read_letter(raw, cipher)
        if len(rows) < _CHUNK:
            return
        start += _CHUNK


def _entries(content: dict[str, Any], cipher: Cipher) -> tuple[list[Entry], Refusal | None]:
    """The messages of a letter, and why they cannot be put back if they cannot."""
    try:
        entries = [Entry.read(raw, cipher) for raw in content.get("entries") or ()]
    except (ValueError, AttributeError, UnreadableSecret):
        return [], Refusal.UNREADABLE
    if not entries:
        return [], Refusal.UNREADABLE
    chat = any(entry.message.channel is Channel.CHAT for entry in entries)
    return entries, Refusal.CHAT if chat else None


def _time(value: object) -> datetime | None:
    """ISO text or milliseconds; None when it is neither."""
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value / 1000, UTC)
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except (ValueError, OverflowError, OSError):
        return None


def _replay_messages(client: redis.Redis, letter: Letter, detail: str) -> bool:
    entries, _ = _entries(json.loads(letter.raw), cipher_of(client))
    keys = [KEY, f"inbox:{letter.patient}", "waiting"]
    args: list[Value] = [letter.raw, letter.patient, " ".join(letter.messages), detail]
    return bool(script("replay_messages")(client, keys, [*args, *(entry.raw for entry in entries)]))


def _replay_delivery(client: redis.Redis, letter: Letter, detail: str) -> bool:
    content = json.loads(letter.raw)
    delivery = read_delivery(str(content["entry"]), cipher_of(client))
    lane = "urgent" if delivery.kind == "danger" else "normal"
    box = f"{letter.patient}:{lane}"
    keys = [KEY, f"outbox:{box}", "outgoing", f"delivery:{delivery.id}"]
    args: list[Value] = [letter.raw, letter.patient, delivery.id, detail, content["entry"], box]
    args += [delivery.kind.value, " ".join(delivery.covers), REMEMBER_S]
    return bool(script("replay_delivery")(client, keys, args))
