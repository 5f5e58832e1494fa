"""The one lock of the simulator's memory, and the bell that rings when something in it changed.

Long polls of the control API and the page's live updates wait on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """A condition with a version number: `with changes:` guards the memory, `bump()` wakes all who wait."""

    def __init__(self) -> None:
        self._condition = threading.Condition(threading.RLock())
        self.version = 0
        self.closed = threading.Event()

    def __enter__(self) -> Changes:
        self._condition.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self._condition.release()

    def bump(self) -> None:
        """Say that something changed."""
        with self._condition:
            self.version += 1
            self._condition.notify_all()

    def wait_until(self, found: Callable[[], T | None], timeout_s: float) -> T | None:
        """Call `found` at each change until it returns something, at most `timeout_s`; None when time ran out."""
        result: list[T] = []

        def check() -> bool:
            if self.closed.is_set():
                return True
            value = found()
            if value is not None:
                result.append(value)
            return value is not None

        with self._condition:
            self._condition.wait_for(check, timeout_s)
        return result[0] if result else None

    def wait_newer(self, version: int, timeout_s: float) -> int:
        """Wait until the version differs from `version`; return the present one."""
        self.wait_until(lambda: self.version if self.version != version else None, timeout_s)
        return self.version

    def close(self) -> None:
        """Let everybody who waits go, for ever."""
        self.closed.set()
        with self._condition:
            self._condition.notify_all()
