"""Redis down, hung, full, read-only, slow; its connections cut; its disk full."""

from __future__ import annotations

import functools
import os
import resource
import signal
import threading
import time
from collections.abc import Callable

import redis

from tests.chaos.fault import Fault, Heal, Inject, nothing
from tests.chaos.posting import Posting
from tests.chaos.stage import Stage

SLOW_MS, EVERY_S = 120, 0.25


def killed(stage: Stage, _: Posting) -> Heal:
    stage.system.redis_server.kill()
    return stage.start_redis


def killed_thrice(stage: Stage, _: Posting) -> Heal:
    def kill() -> None:
        for _again in range(3):
            stage.system.redis_server.kill()
            stage.start_redis()
            time.sleep(0.7)

    stage.beside(kill)
    return nothing


def frozen(stage: Stage, _: Posting) -> Heal:
    stage.redis_signal(signal.SIGSTOP)
    return functools.partial(stage.redis_signal, signal.SIGCONT)


def configured(name: str, wrong: str, right: str) -> Inject:
    def inject(stage: Stage, _: Posting) -> Heal:
        stage.store.config_set(name, wrong)
        return functools.partial(stage.store.config_set, name, right)

    return inject


def read_only(stage: Stage, _: Posting) -> Heal:
    """It follows a master that nobody can reach: reads are answered, writes are refused."""
    stage.store.replicaof("127.0.0.1", 1)
    return lambda: stage.store.replicaof("NO", "ONE")


def again_and_again(act: Callable[[redis.Redis], object]) -> Inject:
    def inject(stage: Stage, _: Posting) -> Heal:
        enough = threading.Event()

        def repeat() -> None:
            while not enough.wait(EVERY_S):
                try:
                    act(stage.store)
                except redis.RedisError:
                    continue  # it cut its own connection

        thread = threading.Thread(target=repeat, daemon=True)
        thread.start()

        def heal() -> None:
            enough.set()
            thread.join()

        return heal

    return inject


def slow(store: redis.Redis) -> object:
    return store.execute_command("CLIENT", "PAUSE", SLOW_MS, "ALL")


def cut(store: redis.Redis) -> object:
    """Hold the commands for a moment and then cut every connection: what was sent in it stays without an answer."""
    store.execute_command("CLIENT", "PAUSE", 30, "WRITE")
    return store.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


def disk_full(stage: Stage, posting: Posting) -> Heal:
    """No byte more fits into the append-only file."""
    server = stage.system.redis_server.process
    if server is None:
        raise RuntimeError("Redis was not started")
    sizes = [f.stat().st_size for f in (stage.folder / "redis").rglob("*.aof")]
    _, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (max(sizes), hard))

    def heal() -> None:
        if server.poll() is None:
            resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (hard, hard))

    return heal


def webhook_without_disk_and_redis(stage: Stage, posting: Posting) -> Heal:
    """The webhook can write to no file while Redis is down: what it cannot keep anywhere it may not acknowledge."""
    pids = [stage.processes["webhook"].pid, *_children(stage.processes["webhook"].pid)]
    before = [resource.prlimit(pid, resource.RLIMIT_FSIZE) for pid in pids]
    for pid, (_soft, hard) in zip(pids, before, strict=True):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    restart = killed(stage, posting)

    def heal() -> None:
        for pid, limits in zip(pids, before, strict=True):
            if os.path.exists(f"/proc/{pid}"):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        restart()

    return heal


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return [int(child) for child in file.read().split()]


REDIS = [
    Fault("Redis killed and restarted", "redis", 3, killed),
    Fault("Redis killed three times", "redis", 4, killed_thrice),
    Fault("Redis frozen", "redis", 4, frozen),
    Fault("Redis out of memory", "redis", 3, configured("maxmemory", "1", "0")),
    Fault("Redis read-only", "redis", 3, read_only),
    Fault("Redis without its replica", "redis", 3, configured("min-replicas-to-write", "1", "0")),
    Fault("Redis slow", "redis", 5, again_and_again(slow)),
    Fault("connections to Redis and broker cut", "redis", 4, again_and_again(cut)),
    Fault("disk of Redis full", "redis", 3, disk_full),
    Fault("disk of the webhook full while Redis is down", "redis", 3, webhook_without_disk_and_redis),
]
