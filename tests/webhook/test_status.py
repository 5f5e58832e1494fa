"""Health tells the truth about workers that load, died, or live without consuming."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from shared.celery_app import QueueName
from shared.settings import Settings
from shared.state import health
from webhook.app import create_app
from webhook.status import judge

WORKER = {"name": "w1", "consuming": True, "model_state": "ready", "model": {"name": "m", "revision": "r1"}}
FINE = health.Facts(
    workers=[WORKER],
    dead=[],
    oldest_waiting_s=None,
    oldest_outgoing_s=None,
    oldest_fresh_s=None,
    depths={},
    pulses={queue.value: 2.0 for queue in QueueName},
)


@pytest.mark.parametrize(
    ("changes", "status", "says"),
    [
        ({}, "ok", None),
        ({"workers": []}, "down", "no worker is alive"),
        ({"workers": [WORKER | {"consuming": False}]}, "down", "alive but none consumes"),
        ({"pulses": FINE.pulses | {"turns": 31.0}}, "down", "queues not consumed: turns"),
        ({"pulses": FINE.pulses | {"triage": None}}, "down", "queues not consumed: triage"),
        ({"workers": [WORKER | {"model_state": "loading"}]}, "degraded", "no model is ready (loading)"),
        (
            {"workers": [WORKER | {"model_state": "failed", "model_error": "refused by the gate"}, WORKER]},
            "degraded",
            "worker w1 has no model: refused by the gate",
        ),
        ({"workers": [WORKER | {"model_state": "loading"}, WORKER]}, "ok", None),
        ({"dead": ["w2"]}, "degraded", "worker w2 stopped"),
        ({"workers": [WORKER | {"danger_rules": "no file"}]}, "degraded", "every message is an alarm: no file"),
        ({"oldest_fresh_s": 31.0}, "down", "not searched for danger: 31 s"),
        ({"oldest_waiting_s": 119.0}, "ok", None),
        ({"oldest_waiting_s": 500.0}, "down", "turns late"),
        ({"oldest_outgoing_s": 301.0}, "down", "deliveries late"),
        ({"canary_age_s": 601.0, "canary_period_s": 300.0}, "down", "canary late"),
        ({"canary_age_s": 599.0, "canary_period_s": 300.0}, "ok", None),
    ],
    ids=str,
)
def test_health_is_judged_by_what_patients_get(changes: dict[str, Any], status: str, says: str | None) -> None:
    told = judge(replace(FINE, **changes))
    assert told["status"] == status
    assert any(says in problem for problem in told["problems"]) if says else told["problems"] == []


def test_a_worker_that_stops_beating_is_dead_and_one_that_says_goodbye_is_not(
    web: FlaskClient, client: redis.Redis
) -> None:
    for name in ("w1", "w2", "w3"):
        health.publish_heartbeat(client, name, WORKER | {"name": name})
    client.delete("worker:w2")  # its heartbeat ran out
    health.withdraw(client, "w3")
    for queue in QueueName:
        health.note_pulse(client, queue)
    told = web.get("/health")
    assert told.status_code == 200
    assert told.json["dead_workers"] == ["w2"]
    assert told.json["workers_alive"] == 1
    assert told.json["model_loaded"] is True


def test_without_workers_health_is_503_but_the_process_lives(web: FlaskClient) -> None:
    assert web.get("/health").status_code == 503
    assert web.get("/health/live").status_code == 200
    assert web.get("/health/ready").status_code == 200
    assert web.get("/model").status_code == 503


def test_model_tells_what_the_workers_published(web: FlaskClient, client: redis.Redis) -> None:
    health.publish_heartbeat(client, "w1", WORKER)
    told = web.get("/model")
    assert (told.status_code, told.json["name"], told.json["revision"]) == (200, "m", "r1")
    assert told.json["workers"] == [{"worker": "w1", "state": "ready", "error": None, "revision": "r1"}]


def test_model_tells_why_a_model_was_refused(web: FlaskClient, client: redis.Redis) -> None:
    sentence = "the model is refused by the release gate: 3 of 25 right"
    health.publish_heartbeat(client, "w1", {"name": "w1", "model_state": "failed", "model_error": sentence})
    told = web.get("/model")
    assert (told.status_code, told.json["workers"][0]["error"]) == (503, sentence)
    assert any(sentence in problem for problem in web.get("/health").json["problems"])


def test_late_messages_show_in_health(web: FlaskClient, client: redis.Redis) -> None:
    client.zadd("fresh", {"p_1": (time.time() - 60) * 1000})
    assert any("not searched" in problem for problem in web.get("/health").json["problems"])


def test_the_canary_shows_in_health(web: FlaskClient, client: redis.Redis) -> None:
    assert web.get("/health").json["canary"] is None
    client.hset("canary", mapping={"good_ms": round((time.time() - 700) * 1000), "period_s": 300})
    told = web.get("/health").json
    assert told["canary"]["late"] is True
    assert 700 <= told["canary"]["age_s"] < 710
    assert any("canary late" in problem for problem in told["problems"])


def test_metrics_are_prometheus_text(web: FlaskClient, client: redis.Redis) -> None:
    client.hset("metrics", mapping={"sends_total|outcome=sent": 3, "turn_seconds|le=0.5": 2, "turn_seconds|sum": "0.6"})
    health.publish_heartbeat(client, "w1", WORKER | {"model_cache_bytes": 8159176})
    text = web.get("/metrics").text
    assert 'assistant_model_cache_bytes{worker="w1"} 8.159176e+06' in text
    assert 'assistant_sends_total{outcome="sent"} 3.0' in text
    assert 'assistant_turn_seconds_bucket{le="1.0"} 2.0' in text or 'assistant_turn_seconds_bucket{le="1"} 2.0' in text
    assert 'assistant_queue_depth{queue="dead"} 0.0' in text


def test_with_redis_down_every_route_says_so(app_settings: Settings) -> None:
    app = create_app(app_settings.model_copy(update={"REDIS_URL": None, "REDIS_PORT": 9}))
    for path in ("/health", "/model"):
        assert app.test_client().get(path).status_code == 503
    assert app.test_client().get("/health/live").status_code == 200
    ready = app.test_client().get("/health/ready")
    assert (ready.status_code, ready.json) == (200, {"status": "degraded", "redis": "down"})  # there is room on disk
