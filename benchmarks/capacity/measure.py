"""What one message, turn and reminder cost, taken from a real run: webhook, workers, Redis, and a simulated Meta.

CPU is counted in CPU-seconds of the processes (/proc), less what they use when nobody writes, so that a machine with
other work on it measures almost the same as a quiet one. Waits are wall time: they need a quiet machine.
"""

from __future__ import annotations

import math
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.reminders import Clinic, clinic, wait_for
from demo import processes

WITH_MODEL = ("¿qué es la tuberculosis?", "hola", "¿cuándo es mi cita?", "a qué hora atienden", "gracias")
WITHOUT_MODEL = "BAJA"
IDLE_S = 10.0
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Spent:
    """Counters at one moment: CPU-seconds per kind of process, and what Redis did."""

    webhook_s: float
    worker_s: float
    redis_s: float
    redis_commands: int
    redis_bytes: int  # memory of the data set
    aof_bytes: int

    def less(self, before: Spent) -> Spent:
        return Spent(*(mine - theirs for mine, theirs in zip(_values(self), _values(before), strict=True)))


def _values(spent: Spent) -> tuple[Any, ...]:
    return tuple(asdict(spent).values())


@dataclass(frozen=True)
class Point:
    """One real run: so many messages a second for so long, a share of which needs the model."""

    workers: int
    messages: int
    seconds: float
    model_share: float
    turns: int
    statuses: int
    idle: Spent  # in IDLE_S, before anybody wrote
    spent: Spent  # during the messages, idle share included
    wait_p50_s: float
    wait_p95_s: float
    empty_bytes: int  # Redis' memory before anybody wrote
    key_bytes: dict[str, int]  # kind of key -> bytes, at the end

    def own(self, name: str) -> float:
        """Of one counter, what the messages caused: without the idle share. Memory does not grow when idle."""
        if name == "redis_bytes":
            return float(self.spent.redis_bytes)
        return float(getattr(self.spent, name)) - float(getattr(self.idle, name)) / IDLE_S * self.seconds


def cpu_seconds(pids: list[int]) -> float:
    """User and system time of whole process groups, the children that ended included."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) in pids:  # the group; each of our processes leads one
            total += int(fields[11]) + int(fields[12])
    return total / TICK


def look(it: Clinic) -> Spent:
    """Read all counters."""
    webhook = [process.pid for process in it.running if process.name == "webhook"]
    workers = [process.pid for process in it.running if process.name.startswith("worker")]
    info: dict[str, Any] = it.store.info("everything")
    assert it.redis.process is not None
    return Spent(
        cpu_seconds(webhook),
        cpu_seconds(workers),
        cpu_seconds([it.redis.process.pid]),
        int(info["total_commands_processed"]),
        int(info["used_memory_dataset"]),
        int(info["aof_current_size"]),
    )


def add_workers(it: Clinic, count: int) -> None:
    """Start workers until there are so many, each with its model."""
    it.start_worker()
    for number in range(2, count + 1):
        it.running.append(processes.worker(it.environment, it.folder, f"worker{number}").start())

    wait_for(
        lambda: sum("ready" in str(it.store.get(f"worker:{n}")) for n in it.store.zrange("workers", 0, -1)) == count,
        180,
    )


def run_point(workers: int, per_second: float, seconds: float, model_share: float) -> Point:
    """Patients write at a steady rate, one message each; returns what that took.

    Args:
        workers: worker processes.
        per_second: messages a second.
        seconds: for how long; what is still unanswered then is waited for.
        model_share: of the messages, how many need the model (0 to 1), evenly mixed.
    """
    with clinic(60) as it:
        add_workers(it, workers)
        it.ask("+59169999999", WITH_MODEL[0])  # the first message of a process loads what the others use
        time.sleep(5)
        start = look(it)
        time.sleep(IDLE_S)
        before, empty = look(it), int(it.store.info("memory")["used_memory"])
        began = time.perf_counter()
        waits = _talk(it, int(per_second * seconds), per_second, model_share)
        time.sleep(2)  # the last statuses
        took, after = time.perf_counter() - began, look(it)
        kept = key_bytes(it)
        time.sleep(2)  # workers write their figures each second
        figures = it.store.hgetall("metrics")
    return Point(
        workers=workers,
        messages=len(waits),
        seconds=took,
        model_share=model_share,
        turns=sum(int(v) for k, v in figures.items() if k.startswith("turns_total|")) - 1,
        statuses=sum(int(v) for k, v in figures.items() if k.startswith("statuses_total|")),
        idle=before.less(start),
        spent=after.less(before),
        wait_p50_s=statistics.median(waits),
        wait_p95_s=statistics.quantiles(waits, n=20)[-1],
        empty_bytes=empty,
        key_bytes=kept,
    )


def _talk(it: Clinic, count: int, per_second: float, model_share: float) -> list[float]:
    """One message of each patient; returns how long each waited."""
    began = time.perf_counter()
    with ThreadPoolExecutor(64) as pool, tqdm(total=count, desc="patients write", file=sys.stderr) as bar:
        pending = []
        for number in range(count):
            time.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            needs_model = math.floor((number + 1) * model_share) > math.floor(number * model_share)
            # All texts come equally often, whatever the share: their replies differ in length, and so in cost.
            text = WITH_MODEL[math.floor(number * model_share) % len(WITH_MODEL)] if needs_model else WITHOUT_MODEL
            pending.append(pool.submit(it.ask, f"+5916{number:07}", text))
            bar.update()
        return [one.result() for one in pending]


def reminder_cost(count: int) -> tuple[float, float]:
    """CPU-seconds of worker and of webhook per reminder, its statuses included."""
    with clinic(0) as it:
        it.book(count)
        add_workers(it, 1)
        time.sleep(5)
        start = look(it)
        time.sleep(IDLE_S)
        before, began = look(it), time.perf_counter()
        it.remind()
        sent = "sends_total|outcome=sent"
        wait_for(lambda: int(it.store.hget("metrics", sent) or 0) >= count, 120)
        time.sleep(3)
        took, spent, idle = time.perf_counter() - began, look(it).less(before), before.less(start)
    return (
        (spent.worker_s - idle.worker_s / IDLE_S * took) / count,
        (spent.webhook_s - idle.webhook_s / IDLE_S * took) / count,
    )


def key_bytes(it: Clinic) -> dict[str, int]:
    """Kind of key (what stands before the colon) -> bytes of all such keys."""
    found: dict[str, int] = {}
    for key in it.store.scan_iter("*", count=1000):
        kind = str(key).partition(":")[0]
        found[kind] = found.get(kind, 0) + int(it.store.memory_usage(key, samples=0) or 0)
    return found
