"""What the processes hold and what waits, read every few seconds by a thread while a benchmark goes on."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from shared.celery_app import KEY_PREFIX, QueueName

EVERY_S = 5.0


@dataclass(frozen=True)
class Sample:
    """One look. Memory in MB; of processes it is their anonymous memory (RssAnon), children included."""

    at_s: float
    webhook_mb: float
    workers_mb: float
    redis_mb: float  # used_memory
    waiting: int  # patients whose turn is due or to come
    oldest_s: float  # how long the oldest unanswered message has waited
    triage_bells: int  # Celery messages that nobody has taken
    turn_bells: int
    delivery_bells: int
    told: int  # patients told that they wait


def busy_seconds() -> float:
    """What all cores have worked since the machine started, for whomever."""
    user, nice, system, _, _, irq, softirq, steal, *_ = (
        int(part) for part in Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def anonymous_mb(pids: list[int]) -> float:
    """Of whole process groups."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            group = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[2])
            if group in pids:
                lines = (folder / "status").read_text(encoding="utf-8").splitlines()
                total += next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
        except (OSError, StopIteration):  # it has just ended
            continue
    return total / 1024


def oldest_s(store: redis.Redis) -> float:
    """Age of the oldest message in any inbox; 0 when there is none."""
    patients = store.zrange("waiting", 0, -1)
    with store.pipeline(transaction=False) as pipe:
        for patient in patients:
            pipe.lindex(f"inbox:{patient}", 0)
        heads: list[Any] = [head for head in pipe.execute() if head]
    seconds, micros = store.time()
    return (
        max(0.0, seconds + micros / 1e6 - min(int(head.partition("|")[0]) for head in heads) / 1000) if heads else 0.0
    )


class Gauges:
    """Samples from `start` to `stop`."""

    def __init__(self, store: redis.Redis, webhook: list[int], workers: list[int]) -> None:
        self.samples: list[Sample] = []
        self._store, self._webhook, self._workers = store, webhook, workers
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._for_ever, daemon=True)

    def look(self) -> Sample:
        queues = (QueueName.TRIAGE, QueueName.TURNS, QueueName.DELIVERIES)
        bells: list[Any] = [self._store.llen(f"{KEY_PREFIX}{queue}") for queue in queues]
        return Sample(
            round(time.monotonic() - self._began, 1),
            round(anonymous_mb(self._webhook), 1),
            round(anonymous_mb(self._workers), 1),
            round(int(self._store.info("memory")["used_memory"]) / 1e6, 1),
            self._store.zcard("waiting"),
            round(oldest_s(self._store), 1),
            bells[0],
            bells[1],
            bells[2],
            int(self._store.hget("metrics", "notices_total") or 0),
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> list[Sample]:
        self._stop.set()
        self._thread.join()
        return self.samples

    def _for_ever(self) -> None:
        while not self._stop.wait(EVERY_S):
            self.samples.append(self.look())
