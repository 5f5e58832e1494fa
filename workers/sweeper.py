"""The threads in every worker that make doorbells disposable, say that the worker lives, and tell who waits.

Ten times a second: danger that no bell has brought is looked for (`workers.lookout`). As often, and when a
burst is over: whatever is due in Redis is rung. Every three seconds: the heartbeat that /health and /model read. Each
second: notices (`workers.notices`). All go on when Beat is dead.
"""

from __future__ import annotations

import functools
import logging
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from shared.celery_app import QueueName, TaskName
from shared.state import health, schema, sweep
from workers.deliver import deliver
from workers.lookout import LOOK_S, look
from workers.model.figures import EngineFigures
from workers.model.snapshots import size_bytes
from workers.notices import tell_who_waits
from workers.safety.danger import default_rules
from workers.services import Services

log = logging.getLogger(__name__)

SWEEP_S = 0.1
NOTICES_S = 1.0
SOONEST_S = 0.005  # bursts that end close together share a sweep
TICK_LATE_S = 15  # the consumer's own clock stands: broker lost, or the process hangs


def sweep_once(services: Services) -> sweep.Due:
    """Ring for the turns that are due, no more than this worker has seats left; send what is due to be sent."""
    due = sweep.take_due(
        services.client, turns=services.turns.free, messages_per_second=services.settings.MESSAGES_PER_SECOND
    )
    for patient in due.waiting:
        services.ring(TaskName.DRAIN_INBOX, patient)
    for member in due.outgoing:
        patient, _, lane = member.rpartition(":")
        services.late.send(member, functools.partial(deliver, services, patient, lane))
    for member in due.reminders:
        services.ring(TaskName.DELIVER_REMINDER, member.partition(":")[0])
    return due


def pause_s(due: sweep.Due, free: int) -> float:
    """Seconds until the next sweep: until the next burst is over if a seat is free for it, at most a period (pure)."""
    return SWEEP_S if due.next_ms < 0 or free == 0 else min(SWEEP_S, max(SOONEST_S, due.next_ms / 1000))


class Vitals:
    """What this worker knows of its own consumer; written by the consumer, read by the heartbeat."""

    def __init__(self) -> None:
        self.ticked_at = 0.0  # monotonic; the consumer's event loop went round
        self.consumed_at = 0.0  # monotonic; a task began
        self.agenda: dict[str, Any] = {}  # what was found of the appointments backend at the start

    def is_consuming(self) -> bool:
        return self.ticked_at > 0 and time.monotonic() - self.ticked_at < TICK_LATE_S


class CacheSize:
    """Bytes in the model's cache, looked at once a minute, and what is free beside it."""

    EVERY_S = 60.0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bytes = 0
        self._due_at = 0.0

    def bytes(self) -> int:
        if time.monotonic() >= self._due_at:
            self._bytes = size_bytes(self._folder)
            self._due_at = time.monotonic() + self.EVERY_S
        return self._bytes

    def free_bytes(self) -> int:
        standing = next(folder for folder in (self._folder, *self._folder.absolute().parents) if folder.exists())
        return shutil.disk_usage(standing).free


def heartbeat(services: Services, vitals: Vitals, cache: CacheSize, engine: EngineFigures, name: str) -> dict[str, Any]:
    """What this worker says of itself."""
    now = time.monotonic()
    model = services.model
    return {
        "name": name,
        "pid": os.getpid(),
        schema.KEY: schema.CURRENT,
        "consuming": vitals.is_consuming(),
        "stopping": services.stopping.is_set(),
        "tick_age_s": round(now - vitals.ticked_at, 1) if vitals.ticked_at else None,
        "consumed_age_s": round(now - vitals.consumed_at, 1) if vitals.consumed_at else None,
        "model_state": model.state,
        "model_error": model.error,
        "model": model.info.model_dump(mode="json") if model.info else None,
        "model_cache_bytes": cache.bytes(),
        "model_cache_free_bytes": cache.free_bytes(),
        "engine": engine.note(model.stats()),
        "danger_rules": default_rules().broken or "ok",
        **({"agenda": vitals.agenda} if vitals.agenda else {}),
    }


class Sweeper:
    """All these threads of a worker."""

    def __init__(self, services: Services, vitals: Vitals, name: str) -> None:
        self._services = services
        self._vitals = vitals
        self._cache = CacheSize(services.settings.MODEL_CACHE_DIR)
        self._engine = EngineFigures(services.metrics)
        self._name = name
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._for_ever, args=(step,), name=name, daemon=True)
            for name, step in (
                ("lookout", self._look),
                ("sweep", self._sweep),
                ("heartbeat", self._beat),
                ("notices", self._tell),
            )
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=5)
        try:
            health.withdraw(self._services.client, self._name)
        except redis.RedisError:
            log.warning("could not say good-bye: redis is unreachable")

    def _for_ever(self, step: Callable[[], float]) -> None:
        """Repeat a step that says after how many seconds; a failed one after a second."""
        failing = False
        while True:
            wait_s = 1.0
            try:
                wait_s = step()
                failing = False
            except redis.RedisError as error:
                if not failing:
                    log.warning("redis is unreachable, sweeping goes on when it is back", extra={"cause": str(error)})
                failing = True
            except Exception:
                log.exception("sweep failed")
            if self._stop.wait(wait_s):
                return

    def _look(self) -> float:
        if not self._services.stopping.is_set():
            look(self._services)
        return LOOK_S

    def _sweep(self) -> float:
        if self._services.stopping.is_set():
            return SWEEP_S
        return pause_s(sweep_once(self._services), self._services.turns.free)

    def _tell(self) -> float:
        if not self._services.stopping.is_set():
            tell_who_waits(self._services)
        return NOTICES_S

    def _beat(self) -> float:
        told = heartbeat(self._services, self._vitals, self._cache, self._engine, self._name)
        health.publish_heartbeat(self._services.client, self._name, told)
        for queue in QueueName:
            if health.may_ring_pulse(self._services.client, queue):
                self._services.celery.send_task(TaskName.PULSE, args=(queue.value,), queue=queue.value, expires=60)
        return health.HEARTBEAT_S
