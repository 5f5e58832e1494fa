"""Danger alarms that wait for a person to acknowledge them. Raised by `inbox.raise_alarm`, walked by `shared.alerts`.

`alarms` says when the next step of the ladder is due. An alarm leaves it when a person acknowledges, when the hand-off
is returned, or after a day.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from typing import Any

import redis

from shared.state.store import script

KEEP_S = 8 * 86400
TRY_AGAIN_MS = 60_000  # a step that no channel took, or whose teller died, is due again


@dataclass(frozen=True, slots=True)
class NewAlarm:
    """What `inbox.raise_alarm` keeps of a danger sign, in the step that queues its fixed reply."""

    id: str
    category: str
    level: str
    at: str  # when the patient wrote it, ISO 8601 with zone
    rung: int  # of the ladder, the next to be told
    wait_ms: int  # until then


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm. Times in milliseconds since 1970."""

    id: str
    patient: str
    category: str
    level: str
    at: str
    raised_ms: int
    rung: int
    acknowledged_ms: int = 0  # 0: nobody has
    by: str = ""  # the contact whose link was used, or an operator
    claim: str = ""  # of the watch that tells the present step


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Who acknowledged an alarm, and when; `first` when this call did it."""

    first: bool
    at_ms: int
    by: str


def alarm_id(message_id: str) -> str:
    """The alarm of a danger message, the same whenever it is raised again."""
    return "a_" + hashlib.blake2b(message_id.encode(), digest_size=12).hexdigest()


def read(client: redis.Redis, id_: str) -> Alarm | None:
    """One alarm; None when there is none or its 8 days are over."""
    fields: Any = client.hgetall(f"alarm:{id_}")
    return _alarm(id_, fields) if fields else None


def waiting(client: redis.Redis) -> list[Alarm]:
    """Alarms that nobody has acknowledged and that are still on the ladder, the next due first."""
    ids: Any = client.zrange("alarms", 0, -1)
    with client.pipeline(transaction=False) as pipe:
        for id_ in ids:
            pipe.hgetall(f"alarm:{id_}")
        found = pipe.execute()
    return [_alarm(id_, fields) for id_, fields in zip(ids, found, strict=True) if fields]


def recent(client: redis.Redis, since_ms: int, limit: int = 100) -> list[Alarm]:
    """Alarms raised since then, acknowledged or not, the newest first."""
    ids: Any = client.zrevrangebyscore("raised", "+inf", since_ms, start=0, num=limit)
    with client.pipeline(transaction=False) as pipe:
        for id_ in ids:
            pipe.hgetall(f"alarm:{id_}")
        found = pipe.execute()
    return [_alarm(id_, fields) for id_, fields in zip(ids, found, strict=True) if fields]


def due(client: redis.Redis, now_ms: int) -> list[str]:
    """Ids of alarms whose next step is due."""
    ids: Any = client.zrangebyscore("alarms", "-inf", now_ms, start=0, num=100)
    return list(ids)


def claim(client: redis.Redis, id_: str, now_ms: int) -> Alarm | None:
    """Take on the step that is due; None when another watch has it, or when the alarm left the ladder.

    Whoever claims and dies leaves the step due again after TRY_AGAIN_MS.
    """
    rows: list[str] = script("alarm_claim")(
        client, ["alarms", f"alarm:{id_}"], [id_, uuid.uuid4().hex, now_ms, TRY_AGAIN_MS]
    )
    return _alarm(id_, dict(zip(rows[::2], rows[1::2], strict=True))) if rows else None


def advance(client: redis.Redis, alarm: Alarm, rung: int, next_ms: int) -> None:
    """Note that the claimed step was told; `next_ms` 0 takes the alarm off the ladder."""
    script("alarm_told")(client, ["alarms", f"alarm:{alarm.id}"], [alarm.id, alarm.claim, rung, next_ms])


def acknowledge(client: redis.Redis, id_: str, by: str, now_ms: int) -> Acknowledged | None:
    """A person has taken the alarm: nobody else is told, and the audit says who. None when there is no such alarm."""
    first, at_ms, who = script("alarm_acknowledge")(client, ["alarms", f"alarm:{id_}"], [id_, by, now_ms])
    return Acknowledged(first == 1, int(float(at_ms)), who) if first >= 0 else None


def _alarm(id_: str, fields: dict[str, str]) -> Alarm:
    return Alarm(
        id=id_,
        patient=fields.get("patient", ""),
        category=fields.get("category", ""),
        level=fields.get("level", ""),
        at=fields.get("at", ""),
        raised_ms=int(float(fields.get("raised_ms") or 0)),
        rung=int(fields.get("rung") or 0),
        acknowledged_ms=int(float(fields.get("acknowledged_ms") or 0)),
        by=fields.get("by", ""),
        claim=fields.get("claimed_by", ""),
    )
