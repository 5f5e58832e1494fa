"""Processes whose model and backend can be told to hang, and patients that write to them. Used by `conditions`."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from benchmarks.reminders import QUESTIONS
from benchmarks.senders import Connection, signed_request
from demo import processes
from demo.processes import Process
from shared.identity import message_id
from shared.settings import BUNDLED_MODEL
from tests.processes.system import APP_SECRET, PATIENT_ID_KEY, System


class Stage(System):
    """A system whose workers' model and whose backend can be told to hang."""

    def __init__(self, folder: Path, workers: int, **settings: str) -> None:
        self.names = [f"worker-{number + 1}" for number in range(workers)]
        self.model_fault = folder / "model_fault"
        super().__init__(
            folder,
            MODEL_NAME=str(BUNDLED_MODEL),
            MODEL_THREADS="1",
            CHAOS_MODEL_FAULT=str(self.model_fault),
            BURST_WAIT_MS="800",
            LEASE_S="10",
            SETTLE_S="30",
            LOG_LEVEL="WARNING",
            RATE_LIMIT_PER_MINUTE=settings.pop("RATE_LIMIT_PER_MINUTE", "20"),
            **settings,
        )
        self.redis_server.stop()
        self.redis_server.fsync = "always"
        self.redis_server.start()
        self.workers: list[Process] = []
        self.run = uuid.uuid4().hex[:8]
        self._last_number = int(time.time()) % 10**5 * 10
        self._lock = threading.Lock()
        self._local = threading.local()  # a connection to the webhook for each thread
        self._lines: list[Connection] = []

    def start_workers(self, *, ready: bool = True) -> None:
        """Start them; with `ready` wait until all have their model, else until all beat."""
        known = set(self.store.zrange("workers", 0, -1))
        for name in self.names:
            process = processes.worker(self.environment, self.folder, name)
            process.arguments = ["tests.chaos.worker" if a == "workers.app" else a for a in process.arguments]
            self.workers.append(self.start(process))
        self.wait_for(lambda: len(set(self.store.zrange("workers", 0, -1)) - known) >= len(self.names), 180)
        if ready:
            self.wait_for(lambda: self.ready_workers() >= len(self.names), 180)

    def kill_workers(self) -> None:
        for process in self.workers:
            process.kill()
            self.running.remove(process)
        for name in self.store.zrange("workers", 0, -1):
            self.store.delete(f"worker:{name}")
        self.workers.clear()

    def ready_workers(self) -> int:
        told = (str(self.store.get(f"worker:{name}")) for name in self.store.zrange("workers", 0, -1))
        return sum('"ready"' in one for one in told)

    def stop(self) -> None:
        self.kill_workers()  # one whose model hangs would finish what it has in hand
        for line in self._lines:
            line.close()
        super().stop()

    def new_patient(self) -> int:
        with self._lock:
            self._last_number += 1
            return self._last_number

    def post(self, patient: int, text: str) -> tuple[str, float]:
        """One message by the number of its patient; returns its id and when it was posted (seconds since 1970)."""
        if not hasattr(self._local, "line"):
            self._local.line = Connection(self.port)
            self._lines.append(self._local.line)
        run = f"{self.run}.{uuid.uuid4().hex[:8]}"
        request = signed_request(self.port, APP_SECRET.encode(), patient, run, 10**7, text)
        posted = time.time()
        status, _ = self._local.line.post(request)
        if status != 200:
            raise SystemExit(f"the webhook answered {status}")
        return message_id(PATIENT_ID_KEY.encode(), f"wamid.{run}.{patient}"), posted

    @contextlib.contextmanager
    def asking(self, per_second: float) -> Iterator[list[str]]:
        """Other patients ask, each once, until the block ends; gives the ids of their messages as they grow."""
        stop, ids = threading.Event(), list[str]()

        def ask() -> None:
            began, count = time.monotonic(), 0
            while not stop.wait(max(0.0, began + count / per_second - time.monotonic())):
                ids.append(self.post(self.new_patient(), QUESTIONS[count % len(QUESTIONS)])[0])
                count += 1

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield ids
        finally:
            stop.set()
            thread.join()
