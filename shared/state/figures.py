"""What GET /metrics shows beside the counters, read from Redis in a few round trips (`webhook.metrics_page`)."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis

from shared.celery_app import KEY_PREFIX, QueueName
from shared.metrics import KEY
from shared.state import alarms, health
from shared.state.incidents import RedisIncidents


@dataclass(frozen=True, slots=True)
class Figures:
    """One look. Ages in seconds, 0 when nothing waits."""

    facts: health.Facts
    depths: dict[str, int]
    ages: dict[str, float]  # how late the oldest of each list is
    alarm_age_s: float  # oldest unacknowledged alarm
    incidents: dict[str, float]  # open ones: kind -> seconds
    bells: dict[str, int]  # Celery queue -> messages not yet taken
    memory: dict[str, Any]  # INFO memory
    persistence: dict[str, Any]  # INFO persistence
    counted: dict[str, float]  # counters and buckets, as `shared.metrics` keeps them


def read(client: redis.Redis) -> Figures:
    """Read everything that a page of metrics needs."""
    facts = health.look(client)
    now = time.time()
    with client.pipeline(transaction=False) as pipe:
        for clock in ("reminders", "unconfirmed"):
            pipe.zcard(clock)
            pipe.zrange(clock, 0, 0, withscores=True)
        pipe.zcount("handoffs", now * 1000, "+inf")
        pipe.hvals("calls")
        pipe.lindex("dead", -1)  # the oldest
        pipe.info("memory")
        pipe.info("persistence")
        pipe.hgetall(KEY)
        for queue in QueueName:
            pipe.llen(f"{KEY_PREFIX}{queue}")
        reminders_n, reminders, unconfirmed_n, unconfirmed, handoffs_n, calls, dead, *rest = pipe.execute()
    memory, persistence, counted, *bells = rest
    raised = [alarm.raised_ms for alarm in alarms.waiting(client)]
    incidents = RedisIncidents(client).listed()
    return Figures(
        facts=facts,
        depths={
            **facts.depths,
            "reminders": reminders_n,
            "unconfirmed": unconfirmed_n,
            "handoffs": handoffs_n,
            "alarms": len(raised),
            "incidents": len(incidents),
        },
        ages={
            "waiting": facts.oldest_waiting_s or 0.0,
            "outgoing": facts.oldest_outgoing_s or 0.0,
            "fresh": facts.oldest_fresh_s or 0.0,
            "reminders": _late(now, reminders),
            "unconfirmed": _late(now, unconfirmed),
            "calls": _since_ms(now, min((_at_ms(line) for line in calls), default=0.0)),
            "dead": _since_ms(now, _at_ms(dead) if dead else 0.0),
        },
        alarm_age_s=_since_ms(now, min(raised, default=0)),
        incidents={incident.kind: _since_ms(now, incident.opened_ms) for incident in incidents},
        bells=dict(zip((queue.value for queue in QueueName), bells, strict=True)),
        memory=memory,
        persistence=persistence,
        counted={str(name): float(value) for name, value in counted.items()},
    )


def _late(now: float, first: list[tuple[str, float]]) -> float:
    return max(0.0, now - first[0][1] / 1000) if first else 0.0


def _since_ms(now: float, at_ms: float) -> float:
    return max(0.0, now - at_ms / 1000) if at_ms else 0.0


def _at_ms(line: str) -> float:
    """When a line of the call list or a dead letter was written, in ms; now if it does not say."""
    try:
        at = json.loads(line).get("at")
        return datetime.fromisoformat(at).timestamp() * 1000 if isinstance(at, str) else float(at)
    except (ValueError, TypeError, AttributeError):
        return time.time() * 1000
