"""Holds the keys of a store against the table in `shared.state`: each has a row, and no more time than it says."""

from __future__ import annotations

import re

import redis

import shared.state

_UNITS = {"s": 1, "min": 60, "h": 3600, "day": 86400, "days": 86400}
_ROW = re.compile(r"^\| `([^`]+)` \| (\w+) \| .* \| ([^|]*) \|$", re.M)
_TIME = re.compile(r"(\d+|a) (s|min|h|days?)\b")
_OF_THE_BROKER = re.compile(r"wa:q:|_kombu|unacked|celery")


def rows() -> dict[str, tuple[re.Pattern[str], str, int | None]]:
    """Pattern of the table -> how it matches a key, the type, and the longest expiry in seconds; None: it has none."""
    found = {}
    for pattern, kind, expiry in _ROW.findall(shared.state.__doc__ or ""):
        matches = re.compile(re.sub(r"\\\{[^}]*\\\}", "[^:]+(:[^:]+)*", re.escape(pattern)) + "$")
        lasts = kind in ("string", "hash") or pattern.partition(":")[0] in ("written", "answer", "rate")
        if expiry.endswith("a message"):  # it grows with what was sent
            lasts = False
        times = [(1 if n == "a" else int(n)) * _UNITS[unit] for n, unit in _TIME.findall(expiry)]
        found[pattern] = (matches, kind, max(times) if times and lasts else None)
    return found


def faults(client: redis.Redis, conversation_ttl_s: int = 3600) -> list[str]:
    """What lies there against the table."""
    table = rows()
    said = []
    for key in client.scan_iter("*", count=1000):
        if _OF_THE_BROKER.match(key):
            continue
        fitting = [(kind, limit) for matches, kind, limit in table.values() if matches.match(key)]
        ttl = client.ttl(key)
        if not fitting:
            said.append(f"{key} stands in no row")
        elif client.type(key) not in {kind for kind, _ in fitting}:
            said.append(f"{key} is a {client.type(key)}")
        elif all(limit is not None and not 0 <= ttl <= limit for _, limit in fitting):
            said.append(f"{key} stays for {ttl} s")
    return said
