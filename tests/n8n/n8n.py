"""A real n8n on loopback with our workflows in it. Installed by `install.sh`, started and ended by the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import requests

from demo.processes import ROOT, die_with_parent
from demo.redis_server import free_port

DEPLOY = ROOT / "deploy" / "n8n"
START_TIMEOUT_S = 240


def example_environment() -> dict[str, str]:
    """What `deploy/n8n/n8n.env.example` sets."""
    lines = (DEPLOY / "n8n.env.example").read_text(encoding="utf-8").splitlines()
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: value for name, _, value in pairs}


class N8n:
    """One instance with a database of its own. `port` is known before it starts."""

    def __init__(self, installed: Path, folder: Path) -> None:
        self.installed, self.folder, self.port = installed, folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / "n8n.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.environment: dict[str, str] = {}

    def configure(self, **settings: str) -> None:
        """The environment of the example file, on loopback, with SQLite in a folder of its own."""
        self.environment = {
            **example_environment(),
            "PATH": f"{self.installed / 'node_modules' / '.bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "NO_PROXY": "127.0.0.1",
            "N8N_USER_FOLDER": str(self.folder),
            "N8N_HOST": "127.0.0.1",
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(self.port),
            "N8N_PROTOCOL": "http",
            "N8N_PROXY_HOPS": "0",
            "WEBHOOK_URL": f"{self.url}/",
            "N8N_RUNNERS_BROKER_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_RUNNERS_BROKER_PORT": str(free_port()),
            "N8N_ENCRYPTION_KEY": "tests-only",
            "DB_TYPE": "sqlite",
            **settings,
        }
        self.folder.mkdir(parents=True, exist_ok=True)

    def import_workflows(self, publish_also: str = "") -> str:
        """Run `deploy/n8n/import.sh`, which fails at the first warning; returns what it said."""
        environment = self.environment | {"PUBLISH_ALSO": publish_also}
        done = subprocess.run(
            ["sh", str(DEPLOY / "import.sh")], env=environment, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def cli(self, *arguments: str) -> str:
        """Run one n8n command while no n8n is running."""
        done = subprocess.run(
            ["n8n", *arguments], env=self.environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def start(self) -> None:
        """Start and wait until its webhooks answer."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                ["n8n", "start"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                # 403: the challenge without its key. 404 until the workflow is active.
                if requests.get(f"{self.url}/webhook/whatsapp", timeout=5).status_code == 403:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)
        raise AssertionError(f"n8n did not start\n{self.log()[-4000:]}")

    def stop(self) -> None:
        """End it and its task runner."""
        if self.process is None:
            return
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=40)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def count(self, query: str) -> int:
        """Ask the instance's database for one number."""
        path = self.folder / ".n8n" / "database.sqlite"
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return int(database.execute(query).fetchone()[0])

    def is_idle(self) -> bool:
        """No execution is going on: those that ended are marked as deleted."""
        return self.count("select count(*) from execution_entity where deletedAt is null") == 0

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""
