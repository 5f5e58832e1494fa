"""Turns what the engine counted since its start into counters for all processes. Called by the heartbeat."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from shared.metrics import Metrics
from workers.model.generation import EngineStats

OUTCOMES = ("finished", "failed", "refused", "expired", "cancelled")


class EngineFigures:
    """Adds to the metrics what the engine did since the last look. One per worker, asked by one thread."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._before = EngineStats()
        self._looked_at = clock()

    def note(self, stats: EngineStats | None) -> dict[str, Any] | None:
        """Count what is new, and return what the heartbeat says of the engine; None while there is none.

        A growing `last_step_age_s` with waiting requests is a wedged model.
        """
        if stats is None:
            return None
        before, self._before = self._before, stats
        now = self._clock()
        passed_s, self._looked_at = now - self._looked_at, now
        for outcome in OUTCOMES:
            if done := getattr(stats, outcome) - getattr(before, outcome):
                self._metrics.count("engine_requests_total", done, outcome=outcome)
        tokens = stats.tokens - before.tokens
        if tokens:
            self._metrics.count("engine_tokens_total", tokens)
        if read := stats.prompt_tokens - before.prompt_tokens:
            self._metrics.count("engine_prompt_tokens_total", read)
        if known := stats.prefix_tokens - before.prefix_tokens:
            self._metrics.count("engine_prefix_tokens_total", known)
        if passes := stats.passes - before.passes:
            self._metrics.count("engine_passes_total", passes)
        if forced := stats.forced - before.forced:
            self._metrics.count("engine_forced_tokens_total", forced)
        accepted = stats.accepted - before.accepted
        if drafted := stats.drafted - before.drafted:
            self._metrics.count("engine_draft_tokens_total", accepted, outcome="accepted")
            self._metrics.count("engine_draft_tokens_total", drafted - accepted, outcome="rejected")
        for rows, steps in stats.batch_sizes.items():
            if new := steps - before.batch_sizes.get(rows, 0):
                self._metrics.observe("engine_batch_rows", rows, new)
        return {
            "waiting": stats.waiting,
            "running": stats.running,
            "last_step_age_s": round(stats.last_step_age_s, 3),
            "tokens_per_s": round(tokens / passed_s, 1) if passed_s > 0 else 0.0,
        }
