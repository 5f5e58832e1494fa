"""Runs what blocks on the disk in a thread of the system, so that greenlets go on meanwhile. Used for the spool.

Under gunicorn's gevent worker `threading` is greenlets, and an fsync would hold the whole process: nobody could join
the group that shares the next one. Without gevent (tests) the call is made where it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

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
        # Caught there: gevent prints what a function of its pool raises, and where stderr is a file on the full disk
        # that fails too, and nobody would ever get the result.
        result, error = self._pool.spawn(_tried, function, arguments).get()
        if error is not None:
            raise error
        return cast(Result, result)


def _tried(function: Callable[..., object], arguments: tuple[object, ...]) -> tuple[object, Exception | None]:
    try:
        return function(*arguments), None
    except Exception as error:
        return None, error
