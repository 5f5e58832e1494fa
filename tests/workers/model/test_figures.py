"""What the engine did becomes counters, each thing once."""

from __future__ import annotations

import redis

from shared.metrics import Metrics
from workers.model.figures import EngineFigures
from workers.model.generation import EngineStats


def test_each_look_counts_what_is_new(client: redis.Redis) -> None:
    metrics = Metrics(client)
    now = [0.0]
    figures = EngineFigures(metrics, clock=lambda: now[0])
    assert figures.note(None) is None
    now[0] = 2.0
    first = EngineStats(
        finished=3, prompt_tokens=300, tokens=40, drafted=9, accepted=4, batch_sizes={1: 10, 3: 2}, waiting=2, running=1
    )
    assert figures.note(first) == {"waiting": 2, "running": 1, "last_step_age_s": 0.0, "tokens_per_s": 20.0}
    now[0] = 5.0
    second = EngineStats(
        finished=4,
        expired=1,
        prompt_tokens=350,
        prefix_tokens=64,
        tokens=55,
        drafted=10,
        accepted=5,
        forced=2,
        passes=7,
        batch_sizes={1: 10, 3: 7},
    )
    told = figures.note(second)
    assert told is not None
    assert told["tokens_per_s"] == 5.0
    figures.note(second)
    metrics.flush()
    counted = {name: float(value) for name, value in client.hgetall("metrics").items()}
    assert counted == {
        "engine_requests_total|outcome=finished": 4,
        "engine_requests_total|outcome=expired": 1,
        "engine_prompt_tokens_total": 350,
        "engine_prefix_tokens_total": 64,
        "engine_passes_total": 7,
        "engine_draft_tokens_total|outcome=accepted": 5,
        "engine_draft_tokens_total|outcome=rejected": 5,
        "engine_forced_tokens_total": 2,
        "engine_tokens_total": 55,
        "engine_batch_rows|le=1": 10,
        "engine_batch_rows|le=4": 7,
        "engine_batch_rows|sum": 31,
    }
