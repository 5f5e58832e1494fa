"""Redis as it is deployed: asks for its password, refuses what would empty or rewrite it; the product needs no more."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import redis

from tests.processes.system import APP_SECRET, started, texts
from tests.security.guarded_redis import PASSWORD, ROOT, GuardedRedis
from tests.security.patterns import modules

MARIO, ROSA = "+59170000005", "+59170000001"
REFUSED = (
    "FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "CONFIG SET dir /tmp", "DEBUG SLEEP 0", "SHUTDOWN", "SAVE",
    "BGSAVE", "MONITOR", "ACL LIST", "MODULE LIST", "REPLICAOF NO ONE", "SLAVEOF NO ONE", "MIGRATE h 1 k 0 1",
    "SWAPDB 0 1", "CLIENT LIST", "CLIENT KILL ID 1", "SCRIPT FLUSH", "SCRIPT KILL", "BGREWRITEAOF", "SLOWLOG GET",
    "LATENCY LATEST", "RESTORE k 0 x", "SORT k",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedRedis]:
    server = GuardedRedis(tmp_path_factory.mktemp("guarded")).start()
    yield server
    server.stop()


def test_nobody_gets_in_without_the_password(server: GuardedRedis) -> None:
    for password in (None, "", PASSWORD + "\n", PASSWORD[:-1]):
        with redis.Redis(port=server.port, password=password) as client, pytest.raises(redis.AuthenticationError):
            client.get("anything")
    assert PASSWORD not in Path(f"/proc/{server.process.pid if server.process else 0}/cmdline").read_text()


@pytest.mark.parametrize("command", REFUSED)
def test_the_product_s_login_cannot_empty_stop_or_rewrite_redis(server: GuardedRedis, command: str) -> None:
    with redis.Redis.from_url(server.url) as client:
        client.set("kept", "1")
        with pytest.raises(redis.ResponseError, match=r"permission|not allowed"):
            client.execute_command(*command.split())
        assert client.get("kept") == b"1"


def test_every_command_of_the_code_is_allowed(server: GuardedRedis) -> None:
    commands = _of_lua() | _of_python()
    assert len(commands) > 60
    with server.admin() as admin:
        known = {str(name).lower() for name in admin.command()}
        assert _of_lua() <= known
        for command in sorted(commands & known):
            said = [_dry_run(admin, command, count) for count in range(8)]
            assert "OK" in said, (command, said[0])


def _dry_run(admin: redis.Redis, command: str, arguments: int) -> str:
    try:
        return str(admin.execute_command("ACL", "DRYRUN", "default", command, *["1"] * arguments))
    except redis.ResponseError as wrong_number:
        return str(wrong_number)


def _of_lua() -> set[str]:
    sources = [file.read_text() for file in (ROOT / "shared" / "state" / "lua").glob("*.lua")]
    return {name.lower() for text in sources for name in re.findall(r"redis\.p?call\('(\w+)'", text)}


def _of_python() -> set[str]:
    """Methods called on whatever is named like a connection: client, pipe, self._client, desk.client ..."""
    found = set()
    for _, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                on = node.func.value
                name = on.id if isinstance(on, ast.Name) else on.attr if isinstance(on, ast.Attribute) else ""
                if name.strip("_") in ("client", "pipe", "pipeline", "redis", "connection"):
                    found.add(node.func.attr.replace("_iter", ""))
    return {{"delete": "del"}.get(name, name) for name in found} - {"config_get"}  # the doctor does without


@pytest.mark.processes
@pytest.mark.timeout(240)
def test_the_whole_product_works_with_this_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.processes.system.RedisServer", GuardedRedis)
    with started(tmp_path, BURST_WAIT_MS="0") as system:
        system.start_worker()
        system.says(ROSA, "Quiero una cita el proximo miercoles a las 10 para recoger mis pastillas")
        system.taps(ROSA, system.reply(ROSA), "Confirmar")
        assert "miércoles" in texts(system.reply(ROSA))
        system.says(MARIO, "dra estoy tosiendo con sangre")
        assert "AHORA" in texts(system.reply(MARIO))
        system.wait_for(system.everything_is_answered)
        server = system.redis_server
        assert isinstance(server, GuardedRedis)
        environment = os.environ | {"DEMO": "true", "REDIS_URL": server.url, "PATIENT_ID_KEY": "test-key"}
        environment |= {"REDISCLI_AUTH": PASSWORD, "REDIS_PORT": str(server.port)}
        for command in (
            [sys.executable, "-m", "workers.erase", ROSA, "--yes"],
            [ROOT / "deploy" / "backup" / "redis_save.sh"],
        ):
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, timeout=60, check=False)
            assert done.returncode == 0, done.stderr
        with server.admin() as admin:
            refused = admin.execute_command("ACL", "LOG")
        assert refused == [], refused
        logs = [*tmp_path.rglob("*.log"), *tmp_path.rglob("logs/*")]
        assert len(logs) >= 4
        for log in logs:
            said = log.read_text(errors="replace")
            for secret in (PASSWORD, quote(PASSWORD, safe=""), APP_SECRET):
                assert secret not in said, log
