"""The clock against Meta's Date header and Redis; time zone and opening hours in words."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from zoneinfo import ZoneInfo

import pytest

from shared.setting_values import parse_opening_hours
from shared.settings import Settings
from tests.workers.doctor.conftest import Outside, one, plain, told
from tests.workers.http_server import closed_port
from workers.doctor import clock_checks
from workers.doctor.check import State
from workers.doctor.clock_checks import CLOCK, HOURS, ZONE, check


@contextmanager
def server_whose_clock_is(ahead_s: float) -> Iterator[str]:
    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(400)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def date_time_string(self, timestamp: float | None = None) -> str:
            return formatdate(time.time() + ahead_s, usegmt=True)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_clock_that_agrees(outside: Outside, settings: Settings) -> None:
    checks = check(outside.settings(REDIS_URL=settings.redis_url))
    told(one(checks, CLOCK), State.OK, "agrees with the Graph API and Redis")
    told(one(checks, ZONE), State.OK, "America/La_Paz, there it is ")
    told(one(checks, HOURS), State.OK, "closed on sun")


@pytest.mark.parametrize(("ahead_s", "part"), [(100, "behind the Graph API"), (-100, "ahead of the Graph API")])
def test_a_clock_that_goes_wrong(settings: Settings, ahead_s: float, part: str) -> None:
    with server_whose_clock_is(ahead_s) as url:
        found = one(check(settings.model_copy(update={"WHATSAPP_API_URL": url})), CLOCK)
    told(found, State.FAILED, part, "timedatectl set-ntp true")


def test_a_few_seconds_do_not_matter(settings: Settings) -> None:
    with server_whose_clock_is(20) as url:
        told(one(check(settings.model_copy(update={"WHATSAPP_API_URL": url})), CLOCK), State.OK, "agrees")


def test_redis_may_be_the_one_that_differs() -> None:
    told(clock_checks.judge({"the Graph API": 0.2, "Redis": -45.0}), State.FAILED, "45 s behind Redis", "that of Redis")


def test_nobody_to_ask() -> None:
    nobody = {
        "WHATSAPP_API_URL": f"http://127.0.0.1:{closed_port()}",
        "REDIS_URL": f"redis://127.0.0.1:{closed_port()}/0",
    }
    told(one(check(plain(**nobody)), CLOCK), State.WARNING, "nobody could be asked", "Redis and WhatsApp")


def test_opening_hours_in_words() -> None:
    hours = parse_opening_hours("mon-fri 08:00-12:00 14:00-18:00; sat 08:00-12:00")
    zone = ZoneInfo("America/La_Paz")
    told(clock_checks.judge_hours(hours, dt.datetime(2026, 11, 23, 9, tzinfo=zone)), State.OK, "open now")
    told(clock_checks.judge_hours(hours, dt.datetime(2026, 11, 23, 12, tzinfo=zone)), State.OK, "open not now")
    always = parse_opening_hours("mon-sun 00:00-23:59")
    told(clock_checks.judge_hours(always, dt.datetime(2026, 11, 22, 3, tzinfo=zone)), State.OK, "closed on no day")
