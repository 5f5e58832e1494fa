"""What a request costs: CPU-seconds of this process, wall time, latencies; one caller or several. Called by the rows.

CPU-seconds are trusted most: on a shared machine the wall also shows the neighbours.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.inference.checkpoints import VOCABULARY
from benchmarks.inference.sides import Side, Task

PROMPT, NEW = 128, 48
PROMPTS, ANSWERS = (50, 200), (24, 72)  # of the ragged clients, from and to


@dataclass(frozen=True)
class Cost:
    """Of some tasks together."""

    cpu_s: float
    wall_s: float
    latencies: tuple[float, ...]  # seconds, of each task


def same_lengths(count: int, seed: int) -> list[Task]:
    """Prompts that were never seen before, so that kept prefixes have nothing to find."""
    dice = random.Random(seed)
    return [Task(random_ids(dice, PROMPT), NEW) for _ in range(count)]


def ragged(count: int, seed: int) -> list[Task]:
    """Prompts and answers of various lengths; the same for every side."""
    dice = random.Random(seed)
    return [Task(random_ids(dice, dice.randint(*PROMPTS)), dice.randint(*ANSWERS)) for _ in range(count)]


def random_ids(dice: random.Random, count: int) -> list[int]:
    return [dice.randrange(1, VOCABULARY) for _ in range(count)]


def closed_loop(side: Side, tasks: Sequence[Task], clients: int) -> Cost:
    """Each client asks its share of the tasks, one after the other.

    Raises:
        RuntimeError: an answer has another length than was asked for.
    """

    def client(number: int) -> list[float]:
        latencies = []
        for task in tasks[number::clients]:
            asked = time.perf_counter()
            if len(side.answer(task)) != task.new:
                raise RuntimeError("an answer has another length than was asked for")
            latencies.append(time.perf_counter() - asked)
        return latencies

    cpu, wall = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        latencies = [one for each in pool.map(client, range(clients)) for one in each]
    return Cost(time.process_time() - cpu, time.perf_counter() - wall, tuple(latencies))


def percentile(values: Sequence[float], percent: int) -> float:
    """The nearest value of the sample, no invention between two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]


def summary(costs: Sequence[Cost], baseline: Sequence[Cost]) -> dict[str, float]:
    """Medians over the rounds; `gain` is the median of the ratios of each round."""
    replies = len(costs[0].latencies)
    latencies = [one for cost in costs for one in cost.latencies]
    pairs = list(zip(baseline, costs, strict=True))
    return {
        "cpu_s_per_reply": round(statistics.median(cost.cpu_s for cost in costs) / replies, 4),
        "wall_s_per_reply": round(statistics.median(cost.wall_s for cost in costs) / replies, 4),
        "cpu_gain": round(statistics.median(base.cpu_s / cost.cpu_s for base, cost in pairs), 2),
        "wall_gain": round(statistics.median(base.wall_s / cost.wall_s for base, cost in pairs), 2),
        "p50_s": round(percentile(latencies, 50), 3),
        "p95_s": round(percentile(latencies, 95), 3),
        "replies_measured": len(latencies),
    }
