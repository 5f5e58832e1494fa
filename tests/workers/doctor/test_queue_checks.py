"""What Redis knows of the running system: workers, models, pulses, Beat, canary, ages."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import redis

from shared.celery_app import QueueName
from shared.settings import Settings
from shared.state import health
from tests.workers.doctor.conftest import one, plain, told
from tests.workers.http_server import closed_port
from workers.doctor import queue_checks
from workers.doctor.check import Check, State
from workers.doctor.queue_checks import BEAT, CANARY, DANGER_RULES, MODELS, QUEUES, SET_ASIDE, WAITING, WORKERS

READY: dict[str, Any] = {
    "name": "w1",
    "consuming": True,
    "model_state": "ready",
    "model": {"revision": "abc"},
    "danger_rules": "ok",
}


def running(client: redis.Redis, *workers: dict[str, Any]) -> None:
    """A system that was looked after a moment ago."""
    for number, worker in enumerate(workers or ({},)):
        health.publish_heartbeat(client, f"w{number}", READY | {"name": f"w{number}"} | worker)
    for queue in QueueName:
        health.note_pulse(client, queue.value)
    health.note_pulse(client, health.BEAT)


def check(settings: Settings) -> list[Check]:
    return queue_checks.check(settings)


def test_all_is_well(client: redis.Redis, settings: Settings) -> None:
    running(client)
    checks = check(settings)
    told(one(checks, WORKERS), State.OK, "1 alive, 1 consuming")
    told(one(checks, MODELS), State.OK, "1 of 1 ready")
    told(one(checks, QUEUES), State.OK, f"all {len(QueueName)} consumed within 0 s")
    told(one(checks, BEAT), State.OK, "rang 0 s ago")
    told(one(checks, CANARY), State.OFF, "none has come back yet")
    assert {c.state for c in checks} == {State.OK, State.OFF}


def test_no_worker(client: redis.Redis, settings: Settings) -> None:
    checks = check(settings)
    told(one(checks, WORKERS), State.FAILED, "no message is answered and no danger sign is found", "up -d worker")
    told(one(checks, QUEUES), State.OFF, "no worker is alive")
    told(one(checks, WAITING), State.OK, "none late")


def test_workers_that_do_not_consume(client: redis.Redis, settings: Settings) -> None:
    running(client, {"consuming": False})
    told(one(check(settings), WORKERS), State.FAILED, "1 alive, 0 consuming", "restart worker")
    running(client, {}, {"consuming": False})
    told(one(check(settings), WORKERS), State.WARNING, "2 alive, 1 consuming; not w1", "restart it")


def test_a_worker_that_died(client: redis.Redis, settings: Settings) -> None:
    running(client)
    client.zadd("workers", {"w9": time.time() - 60})
    told(one(check(settings), WORKERS), State.WARNING, "w9 ended without saying good-bye", "dmesg")


@pytest.mark.parametrize(
    ("workers", "part"),
    [
        ([{"model_state": "failed", "model_error": "refused by the gate", "model": None}], "refused by the gate"),
        ([{"model_state": "loading", "model": None}], "loading: rules and cards answer"),
        ([{}, {"model": {"revision": "def"}}], "different revisions: abc, def"),
    ],
)
def test_models_that_do_not_answer(
    client: redis.Redis, settings: Settings, workers: list[dict[str, Any]], part: str
) -> None:
    running(client, *workers)
    checks = check(settings)
    assert one(checks, MODELS).advice
    assert one(checks, MODELS).state is State.WARNING
    assert part in one(checks, MODELS).found
    told(one(checks, WORKERS), State.OK, "alive")


def test_broken_danger_rules(client: redis.Redis, settings: Settings) -> None:
    running(client, {"danger_rules": "line 3 cannot be read"})
    told(one(check(settings), DANGER_RULES), State.FAILED, "line 3 cannot be read", "put back the rule files")


def test_a_queue_that_stands_and_a_beat_that_stopped(client: redis.Redis, settings: Settings) -> None:
    running(client)
    client.hset("pulse", mapping={"triage": time.time() - 100, health.BEAT: time.time() - 100})
    checks = check(settings)
    told(one(checks, QUEUES), State.FAILED, "not consumed: triage", "restart the workers")
    told(one(checks, BEAT), State.FAILED, "rang 100 s ago", "up -d beat")
    client.hdel("pulse", health.BEAT)
    told(one(check(settings), BEAT), State.FAILED, "has never rung", "up -d beat")


def test_a_canary_that_came_back_and_one_that_did_not(client: redis.Redis, settings: Settings) -> None:
    running(client)
    client.hset("canary", mapping={"good_ms": int((time.time() - 20) * 1000), "period_s": 300})
    told(one(check(settings), CANARY), State.OK, "came back 20 s ago")
    client.hset("canary", "good_ms", int((time.time() - 3000) * 1000))
    told(one(check(settings), CANARY), State.FAILED, "the last one came back 3,000 s ago", "CANARY_URL")


def test_messages_that_wait_too_long(client: redis.Redis, settings: Settings) -> None:
    running(client)
    client.zadd("fresh", {"p_a": (time.time() - 45) * 1000})
    client.zadd("waiting", {"p_a": (time.time() - 45) * 1000})
    found = one(check(settings), WAITING)
    told(found, State.FAILED, "45 s late to be searched for danger", "call patients")
    assert "to be answered" not in found.found  # two minutes are allowed there


def test_what_was_given_up(client: redis.Redis, settings: Settings) -> None:
    running(client)
    client.rpush("dead", json.dumps({"text": "canario"}))
    found = one(check(settings), SET_ASIDE)
    told(found, State.WARNING, "1 in the list dead", "docs/running.md")
    assert "canario" not in str(found)


def test_without_redis_nothing_is_said() -> None:
    checks = check(plain(REDIS_URL=f"redis://127.0.0.1:{closed_port()}/0"))
    assert len(checks) == 8
    for found in checks:
        told(found, State.OFF, "no connection to Redis")
