"""deploy/update.sh and rollback.sh against a stand-in of the engine that keeps the containers in a file.

What the real processes do meanwhile is shown by tests/processes/test_rolling_update.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.compose import ROOT

ENGINE = Path(__file__).with_name("fake_engine.py")
ENV = "# facts\nSERVER_NAME=asistente.example.org\nVERSION=v0.1.0\nCENTER_NAME=Centro de Salud\n"


@dataclass
class Server:
    """A copy of the scripts beside an .env, and the engine's file."""

    folder: Path

    @property
    def world(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "world.json").read_text(encoding="utf-8"))
        return found

    def change(self, **facts: Any) -> None:
        (self.folder / "world.json").write_text(json.dumps(self.world | facts), encoding="utf-8")

    def __call__(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        engine = f"{sys.executable} -S -I {ENGINE}"
        own = {"FAKE_ENGINE": str(self.folder / "world.json"), "PAUSE_S": "0", "HEALTH_S": "1"}
        programs = {"COMPOSE": f"{engine} compose", "DOCKER": f"{engine} docker"}
        path = [str(self.folder / "deploy" / command[0]), *command[1:]]
        return subprocess.run(
            path, capture_output=True, text=True, timeout=60, check=False, env=os.environ | own | programs | environment
        )

    def versions(self, service: str) -> list[str]:
        rows = self.world["containers"]
        return sorted(row["version"] for row in rows if row["service"] == service and row["running"])

    def env(self) -> str:
        return (self.folder / ".env").read_text(encoding="utf-8")

    def place(self, call: str) -> int:
        """Where this call stands among all; fails if it was not made."""
        return next(place for place, made in enumerate(self.world["calls"]) if call in made)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    (tmp_path / "deploy").mkdir()
    for script in ("update.sh", "rollback.sh"):
        shutil.copy(ROOT / "deploy" / script, tmp_path / "deploy")
    backup = tmp_path / "deploy" / "backup.sh"
    backup.write_text("#!/bin/sh\ntouch backed-up\n", encoding="utf-8")
    backup.chmod(0o755)
    (tmp_path / ".env").write_text(ENV, encoding="utf-8")
    services = ["redis", "worker", "worker", "webhook", "webhook", "beat"]
    world = {
        "containers": [
            {"id": f"old{n}", "service": service, "version": "v0.1.0", "running": True}
            for n, service in enumerate(services)
        ],
        "images": [f"canada-{kind}:v0.1.0" for kind in ("webhook", "worker")],
        "calls": [],
        "history": [],
        "made": 0,
        "health": "healthy",
        "config_problem": "",
        "doctor": 0,
        "knows": {"v0.1.0": 0, "v0.2.0": 0},
    }
    (tmp_path / "world.json").write_text(json.dumps(world), encoding="utf-8")
    return Server(tmp_path)


def test_an_update_replaces_all_and_never_has_fewer_than_before(server: Server) -> None:
    done = server("update.sh", "v0.2.0")
    assert done.returncode == 0, done.stderr
    assert server.versions("worker") == server.versions("webhook") == ["v0.2.0"] * 2
    assert min(len(alive) for _, alive in server.world["history"]) == 2
    order = [server.place(call) for call in ("config -q", "build", "--check", "worker=4", "webhook=4", "up -d --wait")]
    assert order == sorted(order)
    assert server.world["calls"][-1] == "compose --profile tools run --rm --no-deps -T doctor"
    assert server.env() == ENV.replace("VERSION=v0.1.0\n", "") + "VERSION=v0.2.0\n"
    assert (server.folder / "var" / "deploy" / "previous").read_text() == "v0.1.0\n"
    assert not (server.folder / "backed-up").exists()
    said = [line.split("  ", 1)[1] for line in done.stdout.splitlines() if "  " in line]
    assert said[0] == "update from v0.1.0 to v0.2.0"
    assert said[-1] == "done: v0.2.0 runs"


def test_a_wrong_compose_file_changes_nothing(server: Server) -> None:
    server.change(config_problem="services.webhook additional properties 'imagee' not allowed")
    refused = server("update.sh", "v0.2.0")
    assert refused.returncode == 1
    assert "nothing was changed" in refused.stderr
    assert "'imagee' not allowed" in refused.stderr
    assert server.world["calls"] == ["compose config -q"]
    assert server.env() == ENV


@pytest.mark.parametrize("env", [None, "CENTER_NAME=x\n"])
def test_without_a_server_there_is_nothing_to_update(server: Server, env: str | None) -> None:
    (server.folder / ".env").unlink()
    if env:
        (server.folder / ".env").write_text(env)
    assert server("update.sh", "v0.2.0").returncode == 1
    assert server.world["calls"] == []


def test_a_migration_beside_is_done_after_a_backup_with_the_workers_running(server: Server) -> None:
    server.change(knows={"v0.1.0": 0, "v0.2.0": 1})
    assert server("update.sh", "v0.2.0").returncode == 0
    assert (server.folder / "backed-up").exists()
    assert min(len(alive) for _, alive in server.world["history"]) == 2


def test_a_migration_that_needs_it_stops_the_workers_and_no_old_one_comes_back(server: Server) -> None:
    server.change(knows={"v0.1.0": 0, "v0.2.0": 3})
    assert server("update.sh", "v0.2.0").returncode == 0
    history = server.world["history"]
    assert min(len(alive) for service, alive in history if service == "webhook") == 2
    workers = [alive for service, alive in history if service == "worker"]
    assert workers.index([]) < workers.index(["v0.2.0"] * 2)
    assert all("v0.1.0" not in alive for alive in workers[workers.index([]) :])
    assert server.versions("worker") == ["v0.2.0"] * 2


def test_a_store_of_a_newer_release_changes_nothing(server: Server) -> None:
    server.change(knows={"v0.1.0": 0, "v0.2.0": 78})
    refused = server("update.sh", "v0.2.0")
    assert refused.returncode == 1
    assert "belongs to a newer release" in refused.stderr
    assert server.versions("worker") == ["v0.1.0"] * 2


def test_a_new_worker_that_is_not_healthy_ends_no_old_one_and_the_next_run_goes_on(server: Server) -> None:
    server.change(health="starting")
    failed = server("update.sh", "v0.2.0")
    assert failed.returncode == 1
    assert "a new worker is not healthy" in failed.stderr
    assert server.versions("worker") == ["v0.1.0"] * 2 + ["v0.2.0"] * 2
    assert server.versions("webhook") == ["v0.1.0"] * 2
    assert server.env() == ENV
    server.change(health="healthy")
    assert server("update.sh", "v0.2.0").returncode == 0
    assert server.versions("worker") == server.versions("webhook") == ["v0.2.0"] * 2


def test_without_memory_for_both_the_old_workers_stop_first(server: Server) -> None:
    assert server("update.sh", "v0.2.0", BESIDE="0").returncode == 0
    assert max(len(alive) for service, alive in server.world["history"] if service == "worker") == 2
    assert server.versions("worker") == ["v0.2.0"] * 2


@pytest.mark.parametrize(("code", "expected", "said"), [(2, 0, "see the warnings"), (1, 1, "deploy/rollback.sh")])
def test_what_the_doctor_says_is_the_end(server: Server, code: int, expected: int, said: str) -> None:
    server.change(doctor=code)
    done = server("update.sh", "v0.2.0")
    assert done.returncode == expected
    assert said in done.stdout + done.stderr


def test_back_and_forth_builds_nothing(server: Server) -> None:
    assert server("rollback.sh").returncode == 1  # nothing is known to go back to
    assert server("update.sh", "v0.2.0").returncode == 0
    builds = sum("build" in call for call in server.world["calls"])
    back = server("rollback.sh")
    assert back.returncode == 0, back.stderr
    assert "back from v0.2.0 to v0.1.0" in back.stdout
    assert server.versions("worker") == server.versions("webhook") == ["v0.1.0"] * 2
    assert server.env().endswith("VERSION=v0.1.0\n")
    assert sum("build" in call for call in server.world["calls"]) == builds
    assert (server.folder / "var" / "deploy" / "previous").read_text() == "v0.2.0\n"


def test_back_over_a_migration_is_refused_with_the_way_to_go(server: Server) -> None:
    server.change(knows={"v0.1.0": 0, "v0.2.0": 1})
    assert server("update.sh", "v0.2.0").returncode == 0
    refused = server("rollback.sh")
    assert refused.returncode == 1
    assert "deploy/restore.sh backups/redis-" in refused.stderr
    assert server.versions("worker") == ["v0.2.0"] * 2


def test_back_to_an_image_that_is_gone_is_refused(server: Server) -> None:
    assert server("update.sh", "v0.2.0").returncode == 0
    server.change(images=[])
    refused = server("rollback.sh")
    assert refused.returncode == 1
    assert "canada-webhook:v0.1.0 is gone" in refused.stderr
