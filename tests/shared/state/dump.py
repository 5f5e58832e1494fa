"""Everything that lies in a Redis, as text: what somebody reads who has a copy of it."""

from __future__ import annotations

import json
from typing import Any

import redis


def everything(client: redis.Redis) -> dict[str, str]:
    """Key -> its values, hashes with their fields, streams with their entries."""
    read: dict[str, Any] = {
        "string": client.get,
        "list": lambda key: client.lrange(key, 0, -1),
        "hash": client.hgetall,
        "set": lambda key: sorted(client.smembers(key)),
        "zset": lambda key: client.zrange(key, 0, -1),
        "stream": lambda key: client.xrange(key),
    }
    kinds = ((key, str(client.type(key))) for key in client.scan_iter("*", count=1000))
    return {key: json.dumps(read[kind](key), ensure_ascii=False) for key, kind in kinds if kind in read}


def where(client: redis.Redis, *words: str) -> dict[str, str]:
    """The keys in which one of these words stands, in the name or in the value."""
    found = everything(client)
    return {key: text for key, text in found.items() if any(word in key or word in text for word in words)}
