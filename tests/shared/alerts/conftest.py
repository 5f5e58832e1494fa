"""Two processes on one Redis, a mail server, and a clock that only the test moves."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

import pytest
import redis

from shared.alerts import Alerts
from shared.alerts.watch import TURN_KEY, Watch
from shared.settings import Settings
from tests.shared.alerts.mail import Mailbox, mail_server, with_email


@dataclass
class Clock:
    """Milliseconds; begins now, because heartbeats and queues carry the real time."""

    ms: int = field(default_factory=lambda: round(time.time() * 1000))

    def __call__(self) -> int:
        return self.ms

    def pass_(self, *, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        self.ms += round((seconds + 60 * minutes + 3600 * hours) * 1000)


def subject_of(mail: EmailMessage) -> str:
    """Without our name; folding a header may double its spaces."""
    return " ".join(mail["Subject"].split()).removeprefix("Asistente de WhatsApp: ")


class Office:
    """What staff read, and the processes that write to them."""

    def __init__(self, mailbox: Mailbox, port: int, client: redis.Redis) -> None:
        self.mailbox, self.port, self.client, self.clock = mailbox, port, client, Clock()
        self.made: list[Alerts] = []
        self.settings = with_email(port)

    def process(self, client: redis.Redis | None = None, **more: Any) -> Alerts:
        """The Alerts of another process."""
        settings = with_email(self.port, **more) if more else self.settings
        alerts = Alerts(settings, client=client or self.client, now_ms=self.clock)
        self.made.append(alerts)
        return alerts

    def watch(self, alerts: Alerts, client: redis.Redis | None = None, **more: Any) -> Watch:
        options: dict[str, Any] = {"tells_redis_down": True} | more
        settings: Settings = options.pop("settings", self.settings)
        return Watch(alerts, client or self.client, settings, **options)

    def tick(self, watch: Watch) -> None:
        """Let this watch have its turn, whoever had the last one."""
        self.client.delete(TURN_KEY)
        watch.tick()

    def pass_(self, **length: float) -> None:
        """Let time pass, after what is under way has arrived."""
        assert all(alerts.wait(5) for alerts in self.made)
        self.clock.pass_(**length)

    def read(self) -> list[EmailMessage]:
        """What came since the last call."""
        assert all(alerts.wait(5) for alerts in self.made)
        mails, self.mailbox.mails[:] = list(self.mailbox.mails), []
        return mails

    def subjects(self) -> list[str]:
        return [subject_of(mail) for mail in self.read()]


@pytest.fixture(scope="package")
def post_office() -> Iterator[tuple[Mailbox, int]]:
    with mail_server() as (mailbox, port):
        yield mailbox, port


@pytest.fixture
def office(post_office: tuple[Mailbox, int], client: redis.Redis) -> Iterator[Office]:
    mailbox, port = post_office
    mailbox.mails.clear()
    office = Office(mailbox, port, client)
    yield office
    office.read()
