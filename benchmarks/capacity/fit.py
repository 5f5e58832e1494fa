"""Real runs -> figures of the model, and how well the model foretells other runs (pure)."""

from __future__ import annotations

import math
from dataclasses import fields

from benchmarks.capacity.measure import IDLE_S, Point
from benchmarks.capacity.model import Expected, Figures, expected, turn_cost_s

WEEK = ("seen", "delivery", "sent")  # keys that a message and its reply leave for 8 days
PATIENT = ("address", "alias")
WIRE_BYTES = 9_000.0  # estimated: bodies of 0.7 to 1.2 kB with HTTP headers and TLS; five requests and their answers
BURST_WAIT_S = 0.8  # the setting's default
HALF_SWEEP_S = 0.05
# Seconds below which the clock of /proc cannot tell: 10 ms at each end of the idle time, times the four idle times that
# a run is long, and the same again in what was fitted.
SMALL = {"webhook_cpu_s": 0.15, "redis_cpu_s": 0.15}


def fit(by_model: Point, by_rules: Point, two_workers: Point, flood: Point, reminder_cpu_s: float) -> Figures:
    """Figures from runs: all messages with the model, none with it, two workers (what idle ones cost), and a flood."""
    turn = by_rules.own("worker_s") / by_rules.messages
    both = by_model.messages + by_rules.messages

    def mean(name: str) -> float:
        return (by_model.own(name) + by_rules.own(name)) / both

    def kept(kinds: tuple[str, ...]) -> float:
        return sum(by_model.key_bytes.get(kind, 0) for kind in kinds) / by_model.messages

    return Figures(
        webhook_cpu_s=mean("webhook_s"),
        turn_cpu_s=turn,
        model_cpu_s=by_model.own("worker_s") / by_model.messages - turn,
        model_batched_cpu_s=flood.own("worker_s") / flood.messages - turn,
        reminder_cpu_s=reminder_cpu_s,
        redis_cpu_s=mean("redis_s"),
        redis_commands=mean("redis_commands"),
        aof_bytes=mean("aof_bytes"),
        week_bytes=kept(WEEK),
        audit_bytes=kept(("audit",)),
        conversation_bytes=kept(("conversation",)),
        patient_bytes=kept(PATIENT),
        empty_bytes=float(by_model.empty_bytes),
        webhook_idle=by_model.idle.webhook_s / IDLE_S,
        worker_idle=two_workers.idle.worker_s / IDLE_S / 2,
        redis_idle=two_workers.idle.redis_s / IDLE_S / 2,
        wire_bytes=WIRE_BYTES,
    )


def compare(point: Point, figures: Figures) -> dict[str, tuple[float, float, float]]:
    """What a run that was not fitted took: name -> (expected, measured, expected / measured - 1)."""
    foretold: Expected = expected(point.messages, point.model_share, figures)
    found = {}
    for field in fields(foretold):
        said, seen = getattr(foretold, field.name), point.own(field.name.replace("_cpu_s", "_s"))
        found[field.name] = (said, seen, said / seen - 1 if seen else math.inf)
    # While cores are free nobody queues: a burst's silence, the sweep that ends it, and the turn's own work.
    said = BURST_WAIT_S + HALF_SWEEP_S + turn_cost_s(point.model_share, figures)
    found["wait_p50_s"] = (said, point.wait_p50_s, said / point.wait_p50_s - 1)
    return found


def is_close(name: str, said: float, seen: float, within: float = 0.2) -> bool:
    """Whether model and run agree: within a fifth, or within what the clock of /proc can tell apart."""
    return abs(said - seen) <= max(within * seen, SMALL.get(name, 0.0))
