"""GET /health, /health/live, /model and /metrics: what the workers published and what the queues show."""

from __future__ import annotations

from typing import Any

import redis
from flask import Blueprint, Response, jsonify
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from shared.judgement import is_canary_late, problems
from shared.metrics import RedisCollector, gauge
from shared.state import health


def judge(facts: health.Facts) -> dict[str, Any]:
    """Decide from one look whether patients are being answered, and say what is wrong (pure).

    Returns:
        `status`: "ok"; "degraded" (answered from rules and cards, or nearly late); "down" (patients wait unanswered).
    """
    found = problems(facts)
    down = any(problem.down for problem in found)
    return {
        "status": "down" if down else "degraded" if found else "ok",
        "problems": [problem.text for problem in found],
        "redis": "ok",
        "queues": {
            "oldest_waiting_s": facts.oldest_waiting_s,
            "oldest_outgoing_s": facts.oldest_outgoing_s,
            "oldest_fresh_s": facts.oldest_fresh_s,
            "consumed_s_ago": facts.pulses,
            **facts.depths,
        },
        "workers_alive": len(facts.workers),
        "workers": facts.workers,
        "dead_workers": facts.dead,
        "model_loaded": any(w.get("model_state") == "ready" for w in facts.workers),
        "canary": _canary(facts),
    }


def _canary(facts: health.Facts) -> dict[str, Any] | None:
    """When the last test message came home; None when none ever did."""
    if facts.canary_age_s is None:
        return None
    age_s = round(facts.canary_age_s, 1)
    return {"age_s": age_s, "period_s": facts.canary_period_s, "late": is_canary_late(facts)}


class QueueCollector(Collector):
    """Depths, ages and what workers say of themselves, as gauges."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def collect(self) -> Any:
        facts = health.look(self._client)
        depth = gauge("queue_depth", "queue")
        for name, value in facts.depths.items():
            depth.add_metric([name], value)
        age = gauge("queue_age_seconds", "queue")
        for name, seconds in (
            ("waiting", facts.oldest_waiting_s),
            ("outgoing", facts.oldest_outgoing_s),
            ("fresh", facts.oldest_fresh_s),
        ):
            age.add_metric([name], seconds or 0)
        workers = gauge("workers", "state")
        workers.add_metric(["alive"], len(facts.workers))
        workers.add_metric(["consuming"], sum(bool(w.get("consuming")) for w in facts.workers))
        workers.add_metric(["model_ready"], sum(w.get("model_state") == "ready" for w in facts.workers))
        workers.add_metric(["dead"], len(facts.dead))
        cache = gauge("model_cache_bytes", "worker")
        for worker in facts.workers:
            cache.add_metric([str(worker.get("name"))], worker.get("model_cache_bytes") or 0)
        yield from (depth, age, workers, cache)


def blueprint(client: redis.Redis) -> Blueprint:
    """Routes that tell operators and programs how the system is."""
    routes = Blueprint("status", __name__)
    registry = CollectorRegistry()
    for collector in (QueueCollector(client), RedisCollector(client)):
        registry._collector_to_names[collector] = []  # registered without asking it: Redis may be down now

    @routes.get("/health/live")
    def live() -> Response:
        return jsonify(status="ok")

    @routes.get("/health")
    def whole() -> tuple[Response, int]:
        try:
            told = judge(health.look(client))
        except redis.RedisError:
            return jsonify(status="down", problems=["redis is unreachable"], redis="down"), 503
        return jsonify(told), 503 if told["status"] == "down" else 200

    @routes.get("/model")
    def model() -> tuple[Response, int]:
        try:
            workers = health.look(client).workers
        except redis.RedisError:
            return jsonify(status="down", problems=["redis is unreachable"]), 503
        loaded = [w["model"] for w in workers if w.get("model")]
        states = [
            {
                "worker": w.get("name"),
                "state": w.get("model_state"),
                "error": w.get("model_error"),
                "revision": (w.get("model") or {}).get("revision"),  # two of them during an update
            }
            for w in workers
        ]
        if not loaded:
            return jsonify(loaded=False, workers=states), 503
        return jsonify(loaded=True, **loaded[0], workers=states), 200

    @routes.get("/metrics")
    def metrics() -> Response:
        try:
            return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
        except redis.RedisError:
            return Response("# redis is unreachable\n", 503, mimetype="text/plain")

    return routes
