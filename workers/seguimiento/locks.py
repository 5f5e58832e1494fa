"""One writer per slot among all our workers: the backend books whatever it is told, twice if need be.

A patient's own writes need no lock here: a turn holds the patient's lease.
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from redis.exceptions import LockError

from shared.errors import RetryLater

HELD_S = 180  # the longest booking: two tables, two writes, and their reads
WAIT_S = 20


class SlotLocks:
    """Locks in Redis; without a client (command-line tools) they hold in this process only."""

    def __init__(self, client: redis.Redis | None) -> None:
        self._client = client
        self._local = threading.Lock()

    @contextmanager
    def hold(self, slot: dt.datetime) -> Iterator[None]:
        """Keep a slot to ourselves while it is looked at and booked.

        Raises:
            RetryLater: somebody else is booking it for longer than a turn can wait.
        """
        if self._client is None:
            with self._local:
                yield
            return
        name = f"booking:{slot.astimezone(dt.UTC):%Y%m%dT%H%M}"
        lock = self._client.lock(name, timeout=HELD_S, blocking_timeout=WAIT_S, sleep=0.05)
        if not lock.acquire():
            raise RetryLater("this slot is being booked", code="slot_lock", after_s=2)
        try:
            yield
        finally:
            with suppress(LockError):  # held for too long: it ran out, and what was written is read back in any case
                lock.release()
