"""One thread that calls functions later: statuses that climb, webhooks that are tried again, typing that ends."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable


class Timers:
    """Calls `job` after a delay. Jobs must be quick: they hand work to somebody else."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()  # equal times keep their order
        self._running = 0
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="simulator-timers", daemon=True)
        self._thread.start()

    @property
    def pending(self) -> int:
        """Jobs not finished yet."""
        with self._condition:
            return len(self._heap) + self._running

    def after(self, delay_s: float, job: Callable[[], None]) -> None:
        """Call `job` in `delay_s` seconds."""
        with self._condition:
            heapq.heappush(self._heap, (time.monotonic() + delay_s, next(self._order), job))
            self._condition.notify()

    def clear(self) -> None:
        """Forget every job."""
        with self._condition:
            self._heap.clear()

    def close(self) -> None:
        """Stop the thread; what was still to come never happens."""
        with self._condition:
            self._heap.clear()
            self._closed = True
            self._condition.notify()
        self._thread.join(2)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._closed and (not self._heap or self._heap[0][0] > time.monotonic()):
                    self._condition.wait(self._heap[0][0] - time.monotonic() if self._heap else None)
                if self._closed:
                    return
                _, _, job = heapq.heappop(self._heap)
                self._running = 1
            try:
                job()
            finally:
                with self._condition:
                    self._running = 0
