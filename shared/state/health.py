"""What workers say of themselves, and what the queues show: the facts behind GET /health and GET /model."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import redis

from shared.canary import age_s
from shared.celery_app import QueueName

HEARTBEAT_S = 3
HEARTBEAT_TTL_S = 15
PULSE_S = 10  # one pulse per queue and period, whoever rings it
DEAD_AFTER_S = 30
BEAT = "beat"  # noted like a queue when what Beat rings is consumed


def publish_heartbeat(client: redis.Redis, name: str, facts: dict[str, Any]) -> None:
    """Store what worker `name` says of itself; it counts as dead when it stops saying it."""
    with client.pipeline(transaction=False) as pipe:
        pipe.set(f"worker:{name}", json.dumps(facts), ex=HEARTBEAT_TTL_S)
        pipe.zadd("workers", {name: time.time()})
        pipe.execute()


def withdraw(client: redis.Redis, name: str) -> None:
    """A worker says good-bye: it is not dead, it was stopped."""
    with client.pipeline(transaction=False) as pipe:
        pipe.delete(f"worker:{name}")
        pipe.zrem("workers", name)
        pipe.execute()


def may_ring_pulse(client: redis.Redis, queue: str) -> bool:
    """True once per queue and period, for whichever worker asks first."""
    allowed = bool(client.set(f"pulse_rung:{queue}", "1", nx=True, px=PULSE_S * 1000))
    if allowed:
        client.hset("pulse", f"rung:{queue}", str(time.time()))
    return allowed


def note_pulse(client: redis.Redis, queue: str) -> None:
    client.hset("pulse", queue, str(time.time()))


@dataclass(frozen=True, slots=True)
class Facts:
    """One look at the system. Ages in seconds; None: nothing waits, or it never happened."""

    workers: list[dict[str, Any]]  # alive ones, as they describe themselves
    dead: list[str]  # names that stopped without saying good-bye, last day
    oldest_waiting_s: float | None  # how late the latest turn is
    oldest_outgoing_s: float | None
    oldest_fresh_s: float | None
    depths: dict[str, int]
    pulses: dict[str, float | None]  # queue -> seconds since a pulse was consumed
    canary_age_s: float | None = None  # since the last good one, or the first launch
    canary_period_s: float | None = None


def look(client: redis.Redis) -> Facts:
    """Read all health facts in two round trips."""
    now = time.time()
    with client.pipeline(transaction=False) as pipe:
        pipe.zremrangebyscore("workers", "-inf", now - 86400)
        pipe.zrange("workers", 0, -1)
        for zset in ("waiting", "outgoing", "fresh"):
            pipe.zrange(zset, 0, 0, withscores=True)
            pipe.zcard(zset)
        pipe.llen("dead")
        pipe.hlen("calls")
        pipe.llen("unreadable")
        pipe.hgetall("pulse")
        pipe.hgetall("canary")
        _, names, w, w_n, o, o_n, f, f_n, dead_n, calls_n, unreadable_n, pulses, canary = pipe.execute()
    told = client.mget([f"worker:{name}" for name in names]) if names else []
    alive = [json.loads(text) for text in told if text]

    def age(rows: list[tuple[str, float]]) -> float | None:
        return max(0.0, now - rows[0][1] / 1000) if rows else None

    return Facts(
        workers=alive,
        dead=[name for name, text in zip(names, told, strict=True) if not text],
        oldest_waiting_s=age(w),
        oldest_outgoing_s=age(o),
        oldest_fresh_s=age(f),
        depths={
            "waiting": w_n,
            "outgoing": o_n,
            "fresh": f_n,
            "dead": dead_n,
            "calls": calls_n,
            "unreadable": unreadable_n,
        },
        pulses={q.value: now - float(pulses[q]) if q in pulses else None for q in QueueName},
        canary_age_s=age_s(canary, now * 1000),
        canary_period_s=float(canary["period_s"]) if "period_s" in canary else None,
    )
