"""From the first shape of the keys to the second (`shared.state.schema`).

In the first, `calls` was a list of JSON lines, newest first, and neither `optout:{p}` nor `handoff:{p}` had an index.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

import redis

_AT_ONCE = 500

# KEYS 1 calls   ARGV 1 lines that were read  2 the newest of them  then id, line
# Nothing is lost to a writer that came between: then the list is read again.
_SWAP_CALLS = """
if redis.call('TYPE', KEYS[1]).ok ~= 'list' then return 1 end
if redis.call('LLEN', KEYS[1]) ~= tonumber(ARGV[1]) or redis.call('LINDEX', KEYS[1], 0) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1])
for i = 3, #ARGV, 2 do redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
"""
# KEYS 1 optouts  then optout:{p}.  Looked at and noted in one step: who came back meanwhile is not noted.
_INDEX_OPTOUTS = """
for i = 2, #KEYS do
  local since = tonumber(redis.call('GET', KEYS[i]) or '')
  if since then redis.call('ZADD', KEYS[1], 'NX', since, string.match(KEYS[i], ':(.*)$')) end
end
return 1
"""
# KEYS 1 handoffs  then handoff:{p}
_INDEX_HANDOFFS = """
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
for i = 2, #KEYS do
  local left = redis.call('PTTL', KEYS[i])
  if left > 0 then redis.call('ZADD', KEYS[1], 'NX', now + left, string.match(KEYS[i], ':(.*)$')) end
end
return 1
"""


def has_old_calls(client: redis.Redis) -> bool:
    """Whether the call list is still a list: scripts that write a line would break on it."""
    return bool(client.type("calls") == "list")


def to_second(client: redis.Redis) -> None:
    """Change what is in the first shape; what is in the second already stays as it is."""
    while has_old_calls(client):
        lines: Any = client.lrange("calls", 0, -1)
        if lines and client.eval(_SWAP_CALLS, 1, "calls", len(lines), lines[0], *_pairs(reversed(lines))):
            break
    for keys in handfuls(client, "optout:*"):
        client.eval(_INDEX_OPTOUTS, 1 + len(keys), "optouts", *keys)
    for keys in handfuls(client, "handoff:*"):
        client.eval(_INDEX_HANDOFFS, 1 + len(keys), "handoffs", *keys)


def handfuls(client: redis.Redis, pattern: str) -> Iterator[tuple[str, ...]]:
    """The keys of a pattern, some at a time: each handful is one short step for Redis."""
    keys = client.scan_iter(pattern, count=_AT_ONCE)
    while some := tuple(islice(keys, _AT_ONCE)):
        yield some


def _pairs(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        yield from new_line(line)


def new_line(line: str) -> tuple[str, str]:
    """Id and text of a line of the call list in the second shape (pure).

    A delivery keeps its id; hand-offs of one patient become one line, the oldest; what cannot be read is kept as it is.
    """
    try:
        told: Any = json.loads(line)
        patient = told["patient"]
    except (ValueError, KeyError, TypeError):
        return "x:" + hashlib.sha1(line.encode(), usedforsecurity=False).hexdigest()[:12], line
    if isinstance(told.get("at"), str):
        told["at"] = _ms(told["at"])
    return str(told.get("delivery") or f"h:{patient}"), json.dumps(told)


def _ms(at: str) -> int:
    try:
        return round(datetime.fromisoformat(at).timestamp() * 1000)
    except ValueError:
        return 0
