"""A master, two replicas and three Sentinels on loopback, used like one `RedisServer`: `url` names the Sentinels.

`kill` ends the present master, as a power cut would; `start` brings back whatever does not run, as replica of the
present master.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from demo.redis_server import RedisServer, find_server, free_port

NAME = "mymaster"
PASSWORD = "sentinel-word"
DOWN_AFTER_MS = 1500
FAILOVER_TIMEOUT_MS = 3000
PAUSE_MS = 5000
# What docs/running.md asks for.
SETTINGS = f"--requirepass {PASSWORD} --masterauth {PASSWORD} --min-replicas-to-write 1 --min-replicas-max-lag 5"
SETTINGS += " --repl-diskless-sync-delay 0"


class SentinelGroup:
    """Six processes."""

    def __init__(self, folder: Path, replicas: int = 2, sentinels: int = 3) -> None:
        self.folder = folder
        self.servers = [RedisServer(folder / f"redis-{n}") for n in range(replicas + 1)]
        self.ports = [free_port() for _ in range(sentinels)]
        self.sentinels: list[subprocess.Popen[bytes] | None] = [None] * sentinels

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{port}" for port in self.ports)
        return f"sentinel://:{PASSWORD}@{hosts}/{NAME}"

    def start(self) -> SentinelGroup:
        """Start what does not run, and wait until all replicas have everything and the Sentinels know each other."""
        first = all(server.process is None for server in self.servers)
        master = self.servers[0].port if first else self.master().port
        for server in self.servers:
            if server.process is None or server.process.poll() is not None:
                follows = "" if server.port == master else f" --replicaof 127.0.0.1 {master}"
                server.settings = (SETTINGS + follows).split()
                server.start()
        self._wait(self._is_whole)
        for number in range(len(self.ports)):
            self.start_sentinel(number)
        if first:
            self._wait(lambda: all(self._knows(port) for port in self.ports))
        return self

    def start_sentinel(self, number: int) -> None:
        running = self.sentinels[number]
        if running is not None and running.poll() is None:
            return
        folder, port = self.folder / f"sentinel-{number}", self.ports[number]
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "sentinel.conf"  # a Sentinel writes into it what it learns
        if not file.exists():
            file.write_text(
                f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
                f"sentinel monitor {NAME} 127.0.0.1 {self.servers[0].port} {len(self.ports) // 2 + 1}\n"
                f"sentinel auth-pass {NAME} {PASSWORD}\n"
                f"sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}\n"
                f"sentinel failover-timeout {NAME} {FAILOVER_TIMEOUT_MS}\n"
                f"sentinel parallel-syncs {NAME} {len(self.servers)}\n",
                encoding="ascii",
            )
        with (folder / "sentinel.log").open("ab") as log:
            command = [find_server(), str(file), "--sentinel"]
            self.sentinels[number] = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def kill_sentinel(self, number: int) -> None:
        process = self.sentinels[number]
        if process is not None:
            process.kill()
            process.wait()

    def master(self) -> RedisServer:
        """Whom the Sentinels call the master."""
        found: list[RedisServer] = []

        def look() -> bool:
            for port in self.ports:
                with contextlib.suppress(RedisError), _client(port, None) as asked:
                    address = asked.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME)
                    found.extend(server for server in self.servers if server.port == int(address[1]))
                    return bool(found)
            return False

        self._wait(look)
        return found[0]

    def replicas(self) -> list[RedisServer]:
        master = self.master()
        return [server for server in self.servers if server is not master]

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        return self.master().process

    def kill(self) -> None:
        """End the master without a chance to write or send anything more."""
        self.master().kill()

    def fail_over(self) -> None:
        """Ask for another master while the present one works, as docs/running.md says it."""
        with self.on(self.master()) as client:
            client.client_pause(PAUSE_MS, all=False)  # else it goes on taking writes beside its successor
        with _client(self.ports[0], None) as asked:
            asked.execute_command("SENTINEL", "FAILOVER", NAME)

    def wait_for_another(self, than: RedisServer, timeout_s: float = 30) -> float:
        """Seconds until the Sentinels name another master that takes writes."""
        began = time.monotonic()
        self._wait(lambda: self.master() is not than and self._is_master(self.master()), timeout_s)
        return time.monotonic() - began

    def signal(self, servers: list[RedisServer], number: int) -> None:
        for server in servers:
            if server.process is not None and server.process.poll() is None:
                os.kill(server.process.pid, number)

    def stop(self) -> None:
        for number in range(len(self.ports)):
            self.kill_sentinel(number)
        self.signal(self.servers, signal.SIGCONT)
        for server in self.servers:
            server.stop()

    @contextlib.contextmanager
    def on(self, server: RedisServer) -> Iterator[redis.Redis]:
        """A client of one server, whatever its part."""
        with _client(server.port, PASSWORD) as client:
            yield client

    def _is_master(self, server: RedisServer) -> bool:
        with self.on(server) as client:
            return bool(client.info("replication")["role"] == "master")

    def _is_whole(self) -> bool:
        """One master, and every other server has copied it: the master's own word comes before a replica has loaded."""
        said = []
        for server in self.servers:
            with self.on(server) as client:
                said.append((server.port, client.info("replication")))
        masters = [port for port, info in said if info["role"] == "master"]
        return len(masters) == 1 and all(
            info["master_port"] == masters[0] and info["master_link_status"] == "up"
            for port, info in said
            if port != masters[0]
        )

    def _knows(self, port: int) -> bool:
        with _client(port, None) as asked:
            state = asked.sentinel_master(NAME)
            return bool(
                state["num-slaves"] == len(self.servers) - 1 and state["num-other-sentinels"] == len(self.ports) - 1
            )

    def _wait(self, condition: Callable[[], object], timeout_s: float = 30) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            with contextlib.suppress(RedisError):
                if condition():
                    return
            time.sleep(0.05)
        raise RuntimeError(f"Sentinel's group is not ready within {timeout_s:g} s; see {self.folder}")


def _client(port: int, password: str | None) -> redis.Redis:
    return redis.Redis(
        port=port, password=password, decode_responses=True, socket_timeout=1, retry=Retry(NoBackoff(), 0)
    )
