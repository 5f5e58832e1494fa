"""The processes under chaos: webhook, two workers, beat, Redis, the simulator; and an engine that restarts them.

Built on `tests.processes.system`. The faults of `tests.chaos.faults*` act on a `Stage`; nothing else starts or ends a
process. Clocks are moved by `clock.c`, where there is a C compiler.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import struct
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from demo import processes
from demo.processes import Process
from shared.settings import BUNDLED_MODEL
from tests.brokers.rabbitmq import RabbitNode
from tests.brokers.sentinel import SentinelGroup
from tests.preload import build_library, started_with
from tests.processes.system import System

WORKERS = ("worker-1", "worker-2")
LEASE_S = 5
SETTLE_S = 10
BACKEND_TIMEOUT_S = 3
NAMES = ("webhook", *WORKERS, "beat")
REDIS = "redis"


@dataclass
class Failover:
    """Another Redis became the master; `lost`: of those acknowledged until then, how many it never knew."""

    cause: str
    began: float
    ended: float = math.inf
    seconds: float = 0.0
    acknowledged: int = 0
    lost: int = 0


class Stage:
    """Everything that runs. `start()`, then faults, then `heal()`, then `stop()`."""

    def __init__(self, folder: Path, model: str, broker: str = "redis", redis: str = "single") -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.model = model
        self.model_fault = folder / "model_fault"
        self.restarts: Counter[str] = Counter()  # processes that ended without being told to
        self._held: set[str] = set()  # a fault has this process in hand: the engine leaves it alone
        self._lock = threading.RLock()
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._redis_starts = threading.Lock()
        self._clock_library = build_library(Path(__file__).with_name("clock.c"), folder)  # None: clocks stay
        self.set_clocks((*NAMES, REDIS), 0)
        self.rabbit = RabbitNode(folder / "rabbitmq") if broker == "rabbitmq" else None
        self.failovers: list[Failover] = []  # of Redis behind Sentinel
        with started_with(self._clock_of(REDIS)):
            server = SentinelGroup(folder / "redis") if redis == "sentinel" else None
            self.system = System(folder, server, **self._settings())
        self.processes: dict[str, Process] = {}
        self._engine = threading.Thread(target=self._keep_running, daemon=True)

    def _settings(self) -> dict[str, str]:
        settings = {
            "RATE_LIMIT_PER_MINUTE": "10000",
            "LEASE_S": str(LEASE_S),
            "SETTLE_S": str(SETTLE_S),
            "SEGUIMIENTO_TIMEOUT": str(BACKEND_TIMEOUT_S),
            "MODEL_THREADS": "1",
            "SLOT_CAPACITY": "1000",
            "REMINDER_HOURS_AHEAD": "0",  # one that is due in an hour would be waited for
            "CHAOS_MODEL_FAULT": str(self.model_fault),
            **({"CELERY_BROKER_URL": self.rabbit.url} if self.rabbit else {}),
        }
        if self.model == "scripted":
            return settings | {"CHAOS_MODEL": "scripted", "CHAOS_REVISION": "a"}
        for revision in "ab":  # the same weights under two names
            shutil.copytree(BUNDLED_MODEL, self.folder / f"model-{revision}", dirs_exist_ok=True)
        return settings | {"MODEL_NAME": str(self.folder / "model-a")}

    def start(self) -> None:
        system = self.system
        if self.rabbit:
            self.rabbit.start()
        system.start_world()
        rules = {"check_wamids": False, "slot_capacity": 1000, "webhook_retry_s": [0.5, 1, 2], "webhook_timeout_s": 5}
        system.control("rules", rules)
        self.processes["webhook"] = processes.webhook(self._environment("webhook"), self.folder)
        for name in WORKERS:
            self.processes[name] = self.worker(name)
        self.processes["beat"] = processes.beat(self._environment("beat"), self.folder)
        for process in self.processes.values():
            system.start(process)
        system.wait_for(lambda: system.store.zcard("workers") >= len(WORKERS), 120)
        self._engine.start()

    def worker(self, name: str) -> Process:
        process = processes.worker(self._environment(name), self.folder, name)
        process.arguments = ["tests.chaos.worker" if a == "workers.app" else a for a in process.arguments]
        return process

    def stop(self) -> None:
        self._done.set()
        if self._engine.is_alive():
            self._engine.join()
        for process in self.processes.values():
            process.send(signal.SIGCONT)
        self.redis_signal(signal.SIGCONT)
        self.system.stop()
        if self.rabbit:
            self.rabbit.stop()

    # What an engine does with `restart: always`.

    def _keep_running(self) -> None:
        while not self._done.wait(0.5):
            with self._lock:
                for name, process in self.processes.items():
                    if name not in self._held and not process.is_running():
                        self.restarts[name] += 1
                        process.start()

    def kill(self, name: str) -> None:
        with self._lock:
            self._held.add(name)
            self.processes[name].kill()

    def freeze(self, name: str) -> None:
        self.processes[name].send(signal.SIGSTOP)

    def start_again(self, *names: str) -> None:
        with self._lock:
            for name in names:
                self.processes[name].send(signal.SIGCONT)
                if not self.processes[name].is_running():
                    self.processes[name].start()
                self._held.discard(name)

    def replace(self, names: Sequence[str], **settings: str) -> None:
        """One by one: SIGTERM, wait until it has finished what is in hand, start it anew."""
        for name in names:
            with self._lock:
                self._held.add(name)
                process = self.processes[name]
            process.stop(60)
            process.environment.update(settings)
            self.start_again(name)

    def beside(self, work: Callable[[], object]) -> None:
        """Do it in a thread of its own; `wait` waits for it."""
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join()

    # Redis.

    def redis_signal(self, number: int) -> None:
        server = self.system.redis_server.process
        if server is not None and server.poll() is None:
            os.kill(server.pid, number)

    def start_redis(self) -> None:
        """Start it, unless another fault that killed it too has done so by now."""
        with self._redis_starts, started_with(self._clock_of(REDIS)):
            self.system.redis_server.start()

    @property
    def store(self) -> redis.Redis:
        return self.system.store

    # Clocks: clock.c is put before the C library of each process.

    @property
    def has_clocks(self) -> bool:
        return self._clock_library is not None

    def set_clocks(self, names: Sequence[str], ahead_s: int) -> None:
        """Move the clocks of these processes: `ahead_s` seconds ahead of the world from now on."""
        for name in names:
            path = self.folder / f"clock-{name}"
            path.touch()
            with path.open("r+b") as file:  # in place: the processes have it mapped
                file.write(struct.pack("=q", ahead_s * 1000))

    def _clock_of(self, name: str) -> dict[str, str]:
        if self._clock_library is None:
            return {}
        return {"LD_PRELOAD": str(self._clock_library), "CHAOS_CLOCK": str(self.folder / f"clock-{name}")}

    def _environment(self, name: str) -> dict[str, str]:
        return self.system.environment | self._clock_of(name)
