"""GET /ops/events: what changed on the page that a browser shows, as server-sent events.

gunicorn runs greenlets, so a stream that sleeps costs no thread. It ends after five minutes and the browser comes back.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import redis
from flask import Response

from webhook.ops.pieces import Rendered

EVERY_S = 2.0
TICK_S = 0.5  # how soon a stream notices that the process stops
LENGTH_S = 300.0
COMMENT_EVERY_S = 15.0  # a connection that is gone is noticed by writing to it
AT_ONCE = 20  # per process

log = logging.getLogger(__name__)
Look = Callable[[], Sequence[Rendered]]


class Streams:
    """The open streams of one process. `serving` is told by gunicorn: a stream must not hold up a stop."""

    def __init__(self) -> None:
        self._seats = threading.BoundedSemaphore(AT_ONCE)
        self.serving: Callable[[], bool] = lambda: True

    def answer(self, look: Look) -> Response:
        """Stream what `look` finds; 503 when too many browsers listen."""
        if not self._seats.acquire(blocking=False):
            return Response("demasiadas páginas abiertas", 503, mimetype="text/plain", headers={"Retry-After": "30"})
        response = Response(changes(look, serving=lambda: self.serving()), mimetype="text/event-stream")
        response.headers["X-Accel-Buffering"] = "no"
        response.call_on_close(self._seats.release)
        return response


def changes(
    look: Look,
    *,
    serving: Callable[[], bool] = lambda: True,
    sleep: Callable[[float], Any] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[str]:
    """Yield an event at first and whenever something changed: the order of the pieces, and those that are new.

    A look that fails says so once, and the next good one tells everything again. Ends soon when `serving` turns false.
    """
    began = spoke = clock()
    known: dict[str, str] | None = None
    failed = False
    while serving() and clock() - began < LENGTH_S:
        try:
            rendered = look()
        except redis.RedisError as error:
            if not failed:
                log.warning("operators' page cannot read the state", extra={"cause": type(error).__name__})
                spoke = clock()
                yield _event("trouble", {})
            known, failed = None, True
        else:
            failed = False
            digests = {one.key: one.digest for one in rendered}
            if digests != known or list(digests) != list(known):
                before = known or {}
                changed = {one.key: one.html() for one in rendered if before.get(one.key) != one.digest}
                known, spoke = digests, clock()
                yield _event("change", {"order": list(digests), "pieces": changed})
        if clock() - spoke >= COMMENT_EVERY_S:
            spoke = clock()
            yield ": \n\n"
        looked = clock()
        while serving() and clock() - looked < EVERY_S:
            sleep(TICK_S)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
