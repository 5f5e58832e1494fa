"""Deliveries that are due (again) are sent by threads of the worker that finds them, not rung for.

A bell for each would pile up (7,000 in `make bench-overload`): under load Celery's consumer stands behind the threads
that answer, and every lane that is still unsent after two seconds would be rung for once more. Called by
`workers.sweeper`; `deliver` keeps to the leases and to the seats of the normal lane, so that urgent ones find a thread.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

log = logging.getLogger(__name__)


class LateDeliveries:
    """So many threads, and each lane in hand once at most: what waits for a thread is bounded by what is unsent."""

    def __init__(self, threads: int) -> None:
        self._pool = ThreadPoolExecutor(threads, "late")  # no thread runs before the first delivery
        self._in_hand: set[str] = set()
        self._lock = threading.Lock()

    def send(self, lane: str, work: Callable[[], object]) -> bool:
        """Have `work` done for this lane; False when one is in hand already."""
        with self._lock:
            if lane in self._in_hand:
                return False
            self._in_hand.add(lane)
        self._pool.submit(self._do, lane, work)
        return True

    def close(self) -> None:
        """End what is in hand; what waits is left to whoever sweeps next."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _do(self, lane: str, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:  # Redis is away, or a fault of ours: the sweep comes back to it
            log.exception("a late delivery failed")
        finally:
            with self._lock:
                self._in_hand.discard(lane)
