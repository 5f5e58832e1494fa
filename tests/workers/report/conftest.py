"""A worker that has a daily report, a mail server, and what staff are told."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from shared.settings import Settings
from tests.shared.alerts.mail import Mailbox, mail_server
from tests.workers.report.simulated_week import MORNING_AFTER
from workers.report.daily import DailyReport


@dataclass
class Staff:
    """Stands for `shared.alerts.Alerts`: which incidents were opened and closed."""

    opened: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)

    def incident(self, kind: str, detail: str) -> bool:
        self.opened.append(kind)
        return True

    def resolve(self, kind: str) -> bool:
        self.closed.append(kind)
        return True


class Office:
    """Workers on one Redis, with one clock; `daily()` is the report of a new one."""

    def __init__(self, settings: Settings, client: redis.Redis) -> None:
        self.settings, self.client, self.staff = settings, client, Staff()
        self.now: dt.datetime = MORNING_AFTER

    def daily(self, **more: Any) -> DailyReport:
        changes = {name: more.pop(name) for name in list(more) if name.isupper()}
        settings = self.settings.model_copy(update=changes)
        services: Any = SimpleNamespace(
            settings=settings, client=self.client, alerts=self.staff, now=lambda: self.now.astimezone(dt.UTC)
        )
        return DailyReport(services, **more)


def mailing(settings: Settings, port: int) -> Settings:
    """Settings of a clinic whose report goes to a mail server without encryption."""
    return settings.model_copy(
        update={
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": port,
            "SMTP_STARTTLS": False,
            "ALERT_EMAIL_FROM": "asistente@ejemplo.bo",
            "ALERT_EMAIL_TO": "enfermeria@ejemplo.bo",
            "REPORT_EMAIL_TO": "administracion@ejemplo.bo, direccion@ejemplo.bo",
        }
    )


@pytest.fixture(scope="package")
def post_office() -> Iterator[tuple[Mailbox, int]]:
    with mail_server() as (mailbox, port):
        yield mailbox, port


@pytest.fixture
def mailbox(post_office: tuple[Mailbox, int]) -> Mailbox:
    post_office[0].mails.clear()
    return post_office[0]


@pytest.fixture
def office(post_office: tuple[Mailbox, int], mailbox: Mailbox, client: redis.Redis, settings: Settings) -> Office:
    return Office(mailing(settings, post_office[1]), client)
