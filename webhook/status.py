"""GET /health, /health/live, /health/ready and /model: what the workers published and what the queues show."""

from __future__ import annotations

import time
from typing import Any

import redis
from flask import Blueprint, Response, jsonify

from shared.judgement import is_canary_late, problems
from shared.spool import Spool
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


def spool_told(spool: Spool) -> dict[str, Any]:
    """What waits on this host's disk for Redis."""
    size = spool.size()
    return {
        "bodies": size.bodies,
        "bytes": size.bytes,
        "limit_bytes": spool.max_bytes,
        "oldest_s": round(size.age_s(time.time()), 1),
    }


def _with_spool(told: dict[str, Any], spool: Spool) -> dict[str, Any]:
    """Bodies on disk are acknowledged and not answered: worth a word, and no reason to take this process away."""
    held = spool_told(spool)
    told["spool"] = held
    if held["bodies"]:
        text = f"the spool holds {held['bodies']} webhook bodies, the oldest for {held['oldest_s']:.0f} s"
        told["problems"] = [*told["problems"], text]
        if told["status"] == "ok":
            told["status"] = "degraded"
    return told


def blueprint(client: redis.Redis, spool: Spool) -> Blueprint:
    """Routes that tell operators and programs how the system is."""
    routes = Blueprint("status", __name__)

    @routes.get("/health/live")
    def live() -> Response:
        return jsonify(status="ok")

    @routes.get("/health/ready")
    def ready() -> tuple[Response, int]:
        """What Meta's 200 needs: this process, and Redis or room on disk. No worker and no model is asked for."""
        try:
            client.ping()
        except redis.RedisError:
            if spool.has_room():
                return jsonify(status="degraded", redis="down"), 200
            return jsonify(status="down"), 503
        return jsonify(status="ok"), 200

    @routes.get("/health")
    def whole() -> tuple[Response, int]:
        try:
            told = _with_spool(judge(health.look(client)), spool)
        except redis.RedisError:
            told = {"status": "down", "problems": ["redis is unreachable"], "redis": "down"}
            return jsonify(_with_spool(told, spool)), 503
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

    return routes
