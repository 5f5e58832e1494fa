"""Brings all that is encrypted under the newest key, and what lies in clear under one; looks whether our keys fit.

`encrypted` holds a word under the keys of this store: a process without them ends at its start, before it could write
what the others cannot read. Called by `workers.migrate` and `workers.rotate_keys`; may be broken off and run again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from shared.cipher import Cipher
from shared.errors import UnreadableSecret
from shared.messages import Delivery
from shared.state.at_rest import wrapped
from shared.state.first_shape import handfuls
from shared.state.store import Value, cipher_of, script

MARK = "encrypted"
_WORD = "these keys fit"
_OTHER_KEY = (
    "The store is encrypted with a key that this process does not have. Nothing was changed: set ENCRYPTION_KEYS "
    "to the keys of the other processes, or of the time of the backup (docs/running.md)."
)
_AT_ONCE = 200  # items of one list in one step of Redis
Change = Callable[[Cipher, str], str]


@dataclass(slots=True)
class Resealed:
    """What one run did, in values."""

    changed: int = 0
    in_hand: int = 0  # a worker has their patient: the next run finds them
    unreadable: int = 0  # no key of ours fits: they stay as they are


def check(client: redis.Redis) -> None:
    """Look whether this store is encrypted with a key of ours.

    Raises:
        UnreadableSecret: it is encrypted with another one.
    """
    if kept := client.get(MARK):
        try:
            cipher_of(client).open(str(kept))
        except UnreadableSecret:
            raise UnreadableSecret(_OTHER_KEY) from None


def begin(client: redis.Redis, tell: Callable[[str], None]) -> None:
    """Encrypt a store that never was, once; nothing to do in one that is, and without keys.

    Raises:
        UnreadableSecret: it is encrypted with a key that is not ours; nothing was changed.
    """
    check(client)
    if not cipher_of(client).on or client.exists(MARK):
        return
    done = reseal(client)
    if done.unreadable:
        raise UnreadableSecret(_OTHER_KEY)
    _mark(client)
    if done.changed:
        tell(f"{done.changed} values were encrypted.")


def rotate(client: redis.Redis) -> Resealed:
    """Everything under the newest key. What no key opens stays, and then the store's mark too."""
    done = reseal(client)
    if not done.unreadable:
        _mark(client)
    return done


def _mark(client: redis.Redis) -> None:
    client.set(MARK, cipher_of(client).seal(_WORD))


def reseal(client: redis.Redis) -> Resealed:
    """Every value, wherever patients' words or addresses are kept."""
    done = Resealed()
    for keys in handfuls(client, "conversation:*"):
        for key, text in zip(keys, client.mget(keys), strict=True):
            _replace(client, done, key, "string", "", [text], whole)
    for keys in handfuls(client, "address:*"):
        for key in keys:
            _replace_address(client, done, key)
    for pattern, change in (
        ("written:*", whole),
        ("answer:*", whole),
        ("inbox:*", inbox_item),
        ("outbox:*", outbox_item),
    ):
        for keys in handfuls(client, pattern):
            for key in keys:
                kind, _, name = key.partition(":")
                lease = f"lease:{name}" if kind in ("inbox", "outbox") else ""
                _replace_list(client, done, key, lease, change)
    _replace_list(client, done, "dead", "", letter)
    _replace_list(client, done, "unreadable", "", body)
    return done


def whole(cipher: Cipher, text: str) -> str:
    """A value that is one token, or in clear, under the newest key (pure; so are the following)."""
    return cipher.rotate(text.encode()).decode()


def inbox_item(cipher: Cipher, raw: str) -> str:
    """`received_ms|token`"""
    received_ms, _, content = raw.partition("|")
    return f"{received_ms}|{whole(cipher, content)}"


def outbox_item(cipher: Cipher, raw: str) -> str:
    """`delivery_id|{"sealed": token, …}`"""
    id_, _, content = raw.partition("|")
    kept: dict[str, Any] = json.loads(content)
    if "sealed" not in kept:
        return wrapped(Delivery.from_json(content), whole(cipher, content)) if cipher.on else raw
    token = whole(cipher, kept["sealed"])
    return raw if token == kept["sealed"] else f"{id_}|{json.dumps(kept | {'sealed': token}, separators=(',', ':'))}"


def letter(cipher: Cipher, raw: str) -> str:
    """A dead letter: its messages, or its reply."""
    kept: dict[str, Any] = json.loads(raw)
    changed = dict(kept)
    if "entries" in kept:
        changed["entries"] = [inbox_item(cipher, item) for item in kept["entries"]]
    if "entry" in kept:
        changed["entry"] = outbox_item(cipher, kept["entry"])
    return raw if changed == kept else json.dumps(changed)


def body(cipher: Cipher, raw: str) -> str:
    """A webhook body that could not be read."""
    kept: dict[str, Any] = json.loads(raw)
    packed = whole(cipher, kept["zlib"])
    return raw if packed == kept["zlib"] else json.dumps(kept | {"zlib": packed})


def _replace_address(client: redis.Redis, done: Resealed, key: str) -> None:
    fields = ("number", "user_id")
    kept: Any = client.hmget(key, *fields)
    args: list[Value] = ["hash", ""]
    for field, old in zip(fields, kept, strict=True):
        for before, after in _changed(cipher_of(client), done, [old], whole):
            args += [field, before, after]
    if len(args) > 2:
        done.changed += int(script("reseal")(client, [key], args))


def _replace_list(client: redis.Redis, done: Resealed, key: str, lease: str, change: Change) -> None:
    rows: Any = client.lrange(key, 0, -1)
    for start in range(0, len(rows), _AT_ONCE):
        _replace(client, done, key, "list", lease, rows[start : start + _AT_ONCE], change)


def _replace(
    client: redis.Redis, done: Resealed, key: str, kind: str, lease: str, values: Sequence[Any], change: Change
) -> None:
    args: list[Value] = [kind, lease]
    for before, after in _changed(cipher_of(client), done, values, change):
        args += [before, after]
    if len(args) > 2:
        replaced = int(script("reseal")(client, [key], args))
        if replaced < 0:
            done.in_hand += len(args) // 2 - 1
        else:
            done.changed += replaced


def _changed(cipher: Cipher, done: Resealed, values: Sequence[Any], change: Change) -> Iterator[tuple[str, str]]:
    """What is to be replaced by what; a value that nobody understands stays as it is."""
    for before in values:
        if not before:
            continue
        try:
            after = change(cipher, before)
        except UnreadableSecret:
            done.unreadable += 1
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        else:
            if after != before:
                yield before, after
