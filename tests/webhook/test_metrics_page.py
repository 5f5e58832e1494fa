"""GET /metrics shows every listed figure, from queues, alarms, workers and Redis; docs/metrics.md describes each."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from shared.celery_app import KEY_PREFIX
from shared.metrics import COUNTERS, GAUGES, HISTOGRAMS
from shared.state import health
from shared.state.incidents import RedisIncidents
from tests.shared.metric_names import PREFIX, guide, samples, written_in_lua, written_in_python
from tests.webhook.conftest import envelope, text_message

WORKER = {
    "name": "w1",
    "consuming": True,
    "model_state": "ready",
    "model": {"name": "m", "revision": "r1"},
    "model_cache_bytes": 8,
    "model_cache_free_bytes": 9,
    "engine": {"waiting": 2, "running": 3, "last_step_age_s": 0.5, "tokens_per_s": 41.5},
}


def ago(seconds: float) -> float:
    return (time.time() - seconds) * 1000


@pytest.fixture
def page(web: FlaskClient, client: redis.Redis) -> Callable[[], dict[str, float]]:
    """Scrape; returns `name{label=value}` -> value of all samples, as Prometheus reads them."""

    def scrape() -> dict[str, float]:
        answer = web.get("/metrics")
        assert answer.status_code == 200
        return {
            "".join([s.name.removeprefix(PREFIX), *(f"{{{k}={v}}}" for k, v in s.labels.items())]): s.value
            for family in text_string_to_metric_families(answer.text)
            for s in family.samples
        }

    return scrape


def test_every_listed_figure_is_on_the_page_with_its_type(web: FlaskClient, client: redis.Redis) -> None:
    families = {f.name: f.type for f in text_string_to_metric_families(web.get("/metrics").text)}
    wanted = {PREFIX + name.removesuffix("_total"): "counter" for name in COUNTERS}
    wanted |= {PREFIX + name: "gauge" for name in GAUGES} | {PREFIX + name: "histogram" for name in HISTOGRAMS}
    assert families == wanted


def test_the_guide_describes_what_is_listed_and_nothing_else() -> None:
    described = guide()
    wanted = {PREFIX + name: "counter" for name in COUNTERS} | {PREFIX + name: "gauge" for name in GAUGES}
    wanted |= {PREFIX + name: "histogram" for name in HISTOGRAMS}
    assert {name: kind for name, (kind, _, _) in described.items()} == wanted
    assert all(worry for _, _, worry in described.values())


def test_the_guide_names_the_labels_that_are_written_and_shown(
    web: FlaskClient, client: redis.Redis, post: Callable[..., int]
) -> None:
    labels = {name: set(given) for name, (_, given, _) in guide().items()}
    counters, _ = written_in_python()
    for name, given in [*counters.items(), *written_in_lua().items()]:
        assert given <= labels[PREFIX + name], name
    health.publish_heartbeat(client, "w1", WORKER)
    health.note_pulse(client, "turns")
    RedisIncidents(client).open("no_worker", "", 1, settle_ms=0, unsteady_ms=0)
    assert post(envelope(text_message(1))) == 200
    shown = samples(web.get("/metrics").text)
    for name in (*COUNTERS, *GAUGES):
        assert shown[PREFIX + name] <= labels[PREFIX + name], name
    for name in GAUGES:
        if shown[PREFIX + name]:
            assert shown[PREFIX + name] == labels[PREFIX + name], name


def test_queues_show_how_many_wait_and_for_how_long(client: redis.Redis, page: Callable[[], dict[str, float]]) -> None:
    client.zadd("waiting", {"p_1": ago(5), "p_2": ago(-5)})
    client.zadd("fresh", {"p_1": ago(7)})
    client.zadd("outgoing", {"p_1:normal": ago(9)})
    client.zadd("reminders", {"p_1:reminder": ago(11), "p_2:reminder": ago(-3600)})
    client.zadd("unconfirmed", {"r_1": ago(-60)})
    client.zadd("handoffs", {"p_1": ago(-60), "p_2": ago(60)})
    client.hset("calls", mapping={"r_1": json.dumps({"at": ago(13)}), "h:p_1": json.dumps({"at": ago(3)})})
    client.rpush("dead", json.dumps({"why": "new"}), json.dumps({"at": str(datetime.now(UTC) - timedelta(seconds=17))}))
    client.rpush(f"{KEY_PREFIX}turns", "a", "b")
    shown = page()
    depths = {"waiting": 2, "fresh": 1, "outgoing": 1, "reminders": 2, "unconfirmed": 1, "handoffs": 1, "calls": 2}
    depths |= {"dead": 2, "unreadable": 0, "alarms": 0, "incidents": 0}
    assert {q: shown[f"queue_depth{{queue={q}}}"] for q in depths} == depths
    ages = {"waiting": 5, "fresh": 7, "outgoing": 9, "reminders": 11, "unconfirmed": 0, "calls": 13, "dead": 17}
    for queue, age in ages.items():
        assert shown[f"queue_age_seconds{{queue={queue}}}"] == pytest.approx(age, abs=2)
    assert shown["bell_depth{queue=turns}"] == 2


def test_open_alarms_and_incidents_show_their_ages(client: redis.Redis, page: Callable[[], dict[str, float]]) -> None:
    assert page()["alarm_age_seconds"] == 0
    for alarm, age in (("a_1", 30), ("a_2", 90)):
        client.hset(f"alarm:{alarm}", mapping={"patient": "p_1", "level": "urgencia", "raised_ms": str(int(ago(age)))})
        client.zadd("alarms", {alarm: ago(-60)})
    RedisIncidents(client).open("backend_down", "", int(ago(45)), settle_ms=0, unsteady_ms=0)
    shown = page()
    assert (shown["queue_depth{queue=alarms}"], shown["queue_depth{queue=incidents}"]) == (2, 1)
    assert shown["alarm_age_seconds"] == pytest.approx(90, abs=2)
    assert shown["incident_age_seconds{kind=backend_down}"] == pytest.approx(45, abs=2)


def test_workers_engine_canary_and_redis_show(client: redis.Redis, page: Callable[[], dict[str, float]]) -> None:
    before = page()
    assert before["health"] == 0  # nobody answers
    assert "canary_age_seconds" not in before  # never came home
    health.publish_heartbeat(client, "w1", WORKER)
    health.publish_heartbeat(client, "w2", WORKER | {"name": "w2"})
    client.delete("worker:w2")
    client.hset("canary", mapping={"good_ms": int(ago(20)), "period_s": 300})
    shown = page()
    states = {"alive": 1, "dead": 1, "consuming": 1, "model_ready": 1, "model_failed": 0, "danger_rules_broken": 0}
    assert {state: shown[f"workers{{state={state}}}"] for state in states} == states
    assert shown["model_info{model=m}{revision=r1}{worker=w1}"] == 1
    assert shown["model_cache_free_bytes{worker=w1}"] == 9
    engine = [shown[f"engine_{name}{{worker=w1}}"] for name in ("waiting", "running", "tokens_per_second")]
    assert engine == [2, 3, 41.5]
    assert shown["canary_age_seconds"] == pytest.approx(20, abs=2)
    assert shown["canary_late"] == 0
    assert shown["redis_memory_used_bytes"] > 100_000
    assert shown["redis_aof_enabled"] in (0, 1)
    assert shown["redis_aof_healthy"] == 1


def test_refused_and_repeated_requests_are_counted(
    web: FlaskClient, client: redis.Redis, post: Callable[..., int], page: Callable[[], dict[str, float]]
) -> None:
    body = envelope(text_message(1))
    assert [post(body), post(body), post(body, "wrong")] == [200, 200, 401]
    web.application.extensions["services"].metrics.flush()
    shown = page()
    assert shown["messages_total{outcome=accepted}"] == 1
    assert shown["messages_total{outcome=duplicate}"] == 1
    assert shown["signatures_refused_total"] == 1
    assert shown["ack_seconds_count"] == 2
