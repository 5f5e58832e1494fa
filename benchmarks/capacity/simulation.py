"""A simulated day: patients write by a curve, worker cores take their turns, Meta's throughput paces the replies.

What the arithmetic cannot say: how long patients wait when a busy minute comes. Simulated by simpy; times in seconds.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from benchmarks.capacity.day import shares
from benchmarks.capacity.model import Clinic, Figures

SPREAD = 0.5  # sigma of the logarithm of a turn's CPU-seconds: p95 is about twice the median, as measured


@dataclass(frozen=True)
class Day:
    """How long turns waited before work on them began, and for the reply altogether (the burst's silence excepted)."""

    messages: int
    waits: tuple[float, ...]  # of the busiest hour, sorted
    totals: tuple[float, ...]  # of the busiest hour, sorted: from the end of a burst to Meta's acceptance
    longest_wait: float  # of the day
    longest_queue: int

    def percentile(self, share: float, of: str = "waits") -> float:
        values = getattr(self, of)
        return float(values[min(len(values) - 1, int(len(values) * share))]) if values else 0.0


class _World:
    """The queue, the cores and the pace, of one simulated day."""

    def __init__(
        self, clinic: Clinic, figures: Figures, cores: int, meta: int, seed: int, hours: range, slowdown: float
    ) -> None:
        self.env = simpy.Environment(initial_time=hours.start * 3600.0)
        self.queue = simpy.Store(self.env)
        self.dice = random.Random(seed)
        self.clinic, self.figures, self.meta, self.slowdown = clinic, figures, meta, slowdown
        self.hourly = shares(clinic.peak_hour_share)
        self.busiest = max(range(24), key=lambda hour: self.hourly[hour])
        self.end = hours.stop * 3600.0
        self.free_at = 0.0  # when Meta takes the next message
        self.waits: list[float] = []
        self.totals: list[float] = []
        self.longest_wait, self.longest_queue, self.messages = 0.0, 0, 0
        self.env.process(self._patients())
        for _ in range(cores):
            self.env.process(self._core())

    def _patients(self) -> Generator[simpy.Event, None, None]:
        """Turns come at random, at the rate of their hour (thinned from the busiest)."""
        day = self.clinic.patients * self.clinic.messages_per_day / self.clinic.messages_per_turn
        most = day * max(self.hourly) / 3600
        while most > 0:
            yield self.env.timeout(self.dice.expovariate(most))
            if self.env.now >= self.end:
                return
            hour = int(self.env.now // 3600) % 24
            if self.dice.random() * max(self.hourly) < self.hourly[hour]:
                self.messages += 1
                yield self.queue.put(self.env.now)
                self.longest_queue = max(self.longest_queue, len(self.queue.items))

    def _core(self) -> Generator[simpy.Event, Any, None]:
        """One core works on one turn after the other."""
        while True:
            came = yield self.queue.get()
            wait = self.env.now - came
            yield self.env.timeout(self._work())
            # Each message of the patient counts at Meta as much as the reply does.
            self.free_at = max(self.free_at, self.env.now) + (self.clinic.messages_per_turn + 1) / self.meta
            self.longest_wait = max(self.longest_wait, wait)
            if int(came // 3600) % 24 == self.busiest:
                self.waits.append(wait)
                self.totals.append(self.free_at - came)

    def _work(self) -> float:
        """CPU-seconds of one turn: its mean as measured, with a tail."""
        mean = self.figures.turn_cpu_s
        if self.dice.random() < self.clinic.model_share:
            mean += self.figures.model_cpu_s
        return mean * self.slowdown * self.dice.lognormvariate(-SPREAD * SPREAD / 2, SPREAD)


def simulate(
    clinic: Clinic,
    figures: Figures,
    cores: int,
    meta: int = 80,
    seed: int = 1,
    hours: range = range(24),
    slowdown: float = 1.0,
) -> Day:
    """Play a day, or some hours of it, and what they leave behind.

    Args:
        cores: of all workers together.
        meta: messages a second that our number may send and receive.
        slowdown: of the machine against the one that was measured; 2 is twice as slow.
    """
    world = _World(clinic, figures, cores, meta, seed, hours, slowdown)
    world.env.run()
    return Day(
        messages=world.messages,
        waits=tuple(sorted(world.waits)),
        totals=tuple(sorted(world.totals)),
        longest_wait=world.longest_wait,
        longest_queue=world.longest_queue,
    )
