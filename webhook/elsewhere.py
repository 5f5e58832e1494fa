"""Runs what blocks on the disk in a thread of the system, so that greenlets go on meanwhile. Used for the spool.

Under gunicorn's gevent worker `threading` is greenlets, and an fsync would hold the whole process: nobody could join
the group that shares the next one. Without gevent (tests) the call is made where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from gevent import monkey
from gevent.threadpool import ThreadPool

Result = TypeVar("Result")

_THREADS = 2  # not gevent's common pool: slow look-ups of host names wait there while Redis is away


class Elsewhere:
    """One per process. The functions given to it take no lock of `threading` and write no log."""

    def __init__(self) -> None:
        self._pool: Any = ThreadPool(_THREADS) if monkey.is_module_patched("threading") else None

    def __call__(self, function: Callable[..., Result], *arguments: object) -> Result:
        """Call the function and wait for its result; what it raises is raised here."""
        if self._pool is None:
            return function(*arguments)
        result: Result = self._pool.spawn(function, *arguments).get()
        return result
