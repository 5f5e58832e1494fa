"""When the report goes out: from seven o'clock on, once, whatever stops or repeats in between."""

from __future__ import annotations

import datetime as dt
import logging
import socketserver
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from scheduler.schedule import SCHEDULE
from shared.celery_app import TaskName
from tests.shared.alerts.mail import Mailbox, mail_server
from tests.workers.http_server import closed_port
from tests.workers.report.conftest import Office, mailing
from tests.workers.report.simulated_week import MORNING_AFTER
from workers.report import daily as daily_module
from workers.report import mail, once

KEY = "report:2026-11-23"


class Killed(BaseException):
    """Stands for SIGKILL: nothing catches it."""


@pytest.mark.parametrize("clock", ["00:00", "03:30", "06:59"])
def test_before_seven_nothing_is_even_looked_at(office: Office, mailbox: Mailbox, clock: str) -> None:
    office.now = dt.datetime.combine(MORNING_AFTER.date(), dt.time.fromisoformat(clock), MORNING_AFTER.tzinfo)
    assert not office.daily().ring()
    assert mailbox.mails == []
    assert office.client.keys() == []


@pytest.mark.parametrize("clock", ["07:00", "12:40", "23:59"])
def test_a_beat_that_was_down_at_seven_sends_it_when_it_is_back(office: Office, mailbox: Mailbox, clock: str) -> None:
    office.now = dt.datetime.combine(MORNING_AFTER.date(), dt.time.fromisoformat(clock), MORNING_AFTER.tzinfo)
    assert office.daily().ring()
    assert not office.daily().ring()
    assert len(mailbox.mails) == 1
    assert office.client.get(KEY) == "sent"
    assert office.staff.closed == [daily_module.FAILED]


def test_each_day_has_its_own(office: Office, mailbox: Mailbox) -> None:
    assert office.daily().ring()
    office.now += dt.timedelta(days=1)
    assert office.daily().ring()
    assert [m["Subject"].rpartition(": ")[2] for m in mailbox.mails] == [
        "lunes 23 de noviembre",
        "martes 24 de noviembre",
    ]
    assert mailbox.mails[0]["Message-ID"] != mailbox.mails[1]["Message-ID"]


def test_workers_that_are_rung_at_once_send_one_mail(office: Office, mailbox: Mailbox) -> None:
    start = threading.Barrier(4)

    def ring() -> bool:
        daily = office.daily()
        start.wait(10)
        return daily.ring()

    with ThreadPoolExecutor(4) as pool:
        sent = [future.result() for future in [pool.submit(ring) for _ in range(4)]]
    assert sum(sent) == 1
    assert len(mailbox.mails) == 1
    assert office.staff.opened == []


