"""`python -m workers.report`: files and mail by hand."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from demo.redis_server import RedisServer
from shared.settings import Settings
from tests.shared.alerts.mail import Mailbox
from tests.workers.http_server import closed_port
from tests.workers.report.conftest import mailing
from tests.workers.report.simulated_week import MONDAY, MORNING_AFTER, SimulatedWeek
from workers.report import __main__ as tool
from workers.report import charts, history, wording
from workers.report.daily import write
from workers.report.figures import DayFigures
from workers.report.wording import Unit


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, settings: Settings, post_office: tuple[Mailbox, int]) -> None:
    """The tool finds the settings of the tests."""
    monkeypatch.setattr(tool, "load", lambda _: mailing(settings, post_office[1]))


def test_it_writes_a_page_that_needs_nothing_else_and_a_spreadsheet(
    client: redis.Redis, settings: Settings, redis_server: RedisServer, tmp_path: Path
) -> None:
    SimulatedWeek(settings, busy=20).write(client)
    command = [sys.executable, "-m", "workers.report", "--date", str(MONDAY), "--to", str(tmp_path / "new")]
    done = subprocess.run(
        command, env=os.environ | {"REDIS_URL": redis_server.url, "PATIENT_ID_KEY": "test-key"}, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    page = (tmp_path / "new" / "informe-2026-11-23.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64,") == 4
    assert not re.search(r"""(?:src|href)=["'](?!data:)""", page)
    assert (tmp_path / "new" / "informe-2026-11-23.csv").read_bytes().startswith(b"\xef\xbb\xbfnombre;hoy;")
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.usefixtures("run", "client")
def test_a_file_may_be_named_and_yesterday_is_the_default(tmp_path: Path) -> None:
    assert tool.main(["--to", str(tmp_path / "today.html")]) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"today.html", "today.csv"}
    yesterday = dt.datetime.now(MORNING_AFTER.tzinfo).date() - dt.timedelta(days=1)
    title = title_of(tmp_path / "today.html")
    assert f"{yesterday.day} de " in title


def title_of(page: Path) -> str:
    found = re.search("<title>(.*)</title>", page.read_text(encoding="utf-8"))
    assert found
    return found[1]


@pytest.mark.usefixtures("run")
def test_it_sends_when_it_is_told_to_and_beat_does_not_send_it_again(client: redis.Redis, mailbox: Mailbox) -> None:
    for _ in range(2):
        assert tool.main(["--date", str(MONDAY), "--send"]) == 0
    assert len(mailbox.mails) == 2
    assert client.get(f"report:{MONDAY}") == "sent"


@pytest.mark.usefixtures("run", "client")
def test_wrong_arguments_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--date", "ayer"]) == tool.USAGE
    assert tool.main(["--date", "2100-01-01"]) == tool.USAGE
    assert "has not begun" in capsys.readouterr().err


@pytest.mark.parametrize("changes", [{"REPORT_EMAIL_TO": None}, {"SMTP_HOST": None}])
def test_it_cannot_send_without_addresses_or_server(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, changes: dict[str, None]
) -> None:
    monkeypatch.setattr(tool, "load", lambda _: mailing(settings, 25).model_copy(update=changes))
    assert tool.main(["--send"]) == tool.USAGE


@pytest.mark.usefixtures("client")
def test_no_mail_server_and_no_redis_have_their_exit_code(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr(tool, "load", lambda _: mailing(settings, closed_port()))
    assert tool.main(["--send"]) == tool.UNAVAILABLE
    nowhere = Settings(_env_file=None, DEMO=True, REDIS_PORT=closed_port())
    monkeypatch.setattr(tool, "load", lambda _: nowhere)
    assert tool.main([]) == tool.UNAVAILABLE


def test_a_day_that_is_not_over_says_so_and_is_not_kept(client: redis.Redis, settings: Settings) -> None:
    SimulatedWeek(settings, busy=20).write(client)
    noon = MORNING_AFTER - dt.timedelta(hours=19)
    report = write(client, settings, MONDAY, noon)
    assert (report.subject.endswith("(hasta las 12:05)"), report.whole) == (True, False)
    assert not client.exists(f"stats:{MONDAY}")
    assert client.exists(f"stats:{MONDAY - dt.timedelta(days=1)}")


def test_a_day_long_past_keeps_what_its_own_morning_saw(client: redis.Redis, settings: Settings) -> None:
    client.hset("calls", "r_1", "{}")
    write(client, settings, MONDAY, MORNING_AFTER)
    client.hset("calls", "r_2", "{}")
    again = write(client, settings, MONDAY, MORNING_AFTER + dt.timedelta(days=9))
    assert "- 1 paciente en la lista de llamadas" in again.text
    never_told = write(client, settings, MONDAY - dt.timedelta(days=3), MORNING_AFTER)
    assert "Pendientes ahora: –" in never_told.text


def test_open_incidents_are_named_and_a_busy_day_is_listed(client: redis.Redis, settings: Settings) -> None:
    client.zadd("incidents", {"backend_down": 1, "template_paused:recordatorio_cita": 2})
    report = write(client, settings, MONDAY, MORNING_AFTER)
    assert "Incidente abierto: El sistema de citas no responde" in report.text
    assert "Incidente abierto: Una plantilla no se puede usar (recordatorio_cita)" in report.html_for_mail


def test_pictures_are_drawn_for_a_day_of_nothing_and_of_everything() -> None:
    quiet = history.History(DayFigures(MONDAY), True, {})
    assert set(charts.draw(quiet)) == {"hours", "days"}
    many = {f"intent_{n}": 10**5 for n in range(22)}
    full = dataclasses.replace(quiet.today, messages=10**6, by_hour=(10**5,) * 24, intents=many, alarms={"x": 999})
    drawn = charts.draw(history.History(full, True, {MONDAY - dt.timedelta(days=7): full}))
    assert set(drawn) == {"hours", "days", "intents"}
    assert all(png.startswith(b"\x89PNG") and len(png) < 60_000 for png in drawn.values())


@pytest.mark.parametrize(
    ("value", "unit", "said", "raw"),
    [
        (None, Unit.COUNT, "–", ""),
        (0, Unit.COUNT, "0", "0"),
        (1234, Unit.COUNT, "1.234", "1234"),
        (14.857, Unit.COUNT, "14,9", "14,86"),
        (0.125, Unit.SHARE, "12 %", "12,5"),
        (0.84, Unit.SECONDS, "0,8 s", "0,84"),
        (59.96, Unit.SECONDS, "1 min", "59,96"),
        (9.97, Unit.SECONDS, "10 s", "9,97"),
        (125, Unit.SECONDS, "2 min", "125"),
        (3599, Unit.SECONDS, "1 h", "3599"),
        (11100, Unit.SECONDS, "3 h 5 min", "11100"),
    ],
)
def test_figures_are_said_in_spanish(value: float | None, unit: Unit, said: str, raw: str) -> None:
    assert (wording.say(value, unit), wording.raw(value, unit)) == (said, raw)


@pytest.mark.parametrize(
    ("today", "other", "unit", "said"),
    [
        (12, 5, Unit.COUNT, "7 más que hace 7 días"),
        (5, 12, Unit.COUNT, "7 menos que hace 7 días"),
        (5, 5, Unit.COUNT, "igual que hace 7 días"),
        (0.84, 0.86, Unit.SECONDS, "igual que hace 7 días"),
        (5, None, Unit.COUNT, "sin dato de hace 7 días"),
    ],
)
def test_changes_are_said_in_words(today: float, other: float | None, unit: Unit, said: str) -> None:
    assert wording.change(today, other, unit) == said
