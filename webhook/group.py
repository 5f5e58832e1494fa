"""Many requests, one round trip: whoever comes while a write is under way shares the next one.

A lone request writes at once. Under load the first of those who wait writes for all of them, and each gets its own
result, so that neither the system calls nor the disk's sync are paid once per message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Waiting(Generic[Item, Result]):
    __slots__ = ("error", "items", "leads", "results", "turn")

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = items
        self.results: list[Result] | None = None
        self.error: Exception | None = None
        self.leads = False
        self.turn = threading.Lock()  # held until the results are there, or it is this one's turn to write
        self.turn.acquire()


class GroupWriter(Generic[Item, Result]):
    """Gathers the calls of many threads into few calls of `write`, which takes items and returns a result for each."""

    def __init__(self, write: Callable[[Sequence[Item]], list[Result]], at_most: int = 1000) -> None:
        self._write = write
        self._at_most = at_most
        self._lock = threading.Lock()
        self._queue: list[_Waiting[Item, Result]] = []
        self._writing = False

    def __call__(self, items: Sequence[Item]) -> list[Result]:
        """Write `items` and return their results.

        Raises:
            Exception: what `write` raised, for everybody whose items were in that call.
        """
        mine = _Waiting[Item, Result](items)
        with self._lock:
            self._queue.append(mine)
            mine.leads = not self._writing
            self._writing = True
        if not mine.leads:
            mine.turn.acquire()
        if mine.results is None and mine.error is None:
            self._lead()
        if mine.error is not None:
            raise mine.error
        return mine.results or []

    def _lead(self) -> None:
        """Write once for all who wait, then let the next in line lead."""
        with self._lock:
            batch: list[_Waiting[Item, Result]] = []
            size = 0
            while self._queue and (not batch or size + len(self._queue[0].items) <= self._at_most):
                size += len(self._queue[0].items)
                batch.append(self._queue.pop(0))
        try:
            results = self._write([item for one in batch for item in one.items])
            for one in batch:
                one.results, results = results[: len(one.items)], results[len(one.items) :]
        except Exception as error:
            for one in batch:
                one.error = error
        with self._lock:
            following = self._queue[0] if self._queue else None
            self._writing = following is not None
        for one in batch:
            one.turn.release()
        if following is not None:
            following.turn.release()
