"""Open incidents, known to all processes: opened once, counted while open, closed once. Called by `shared.alerts`.

Every change is one Lua script that may be run twice: a token says that it is the same call again.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import redis

from shared.state.store import Value, script

CLOSED_TTL_S = 900  # how long a closed incident is remembered: one that comes back so soon is unsteady


class Ending(StrEnum):
    """Why an incident may end."""

    WORKS = "works"  # somebody saw that it works again
    SETTLED = "settled"  # that was seen before, and nothing else since
    QUIET = "quiet"  # it did not happen again
    HAND = "hand"  # a person says so


@dataclass(frozen=True, slots=True)
class Incident:
    """One incident. Times in milliseconds since 1970; 0: not yet."""

    kind: str
    detail: str  # of the last time, masked
    opened_ms: int
    last_ms: int
    count: int
    tried_ms: int = 0  # when it was last being told to staff
    told_ms: int = 0  # when a channel last accepted it
    told_count: int = 0  # how often it had been seen then
    works_ms: int = 0  # since when it works again
    settle_ms: int = 0  # how long it must not be seen before it is over


class RedisIncidents:
    """The incidents of the whole system."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def open(self, kind: str, detail: str, now_ms: int, *, settle_ms: int, unsteady_ms: int) -> bool:
        """Note that it was seen; True when this opened it, False when it was open and only counted."""
        keys = ["incidents", _key(kind), f"{_key(kind)}:closed"]
        opened = script("incident_open")(
            self._client, keys, [kind, uuid.uuid4().hex, now_ms, detail, settle_ms, unsteady_ms]
        )
        return bool(opened)

    def close(self, kind: str, ending: Ending, now_ms: int, quiet_ms: int = 0) -> Incident | None:
        """End it if it may end; returns what it was, or None: not open, or seen too lately.

        Args:
            ending: `works` notes it and ends it once `settle_ms` passed since it was last seen.
            quiet_ms: for `quiet`, how long it must not have been seen.
        """
        keys = ["incidents", _key(kind), f"{_key(kind)}:closed"]
        args: list[Value] = [kind, uuid.uuid4().hex, now_ms, ending.value, quiet_ms, CLOSED_TTL_S]
        closed: list[str] = script("incident_close")(self._client, keys, args)
        return _read(kind, dict(zip(closed[::2], closed[1::2], strict=True))) if closed else None

    def claim(self, kind: str, tried_ms: int, now_ms: int) -> bool:
        """Take on to tell staff; False when another process did since `tried_ms` was read, or it is closed."""
        return bool(script("incident_claim")(self._client, [_key(kind)], [uuid.uuid4().hex, tried_ms, now_ms]))

    def told(self, kind: str, opened_ms: int, count: int, now_ms: int) -> None:
        """Note that a channel accepted the message about it."""
        script("incident_told")(self._client, [_key(kind)], [opened_ms, count, now_ms])

    def kinds(self) -> set[str]:
        found: Any = self._client.zrange("incidents", 0, -1)
        return set(found)

    def listed(self) -> list[Incident]:
        """All open incidents, the longest quiet first."""
        kinds: Any = self._client.zrange("incidents", 0, -1)
        if not kinds:
            return []
        with self._client.pipeline(transaction=False) as pipe:
            for kind in kinds:
                pipe.hgetall(_key(kind))
            found = pipe.execute()
        return [_read(kind, fields) for kind, fields in zip(kinds, found, strict=True) if fields]


def _key(kind: str) -> str:
    return f"incident:{kind}"


def _read(kind: str, fields: dict[str, str]) -> Incident:
    def number(name: str) -> int:
        return int(float(fields.get(name) or 0))

    return Incident(
        kind=kind,
        detail=fields.get("detail", ""),
        opened_ms=number("opened_ms"),
        last_ms=number("last_ms"),
        count=number("count"),
        tried_ms=number("tried_ms"),
        told_ms=number("told_ms"),
        told_count=number("told_count"),
        works_ms=number("works_ms"),
        settle_ms=number("settle_ms"),
    )
