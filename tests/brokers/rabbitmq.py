"""A private RabbitMQ node in a folder of its own, from Debian's package: no service, no root's folders, loopback only.

`start`, `kill` (as a power cut) and `start` again keep the queues; `forget` removes them. Erlang's name server is a
child too, on a port of its own, and ends with `stop`.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from kombu.connection import Connection

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
START_TIMEOUT_S = 60


def missing() -> str:
    """What has to be installed, or ""."""
    found = (PROGRAMS / "rabbitmq-server").exists() and shutil.which("epmd")
    return "" if found else "RabbitMQ is not installed: apt-get install -y --no-install-recommends rabbitmq-server"


class RabbitNode:
    """One node. `url` is the same over all restarts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self._names_port, self._peers_port = (_port() for _ in range(3))
        self._names: subprocess.Popen[bytes] | None = None
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> RabbitNode:
        """Start and wait until it takes a login."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "plugins").write_text("[].", encoding="ascii")
        environment = {**os.environ, **self._environment()}
        with (self.folder / "rabbitmq.log").open("ab") as log:
            if self._names is None:
                command = ["epmd", "-port", str(self._names_port), "-address", "127.0.0.1"]
                self._names = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
                _wait_for_port(self._names_port)
            self._node = subprocess.Popen(
                [str(PROGRAMS / "rabbitmq-server")],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline:
            if self._node.poll() is not None:
                break
            if self._answers():
                return self
            time.sleep(0.1)
        self.stop()
        raise RuntimeError(f"RabbitMQ did not start; see {self.folder / 'rabbitmq.log'}")

    def _environment(self) -> dict[str, str]:
        return {
            "HOME": str(self.folder),  # Erlang's cookie
            "ERL_EPMD_PORT": str(self._names_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.folder / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "plugins"),
            "RABBITMQ_NODENAME": f"rabbit{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._peers_port),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "data"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1} "
            "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none",
        }

    def _answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=1) as connection:
                connection.connect()
        except Exception:  # whatever amqp raises while the node comes up
            return False
        return True

    def send(self, number: int) -> None:
        """Signal the node's whole process group."""
        if self._node is not None and self._node.poll() is None:
            os.killpg(self._node.pid, number)

    def kill(self) -> None:
        """End it without a chance to write anything more."""
        if self._node is not None:
            self.send(signal.SIGKILL)
            self._node.wait()

    def forget(self) -> None:
        """Remove every queue and message of a node that does not run."""
        shutil.rmtree(self.folder / "data", ignore_errors=True)

    def stop(self) -> None:
        self.kill()
        if self._names is not None:
            self._names.kill()
            self._names.wait()
            self._names = None

    def queue_lengths(self, *names: str) -> dict[str, int]:
        """Messages that wait in these queues; each must be there."""
        with Connection(self.url) as connection, connection.channel() as channel:
            return {name: channel.queue_declare(name, passive=True).message_count for name in names}


def _port() -> int:
    """A free one that no connection gets by chance while the node is down."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            return port


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"nobody listens on port {port}")
