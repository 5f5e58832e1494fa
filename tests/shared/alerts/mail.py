"""A real SMTP server that keeps what it accepts, and settings that point at it."""

from __future__ import annotations

import asyncio
import email
import email.policy
import gc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from shared.settings import Settings
from tests.workers.http_server import closed_port


class Mailbox:
    """aiosmtpd handler that keeps what it accepts."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


@contextmanager
def mail_server(mailbox: Mailbox | None = None, **options: Any) -> Iterator[tuple[Mailbox, int]]:
    mailbox = mailbox or Mailbox()
    controller = Controller(mailbox, hostname="127.0.0.1", port=closed_port(), **options)
    controller.start()
    try:
        yield mailbox, controller.port
    finally:
        # The loop ends in stop(): connections that are still saying goodbye must be gone by then.
        asyncio.run_coroutine_threadsafe(_until_quiet(), controller.loop).result(5)
        controller.stop()
        with warnings.catch_warnings():
            # aiosmtpd leaves a half-closed transport to the collector; it must not be found in another test.
            warnings.simplefilter("ignore", ResourceWarning)
            gc.collect()


async def _until_quiet() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, hung = await asyncio.wait(others, timeout=1)  # after a failed handshake one waits for ever
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
    for _ in range(5):
        await asyncio.sleep(0)


def with_email(port: int, **more: Any) -> Settings:
    mail: dict[str, Any] = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_STARTTLS": False}
    people = {"ALERT_EMAIL_FROM": "asistente@ejemplo.bo", "ALERT_EMAIL_TO": "enfermeria@ejemplo.bo, jefa@ejemplo.bo"}
    return Settings(_env_file=None, PATIENT_ID_KEY="clave", **(mail | people | more))


def nothing() -> Settings:
    return Settings(_env_file=None, PATIENT_ID_KEY="clave")
