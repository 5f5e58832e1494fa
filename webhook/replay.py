"""Gives Redis what waited on disk, in order, as soon as it answers again; tells staff before the disk is full.

A thread in every webhook process; the one that first took the lock `lead` does the work, another when it ends. Whatever
is interrupted is replayed again: accepting knows each message's id, statuses only move forward.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import redis

from shared import metrics as figures
from shared.alerts import Alerts
from shared.metrics import Metrics, field
from shared.spool import Body, Spool, SpoolError, UnreadableFile
from shared.state import outbox
from webhook.elsewhere import Elsewhere
from webhook.intake import Intake

POLL_S = 0.25
AT_ONCE = 200  # bodies that share a round trip; a kill has at most so many accepted once more
FULL = "spool_full"
FULL_SHARE = 0.8  # staff are told above this share of SPOOL_MAX_MB
TELL_S = 10.0  # how often an open incident is seen again

log = logging.getLogger(__name__)


class Replay:
    """One per process. `tick` is the whole of its work; `start` repeats it in a daemon thread."""

    def __init__(
        self,
        spool: Spool,
        intake: Intake,
        client: redis.Redis,
        gate: Callable[[], str],
        alerts: Alerts,
        metrics: Metrics,
        elsewhere: Elsewhere,
    ) -> None:
        """Nothing runs yet. `gate`: why nothing may be written to the store now, or "" (`webhook.schema_gate`)."""
        self._spool = spool
        self._intake = intake
        self._client = client
        self._gate = gate
        self._alerts = alerts
        self._metrics = metrics
        self._elsewhere = elsewhere
        self._told_at = float("-inf")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._for_ever, name="replay", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop after the pass in hand; another process goes on."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)
        self._spool.close()

    def tick(self) -> None:
        """Look once: tell when it fills, replay when Redis answers. Never raises redis.RedisError."""
        if not self._spool.holds() and not self._spool.refused_lately(TELL_S):
            self._alerts.resolve(FULL)  # costs nothing while it is not open
        elif self._spool.leads():
            self._watch_room()
            with self._spool.replaying() as mine:
                if mine and self._store_takes_writes() and not self._gate():
                    self._replay()

    def _watch_room(self) -> None:
        used, most = self._spool.used_bytes(), self._spool.max_bytes
        if used < most * FULL_SHARE and not self._spool.refused_lately(TELL_S):
            self._alerts.resolve(FULL)
        elif time.monotonic() - self._told_at >= TELL_S:
            self._told_at = time.monotonic()
            self._alerts.incident(FULL, f"{used / 1048576:.1f} of {most / 1048576:.0f} MB in use")

    def _store_takes_writes(self) -> bool:
        """Also a Redis that is full or a replica answers; it refuses this, as it would refuse messages."""
        try:
            self._client.hincrby(figures.KEY, field("spooled_total", outcome="replayed"), 0)
        except redis.RedisError:
            return False
        return True

    def _replay(self) -> None:
        began, done = time.monotonic(), 0
        while names := self._spool.names():
            for some in _portions(names):
                if self._stop.is_set():
                    return
                bodies = [body for name in some for body in self._read(name)]
                if not (self._take(bodies) or self._take_one_by_one(bodies)):
                    return
                self._elsewhere(self._spool.remove, some)
                self._metrics.count("spooled_total", len(bodies), outcome="replayed")
                self._say_that_statuses_may_follow()
                done += len(bodies)
        log.info("the spool is empty", extra={"replayed": done, "took_s": round(time.monotonic() - began, 1)})

    def _say_that_statuses_may_follow(self) -> None:
        try:
            outbox.note_replayed(self._client)
        except redis.RedisError:  # away again: its return says the same
            log.warning("the replay could not be noted")

    def _read(self, name: str) -> tuple[Body, ...]:
        try:
            return self._elsewhere(self._spool.read, name)
        except UnreadableFile as error:
            self._spool.set_aside(name)
            self._set_aside(f"{name}: {error}")
            return ()

    def _take(self, bodies: Sequence[Body]) -> bool:
        try:
            self._intake.take_all(bodies, anew=True)
        except Exception as error:  # whatever one of them breaks: they are tried one by one
            log.warning("a portion of the spool was not taken", extra={"cause": type(error).__name__})
            return False
        return True

    def _take_one_by_one(self, bodies: Sequence[Body]) -> bool:
        """False when Redis is away again; a body that cannot be taken by a Redis that works is set aside."""
        for body in bodies:
            try:
                self._intake.take_all([body], anew=True)
            except (redis.ConnectionError, redis.TimeoutError):
                return False
            except Exception as error:
                if isinstance(error, redis.RedisError) and not self._store_takes_writes():
                    return False
                log.exception("a body of the spool cannot be taken")
                self._spool.keep_aside(body)
                self._set_aside(type(error).__name__)
        return True

    def _set_aside(self, why: str) -> None:
        self._metrics.count("spooled_total", outcome="set_aside")
        log.error("set aside in the spool's folder", extra={"why": why})
        self._alerts.incident("unreadable", f"spool: {why}")

    def _for_ever(self) -> None:
        while not self._stop.wait(POLL_S):
            try:
                self.tick()
            except (SpoolError, OSError) as error:
                log.error("the spool's folder cannot be used", extra={"cause": type(error).__name__})
            except Exception:
                log.exception("replay failed")


def _portions(names: Sequence[str]) -> Iterator[list[str]]:
    """Files in order, about AT_ONCE bodies at a time: a name ends with their number."""
    some: list[str] = []
    bodies = 0
    for name in names:
        some.append(name)
        bodies += int(name.rpartition(".")[2]) if name.rpartition(".")[2].isdigit() else 1
        if bodies >= AT_ONCE:
            yield some
            some, bodies = [], 0
    if some:
        yield some
