"""Kill, wipe, restore with real processes: what patients wrote and what was said to them is there again."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from demo.redis_server import RedisServer
from tests.deploy.compose import ROOT
from tests.processes.system import System, started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]
SCRIPTS = ROOT / "deploy" / "backup"
ROSA, JUAN = "+59170000001", "+59170000002"


@pytest.fixture(autouse=True)
def _redis_tools_are_there() -> None:
    if shutil.which("redis-cli") is None or shutil.which("redis-check-rdb") is None:
        if os.environ.get("CI"):
            pytest.fail("redis-cli and redis-check-rdb are needed: apt-get install redis-server")
        pytest.skip("no redis-cli or redis-check-rdb on PATH: apt-get install redis-server")


def save(server: RedisServer) -> bytes:
    environment = os.environ | {"REDIS_PORT": str(server.port)}
    done = subprocess.run([SCRIPTS / "redis_save.sh"], capture_output=True, env=environment, timeout=30, check=True)
    return done.stdout


def restore(server: RedisServer, backup: bytes) -> subprocess.CompletedProcess[bytes]:
    folder = {"REDIS_DATA": str(server.folder), "REDIS_PORT": str(server.port)}
    command = [SCRIPTS / "redis_restore.sh"]
    return subprocess.run(command, input=backup, capture_output=True, env=os.environ | folder, timeout=30, check=False)


def content(system: System) -> dict[str, bytes]:
    """Every key of patients, as Redis would dump it."""
    kinds = ("inbox", "conversation", "outbox", "seen", "address", "delivery", "audit", "waiting")
    found = [key for key in system.store.scan_iter("*") if key.split(":")[0] in kinds]
    raw = system.store.connection_pool.connection_kwargs | {"decode_responses": False}
    with type(system.store)(**{name: raw[name] for name in ("host", "port", "decode_responses")}) as client:
        return {key: client.dump(key) for key in sorted(found)}


def test_killed_wiped_and_restored_messages_and_conversations_are_there(tmp_path: Path) -> None:
    with started(tmp_path, BURST_WAIT_MS="0") as system:
        worker = system.start_worker()
        system.says(ROSA, "¿Qué es la tuberculosis?")
        system.reply(ROSA)
        system.wait_for(system.everything_is_answered)
        worker.stop()
        system.says(JUAN, "Quiero una cita mañana a las 10")  # waits: nobody answers now
        system.wait_for(lambda: any(system.store.scan_iter("inbox:*")))
        system.wait_for(lambda: system.control("messages", patient=JUAN)["messages"][-1].get("webhook"))
        before = content(system)
        assert any(key.startswith("conversation:") for key in before)
        assert any(key.startswith("inbox:") for key in before)

        backup = save(system.redis_server)
        refused = restore(system.redis_server, backup)
        assert refused.returncode == 1
        assert b"stop it first" in refused.stderr
        assert content(system) == before

        system.redis_server.kill()
        shutil.rmtree(system.redis_server.folder)
        system.redis_server.folder.mkdir()
        done = restore(system.redis_server, backup)
        assert done.returncode == 0, done.stderr
        system.redis_server.start()

        assert content(system) == before
        system.start_worker("later")
        system.reply(JUAN)  # the message that waited is answered
        system.says(ROSA, "gracias")
        system.reply(ROSA)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path / "redis").start()
    yield running
    running.stop()


def test_what_a_backup_replaces_is_kept_aside(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as store:
        store.set("when", "then")
        backup = save(server)
        store.set("when", "now")
        server.kill()
        assert restore(server, backup).returncode == 0
        server.start()
        assert store.get("when") == "then"
        assert len(list(server.folder.glob("before-restore-*/appendonlydir/*.manifest"))) == 1
        store.set("when", "after")  # and the append-only file goes on from there
        server.kill()
        server.start()
        assert store.get("when") == "after"


def test_a_damaged_backup_changes_nothing(server: RedisServer) -> None:
    with redis.Redis.from_url(server.url, decode_responses=True) as store:
        store.set("when", "now")
        good = save(server)
        server.kill()
        for bad in (good[:-10], good[:60] + bytes([good[60] ^ 1]) + good[61:], b""):
            refused = restore(server, bad)
            assert refused.returncode == 1, bad
            assert b"nothing was changed" in refused.stderr
        server.start()
        assert store.get("when") == "now"
