"""The audit: an append-only record of what became of each message and delivery. No text, no number, no name.

Most events are appended by the Lua scripts in the step they tell of (`audit` in lua/prelude.lua), so a kill
cannot separate the two; `note` adds what happens between two scripts. Read by timeline, report and /ops.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import redis

log = logging.getLogger(__name__)

KEY = "audit"
_CHUNK = 1000


class Event(StrEnum):
    """What can have happened. `ids` are message ids (m_), delivery ids (d_, r_) or alarm ids (a_)."""

    ACCEPTED = "accepted"  # in the inbox: {kind, channel, wrote_ms}
    ALARM = "alarm"  # danger sign: fixed reply queued, staff told: {level, category, told, alarm}
    ACKNOWLEDGED = "acknowledged"  # a person has taken an alarm: {by, after_s}
    WAITS = "waits"  # the turn waits: {why, wait_s}
    NOTICED = "noticed"  # the patient is told that they wait: {waited_s}
    DRAINED = "drained"  # a worker took the turn: {worker, messages}
    UNDERSTOOD = "understood"  # {intent, confidence, source, model, model_s, danger}
    BACKEND = "backend"  # one call: {call, outcome, seconds}
    COMMITTED = "committed"  # turn stored, replies queued: {action, intent, source, confidence, handoff, optout}
    GIVEN_UP = "given_up"  # dead letter: {why}
    PLANNED = "planned"  # a reminder was claimed for its visit: {appointment, start, ref, reminder, by}
    SENDING = "sending"  # {kind, attempt}
    SENT = "sent"  # accepted by Meta
    UNKNOWN = "unknown"  # may have been sent
    QUEUED = "queued"  # back in the outbox: {code, why}
    FAILED = "failed"  # {code, why}
    DROPPED = "dropped"  # not wanted any more: {why}
    STATUS = "status"  # of Meta: {status, code}
    CALL = "call"  # a line on the staff call list: {why, code}
    CALL_SETTLED = "call_settled"  # it arrived after all
    CALL_DONE = "call_done"  # a person did it: {by}
    RETURNED = "returned"  # a person gave the patient back to the assistant: {by}
    WRITTEN = "written"  # a person wrote through the outbox: {by}
    REACTIVATED = "reactivated"  # a person lifted an opt-out, as the patient asked: {by}
    REPLAYED = "replayed"  # a dead letter was put back: {by}


@dataclass(frozen=True, slots=True)
class Record:
    """One event. `at` is the Redis server's clock, UTC."""

    at: datetime
    event: str
    patient: str
    ids: tuple[str, ...]
    detail: dict[str, Any] = field(default_factory=dict)
    position: str = ""  # of the stream, unique and growing


def note(client: redis.Redis, event: Event, patient: str, ids: Sequence[str], **detail: Any) -> None:
    """Append one event; a failure is only logged: what it tells of is kept elsewhere."""
    fields: dict[Any, Any] = {"e": event.value, "p": patient, "ids": " ".join(ids), "d": json.dumps(detail)}
    try:
        client.xadd(KEY, fields)
    except redis.RedisError as error:
        log.warning("audit not written", extra={"event_kind": event.value, "cause": type(error).__name__})


def read(client: redis.Redis, since: datetime | str, until: datetime | None = None) -> Iterator[Record]:
    """Yield events in order, a thousand at a time.

    Args:
        client: state store.
        since: a time, or a `position` to begin at.
        until: exclusive; None is now.
    """
    start = since if isinstance(since, str) else str(_ms(since))
    end = f"{_ms(until) - 1}" if until else "+"
    while True:
        rows: Any = client.xrange(KEY, start, end, count=_CHUNK)
        for position, fields in rows:
            yield _record(position, fields)
        if len(rows) < _CHUNK:
            return
        start = f"({rows[-1][0]}"


def trim(client: redis.Redis, days: int, now: datetime) -> int:
    """Forget what is older than AUDIT_DAYS; returns how many events went."""
    oldest = _ms(now) - days * 86_400_000
    return int(client.xtrim(KEY, minid=str(oldest), approximate=False))


def _record(position: str, fields: dict[str, str]) -> Record:
    detail: Any = {}
    if fields.get("d"):
        try:
            detail = json.loads(fields["d"])
        except ValueError:
            detail = {"unreadable": True}
    return Record(
        at=datetime.fromtimestamp(int(position.partition("-")[0]) / 1000, UTC),
        event=fields.get("e", ""),
        patient=fields.get("p", ""),
        ids=tuple(fields.get("ids", "").split()),
        detail=detail if isinstance(detail, dict) else {},
        position=position,
    )


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
