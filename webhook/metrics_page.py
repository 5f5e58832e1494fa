"""GET /metrics: every figure of `shared.metrics` in Prometheus' text format. Reachable from inside only: see nginx."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import redis
from flask import Blueprint, Response
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from shared.judgement import is_canary_late
from shared.metrics import COUNTERS, GAUGES, HISTOGRAMS
from shared.spool import Spool
from shared.state import figures, health
from shared.state.figures import Figures
from webhook.status import judge

PREFIX = "assistant_"
_HEALTH = {"ok": 1.0, "degraded": 0.5, "down": 0.0}


def blueprint(client: redis.Redis, spool: Spool) -> Blueprint:
    """The route; while Redis is away it shows the spool, and a health of 0."""
    routes = Blueprint("metrics", __name__)
    registry = CollectorRegistry(auto_describe=False)
    registry._collector_to_names[_Page(client, spool)] = []  # registered without asking it: Redis may be down now

    @routes.get("/metrics")
    def metrics() -> Response:
        return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)

    return routes


class _Page(Collector):
    def __init__(self, client: redis.Redis, spool: Spool) -> None:
        self._client = client
        self._spool = spool

    def collect(self) -> Iterator[Metric]:
        yield from spool_gauges(self._spool)
        try:
            seen = figures.read(self._client)
        except redis.RedisError:
            yield _one("health", 0)
            return
        yield from system_gauges(seen)
        yield from worker_gauges(seen.facts)
        yield from _counters(seen.counted)
        yield from _histograms(seen.counted)


def _gauge(name: str, values: Mapping[tuple[str, ...], float], *labels: str) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, GAUGES[name], labels=labels)
    for given, value in values.items():
        family.add_metric(list(given), value)
    return family


def _one(name: str, value: float | None) -> GaugeMetricFamily:
    return _gauge(name, {} if value is None else {(): value})


def _by(label: str, name: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    return _gauge(name, {(key,): value for key, value in values.items()}, label)


def spool_gauges(spool: Spool) -> Iterator[Metric]:
    """What waits on this host's disk; the one thing to be seen while Redis is away."""
    size = spool.size()
    yield _one("spool_bodies", size.bodies)
    yield _one("spool_bytes", size.bytes)
    yield _one("spool_limit_bytes", spool.max_bytes)
    yield _one("spool_age_seconds", size.age_s(time.time()))


def system_gauges(seen: Figures) -> Iterator[Metric]:
    """What waits, what is open, and how Redis is (pure)."""
    facts, memory, persistence = seen.facts, seen.memory, seen.persistence
    aof_healthy = all(persistence.get(f"aof_last_{what}_status") == "ok" for what in ("write", "bgrewrite"))
    yield _one("health", _HEALTH[judge(facts)["status"]])
    yield _by("queue", "queue_depth", seen.depths)
    yield _by("queue", "queue_age_seconds", seen.ages)
    yield _one("alarm_age_seconds", seen.alarm_age_s)
    yield _by("kind", "incident_age_seconds", seen.incidents)
    yield _by("queue", "bell_depth", seen.bells)
    yield _by("queue", "pulse_age_seconds", {q: age for q, age in facts.pulses.items() if age is not None})
    yield _one("canary_age_seconds", facts.canary_age_s)
    yield _one("canary_late", is_canary_late(facts))
    yield _one("redis_memory_used_bytes", memory.get("used_memory"))
    yield _one("redis_memory_limit_bytes", memory.get("maxmemory"))
    yield _one("redis_aof_enabled", persistence.get("aof_enabled"))
    yield _one("redis_aof_healthy", aof_healthy)


def worker_gauges(facts: health.Facts) -> Iterator[Metric]:
    """What workers say of themselves (pure)."""
    alive = facts.workers
    models = [str(worker.get("model_state")) for worker in alive]
    states = {
        "alive": len(alive),
        "dead": len(facts.dead),
        "consuming": sum(bool(worker.get("consuming")) for worker in alive),
        "stopping": sum(bool(worker.get("stopping")) for worker in alive),
        "danger_rules_broken": sum(worker.get("danger_rules", "ok") != "ok" for worker in alive),
        **{f"model_{state}": models.count(state) for state in ("loading", "ready", "failed")},
    }
    yield _by("state", "workers", states)
    loaded = [(str(w.get("name")), w["model"]) for w in alive if w.get("model")]
    yield _gauge(
        "model_info",
        {(worker, str(m.get("name")), str(m.get("revision") or "")): 1 for worker, m in loaded},
        *("worker", "model", "revision"),
    )
    for name in ("model_cache_bytes", "model_cache_free_bytes"):
        yield _of_workers(name, alive, name)
    engines = [{"name": worker.get("name"), **(worker.get("engine") or {})} for worker in alive]
    for name, told in (
        ("engine_waiting", "waiting"),
        ("engine_running", "running"),
        ("engine_tokens_per_second", "tokens_per_s"),
        ("engine_last_step_age_seconds", "last_step_age_s"),
    ):
        yield _of_workers(name, engines, told)


def _of_workers(name: str, tellers: list[dict[str, Any]], told: str) -> Metric:
    return _by("worker", name, {str(t.get("name")): float(t[told]) for t in tellers if t.get(told) is not None})


def _counters(counted: dict[str, float]) -> Iterator[Metric]:
    for name, help_text in COUNTERS.items():
        samples = [key.split("|")[1:] for key in counted if key.split("|")[0] == name]
        labels = sorted({label.partition("=")[0] for sample in samples for label in sample})
        family = CounterMetricFamily(PREFIX + name, help_text, labels=labels)
        for sample in samples:
            given = dict(label.split("=", 1) for label in sample)
            family.add_metric([given.get(label, "") for label in labels], counted["|".join([name, *sample])])
        if not samples:
            family.add_metric([], 0)
        yield family


def _histograms(counted: dict[str, float]) -> Iterator[Metric]:
    for name, (help_text, bounds) in HISTOGRAMS.items():
        total, buckets = 0.0, []
        for bound in [*(f"{b:g}" for b in bounds), "+Inf"]:
            total += counted.get(f"{name}|le={bound}", 0)
            buckets.append((bound, total))
        family = HistogramMetricFamily(PREFIX + name, help_text)
        family.add_metric([], buckets=buckets, sum_value=counted.get(f"{name}|sum", 0.0))
        yield family
