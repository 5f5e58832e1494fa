"""Keeps a signed body before Meta is answered: in Redis, or on disk while Redis is away and until that is empty again.

A body that waits on disk says by itself that Redis is down: all that come later go behind it (the order of each patient
is kept), and nobody but the first pays for finding out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

import redis

from shared.metrics import Metrics
from shared.spool import Body, Spool
from webhook.elsewhere import Elsewhere
from webhook.group import GroupWriter
from webhook.intake import Intake

AT_ONCE = 200  # bodies that share a file and its fsync

log = logging.getLogger(__name__)


class Keeper:
    """One per process; safe for threads."""

    def __init__(self, intake: Intake, spool: Spool, metrics: Metrics, elsewhere: Elsewhere) -> None:
        self._intake = intake
        self._spool = spool
        self._metrics = metrics
        self._elsewhere = elsewhere
        self._put = GroupWriter(self._put_together, AT_ONCE)

    def keep(self, body: bytes) -> None:
        """Returns when the body may be acknowledged.

        Raises:
            SpoolError: it could be kept neither in Redis nor on disk.
        """
        arrived = Body(round(time.time() * 1000), body)
        if not self._spool.holds() and not self._intake.redis_is_down:
            try:
                self._intake.take_all([arrived])
            except redis.RedisError as error:
                log.warning("state store unavailable, bodies go to disk", extra={"cause": type(error).__name__})
            else:
                return
        self._put([arrived])
        self._metrics.count("spooled_total", outcome="kept")

    def _put_together(self, bodies: Sequence[Body]) -> list[None]:
        self._elsewhere(self._spool.put, bodies)
        return [None] * len(bodies)