def test_a_crash_before_the_mail_is_repeated_after_the_lease(
    office: Office, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(mail, "build", die)
        with pytest.raises(Killed):
            office.daily().ring()
    assert not office.daily().ring()  # it may still be at work
    assert 0 < int(office.client.pttl(KEY)) <= once.LEASE_MS
    office.client.delete(KEY)  # the lease has run out
    assert office.daily().ring()
    assert len(mailbox.mails) == 1


def test_a_crash_after_the_mail_went_out_sends_no_second_one(
    office: Office, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(_: once.Claim) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(once.Claim, "sent", die)
        with pytest.raises(Killed):
            office.daily().ring()
    assert len(mailbox.mails) == 1
    assert not office.daily().ring()
    assert office.staff.opened == []  # it may still be at work
    office.client.pexpire(KEY, once.KEEP_MS - once.LEASE_MS - 1)
    for _ in range(3):
        assert not office.daily().ring()
    assert office.client.get(KEY) == "unknown"
    assert office.staff.opened == [daily_module.UNKNOWN]
    assert len(mailbox.mails) == 1


def test_whoever_lost_the_lease_sends_nothing(
    office: Office, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = mail.build

    def slowly(*args: Any) -> Any:
        office.client.set(KEY, "composing:another")
        return build(*args)

    monkeypatch.setattr(mail, "build", slowly)
    assert not office.daily().ring()
    assert mailbox.mails == []
    assert office.client.get(KEY) == "composing:another"


def test_a_mail_server_that_is_down_is_tried_at_the_next_ring(office: Office, mailbox: Mailbox) -> None:
    for _ in range(2):
        assert not office.daily(SMTP_PORT=closed_port()).ring()
    assert office.staff.opened == [daily_module.FAILED] * 2
    assert office.client.get(KEY) is None
    assert office.daily().ring()
    assert len(mailbox.mails) == 1
    assert office.staff.closed == [daily_module.FAILED]


class Refusing(Mailbox):
    """A mail server that takes one of the addresses only, or no mail at all."""

    def __init__(self, *, data: str = "250 OK", known: str = "@") -> None:
        super().__init__()
        self.data, self.known = data, known

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.known not in address:
            return "550 unknown"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        await super().handle_DATA(server, session, envelope)
        return self.data


def test_a_mail_that_is_refused_is_tried_again(office: Office) -> None:
    for handler in (Refusing(data="554 no"), Refusing(known="nobody")):
        with mail_server(handler) as (_, port):
            assert not office.daily(SMTP_PORT=port).ring()
        assert office.client.get(KEY) is None
    assert office.staff.opened == [daily_module.FAILED] * 2


def test_one_wrong_address_does_not_keep_it_from_the_others(office: Office) -> None:
    with mail_server(Refusing(known="direccion")) as (mailbox, port):
        assert office.daily(SMTP_PORT=port).ring()
        assert not office.daily(SMTP_PORT=port).ring()
    assert len(mailbox.mails) == 1
    assert office.staff.opened == [daily_module.FAILED]


class _HangsUp(socketserver.StreamRequestHandler):
    """Takes the whole mail and closes the connection without a word."""

    def handle(self) -> None:
        self.wfile.write(b"220 hello\r\n")
        while line := self.rfile.readline():
            if line.upper().startswith(b"DATA"):
                self.wfile.write(b"354 go on\r\n")
                while self.rfile.readline() not in (b".\r\n", b""):
                    pass
                return
            self.wfile.write(b"250 OK\r\n")


@contextmanager
def hanging_up() -> Iterator[int]:
    with socketserver.TCPServer(("127.0.0.1", 0), _HangsUp) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def test_a_connection_that_breaks_after_the_mail_is_not_answered_by_a_second_mail(
    office: Office, mailbox: Mailbox
) -> None:
    with hanging_up() as port:
        assert not office.daily(SMTP_PORT=port).ring()
    assert office.client.get(KEY) == "unknown"
    assert office.staff.opened == [daily_module.UNKNOWN]
    assert not office.daily().ring()
    assert mailbox.mails == []


@pytest.mark.parametrize("addresses", [None, "", " , "])
def test_without_addresses_nothing_happens_and_the_log_says_so_once(
    office: Office, mailbox: Mailbox, addresses: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "workers.report")
    daily = office.daily(REPORT_EMAIL_TO=addresses)
    assert not any(daily.ring() for _ in range(3))
    assert [r.message for r in caplog.records] == ["no daily report: REPORT_EMAIL_TO is not set"]
    assert mailbox.mails == []
    assert office.client.keys() == []


def test_without_a_mail_server_staff_are_told(office: Office) -> None:
    assert not office.daily(SMTP_HOST=None).ring()
    assert office.staff.opened == [daily_module.FAILED]


def test_a_broken_day_never_raises(office: Office, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("canario 59170000001")

    with monkeypatch.context() as patch:
        patch.setattr(daily_module, "compose", fail)
        assert not office.daily().ring()
    assert office.staff.opened == [daily_module.FAILED]
    office.client.set("stats:2026-11-16", "{}")  # figures that cannot be read are counted as unknown
    assert office.daily().ring()


def test_redis_down_never_raises(office: Office) -> None:
    down = redis.Redis(port=closed_port(), decode_responses=True, retry=None)
    assert not Office(mailing(office.settings, 25), down).daily().ring()


def test_beat_rings_it_and_late_rings_are_dropped() -> None:
    entry = SCHEDULE["report"]
    assert (entry["task"], entry["schedule"]) == (TaskName.REPORT, 600)
    assert entry["options"]["queue"] == "ops"
    assert 0 < entry["options"]["expires"] < entry["schedule"]
