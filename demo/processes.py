"""Start the system's processes as an operator would, each in its own session with its own log, and stop them all."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Linux: should the parent be killed, its children end too. Elsewhere Ctrl-C and SIGTERM still stop them."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Process:
    """One child. `arguments` follow the Python of this environment."""

    name: str
    arguments: list[str]
    environment: dict[str, str]
    log_path: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> Process:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        return self

    @property
    def pid(self) -> int:
        if self.process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self.process.pid

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, signal_number: int) -> None:
        """Signal the whole process group: gunicorn's workers too."""
        if self.process is not None:
            try:
                os.killpg(self.process.pid, signal_number)
            except ProcessLookupError:
                return

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait()

    def stop(self, timeout_s: float = 20) -> None:
        """Ask it to finish what is in hand; after `timeout_s` end it."""
        if self.process is None:
            return
        if self.is_running():
            self.process.terminate()
        try:
            self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self.send(signal.SIGKILL)  # whatever of its group is left

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""


def webhook(environment: dict[str, str], logs: Path) -> Process:
    arguments = ["-m", "gunicorn", "-c", "webhook/gunicorn.conf.py", "webhook.app:create_app()"]
    return Process("webhook", arguments, environment, logs / "webhook.log")


# The model's weights in pages of 2 MB: a pass over them takes a quarter less (docs/performance.md). glibc only.
HUGE_PAGES = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


def worker(environment: dict[str, str], logs: Path, name: str = "worker") -> Process:
    arguments = [
        "-m",
        "celery",
        "-A",
        "workers.app",
        "worker",
        "-n",
        f"{name}@%h",
        "--without-gossip",
        "--without-mingle",
    ]
    return Process(name, arguments, HUGE_PAGES | environment, logs / f"{name}.log")


def beat(environment: dict[str, str], logs: Path) -> Process:
    return Process("beat", ["-m", "celery", "-A", "scheduler.app", "beat"], environment, logs / "beat.log")


def flower(environment: dict[str, str], logs: Path, port: int) -> Process:
    arguments = ["-m", "celery", "-A", "scheduler.app", "flower", f"--port={port}", "--address=127.0.0.1"]
    return Process("flower", arguments, environment, logs / "flower.log")


def simulator(environment: dict[str, str], logs: Path) -> Process:
    return Process("simulator", ["-m", "simulator"], environment, logs / "simulator.log")


def stop_all(processes: list[Process], timeout_s: float = 20) -> None:
    """Stop in reverse order; first ask all, then wait for each, so that the sum of the waits stays short."""
    for process in reversed(processes):
        if process.is_running() and process.process is not None:
            process.process.terminate()
    deadline = time.monotonic() + timeout_s
    for process in reversed(processes):
        process.stop(max(0.1, deadline - time.monotonic()))
