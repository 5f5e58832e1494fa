"""Rings the workers without making Meta wait: one Celery message for all who wrote in the same few milliseconds.

A publish through Celery costs several times the CPU of the durable write itself, and its consumption as much again. So
there are at most ten bells a second and process: alone a bell rings at once, under load one serves all who gathered (at
forty, overloaded workers left 2,500 of them in the queue). A bell that cannot be rung is counted and forgotten: the
workers look for themselves at what lies in `fresh`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable

from celery import Celery
from kombu.exceptions import OperationalError

from shared.celery_app import QUEUE_OF_TASK, TaskName
from shared.metrics import Metrics

SILENT_AFTER_FAILURE_S = 5.0  # a hung broker costs one publish, not each
PATIENTS_PER_BELL = 100
GATHER_S = 0.1

log = logging.getLogger(__name__)


class Doorbell:
    """Collects patient ids and rings for them from its own thread."""

    def __init__(self, celery: Celery, metrics: Metrics) -> None:
        self._celery = celery
        self._metrics = metrics
        self._patients: dict[str, None] = {}  # ordered set
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._ring_for_ever, name="doorbell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def ring(self, patients: Iterable[str]) -> None:
        """Ask for these patients to be looked at; returns at once."""
        with self._changed:
            self._patients.update(dict.fromkeys(patients))
            self._changed.notify()

    def ring_delivery(self, patient: str, lane: str) -> bool:
        """Ask at once for one lane of an outbox to be sent; False when it was not heard: the sweep rings then."""
        return self._send(TaskName.DELIVER_OUTBOX, (patient, lane))

    def close(self) -> None:
        """Ring for whoever still waits, then stop."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def _ring_for_ever(self) -> None:
        rung_at = 0.0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._patients or self._closing)
            pause = rung_at + GATHER_S - time.monotonic()
            if pause > 0 and not self._closing:
                time.sleep(pause)
            with self._changed:
                batch = list(self._patients)[:PATIENTS_PER_BELL]
                for patient in batch:
                    del self._patients[patient]
                if not batch:
                    return
            rung_at = time.monotonic()
            if not self._publish(batch):
                time.sleep(SILENT_AFTER_FAILURE_S)
                with self._changed:
                    self._patients.clear()  # the sweep has seen them meanwhile

    def _publish(self, batch: list[str]) -> bool:
        return self._send(TaskName.TRIAGE, (batch,))

    def _send(self, task: TaskName, arguments: tuple[object, ...]) -> bool:
        try:
            self._celery.send_task(task, args=arguments, queue=QUEUE_OF_TASK[task])
        except (OperationalError, OSError) as error:
            self._metrics.count("doorbells_failed_total")
            log.warning("doorbell failed, the sweep will ring", extra={"cause": type(error).__name__})
            return False
        return True
