"""The command itself: its lines, their order, its exit codes; and that no check hides another or tells a secret."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis
from cryptography.fernet import Fernet

from demo.processes import ROOT
from shared.settings import Settings
from tests.workers.doctor.conftest import ACCOUNT, Outside, plain, told
from tests.workers.doctor.test_queue_checks import running
from tests.workers.http_server import closed_port
from workers.doctor.check import Check, State, exit_code, failed, off, ok, warning
from workers.doctor.report import clean, json_line, line, secrets_of, summary
from workers.doctor.runner import Group, run_all


def test_the_exit_code_says_the_worst() -> None:
    good, poor, bad = [ok("a", "x"), off("b", "x")], warning("c", "x", "y"), failed("d", "x", "y")
    assert exit_code(good) == 0
    assert exit_code([*good, poor]) == 2
    assert exit_code([*good, poor, bad]) == 1
    assert summary([*good, poor, bad]) == "1 failed, 1 warning, 1 ok, 1 off"


def test_a_line_shows_what_to_do() -> None:
    assert line(ok("redis", "Redis 7")).split() == ["ok", "redis", "Redis", "7"]
    assert line(failed("redis", "gone", "start it")).endswith("gone -> start it")
    assert line(failed("redis", "gone", "start it")).startswith("FAILED ")
    assert json.loads(json_line(warning("a", "ñ", "y"))) == {
        "name": "a",
        "state": "warning",
        "found": "ñ",
        "advice": "y",
    }


def test_secrets_are_blanked_wherever_they_stand() -> None:
    settings = plain(
        REDIS_URL="redis://:p%40ssword@host/0",
        WHATSAPP_APP_SECRET="new-secret, old-secret",
        OPS_BASIC_AUTH="boss:long-word",
    )
    said = Check("x", State.FAILED, "p%40ssword p@ssword new-secret\nold-secret", "long-word or boss:long-word")
    blanked = clean(said, secrets_of(settings))
    assert blanked.found == "*** *** *** ***"
    assert blanked.advice == "*** or ***"


def test_checks_keep_their_order_and_run_side_by_side() -> None:
    met = threading.Barrier(2)

    def meet(name: str) -> list[Check]:
        met.wait(5)  # each waits for the other: one after the other would never end
        return [ok(name, "there")]

    groups = [Group(name, lambda name=name: meet(name)) for name in ("first", "second")]  # type: ignore[misc]
    assert [check.name for check in run_all(groups)] == ["first", "second"]


def test_a_check_that_breaks_or_hangs_hides_no_other() -> None:
    ended = threading.Event()

    def broken() -> list[Check]:
        raise ValueError("token-in-a-message")

    def hung() -> list[Check]:
        ended.wait(10)
        return [ok("hung", "too late")]

    try:
        checks = list(run_all([Group("a", broken), Group("b", hung), Group("c", lambda: [ok("c", "x")])], limit_s=0.2))
    finally:
        ended.set()
    told(checks[0], State.FAILED, "the check broke: ValueError", "report this")
    told(checks[1], State.FAILED, "no result within", "hangs")
    told(checks[2], State.OK, "x")
    assert "token-in-a-message" not in str(checks)


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The doctor as a process, in a folder without `.env`."""
    clean_environment = {name: value for name, value in os.environ.items() if name not in Settings.model_fields}
    return subprocess.run(
        [sys.executable, "-m", "workers.doctor", *arguments],
        cwd=folder,
        env={**clean_environment, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def installation(outside: Outside, settings: Settings) -> dict[str, str]:
    return {
        "REDIS_URL": settings.redis_url,
        "WHATSAPP_API_URL": outside.url,
        "WHATSAPP_ACCESS_TOKEN": "demo-token",
        "WHATSAPP_PHONE_NUMBER_ID": "200000000000002",
        "WHATSAPP_BUSINESS_ACCOUNT_ID": ACCOUNT,
        "WHATSAPP_APP_SECRET": "app-secret-word",
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
        "WHATSAPP_VERIFY_TOKEN": "verify-word",
        "PATIENT_ID_KEY": "patient-key-word",
        "SEGUIMIENTO_SERVICE_URL": outside.backend,
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T000/B000/slack-word",
        "PUBLIC_URL": "https://asistente.ejemplo.bo",
    }


def test_the_command_on_a_whole_installation(
    outside: Outside, settings: Settings, client: redis.Redis, tmp_path: Path
) -> None:
    running(client)
    environment = installation(outside, settings)
    done = run(tmp_path, **environment)
    *lines, total = done.stdout.splitlines()
    assert done.stderr == ""
    assert not [text for text in lines if text.startswith("FAILED")]
    # The cards are not signed, and the Redis of the tests writes every second: only warnings.
    assert done.returncode == 2
    assert [text.split(maxsplit=1)[1].split("  ")[0] for text in lines if text.startswith("WARNING")] == [
        "knowledge cards",
        "fixed texts",
        "redis persistence",
    ]
    assert total.startswith("0 failed, 3 warnings, ")
    for word in ("demo-token", "app-secret-word", "verify-word", "patient-key-word", "slack-word", "70000001", "Rosa"):
        assert word not in done.stdout

    outside.control("PATCH", "account", token="expired")
    told_json = run(tmp_path, "--json", **environment)
    rows = [json.loads(text) for text in told_json.stdout.splitlines()]
    assert told_json.returncode == 1
    assert [row["name"] for row in rows] == [text[9:35].strip() for text in lines]  # the order stays
    number = next(row for row in rows if row["name"] == "whatsapp number")
    assert number["state"] == "failed"
    assert "it expired" in number["found"]
    assert "WHATSAPP_ACCESS_TOKEN" in number["advice"]
    assert next(row for row in rows if row["name"] == "backend visits")["state"] == "ok"


def test_the_command_with_nothing_there(tmp_path: Path) -> None:
    gone = f"127.0.0.1:{closed_port()}"
    done = run(
        tmp_path,
        REDIS_URL=f"redis://:redis-word@{gone}/0",
        WHATSAPP_API_URL=f"http://{gone}",
        SEGUIMIENTO_SERVICE_URL=f"http://{gone}",
    )
    assert done.returncode == 1
    assert done.stderr == ""
    assert "redis-word" not in done.stdout
    assert f"FAILED   redis                      redis://{gone}: the connection is refused" in done.stdout
    assert "ok       opening hours" in done.stdout  # to the last line


@pytest.mark.parametrize(("arguments", "code", "part"), [(["--nonsense"], 64, ""), ([], 1, "REDIS_PORT: Input should")])
def test_wrong_arguments_and_wrong_settings(tmp_path: Path, arguments: list[str], code: int, part: str) -> None:
    done = run(tmp_path, *arguments, REDIS_PORT="many")
    assert done.returncode == code
    assert part in done.stdout
