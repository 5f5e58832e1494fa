"""A real mail server (aiosmtpd) on loopback, with or without TLS and login, and a certificate for it."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.workers.http_server import closed_port

USER, PASSWORD = "asistente", "una-clave-larga"


class Mailbox:
    """Keeps what the server accepts; nobody lives at `nadie@`."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("nadie@"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content
        assert isinstance(content, bytes)
        mail = message_from_bytes(content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.mails.append(mail)
        return "250 OK"


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False) if not right else AuthResult(success=True)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Key and certificate for 127.0.0.1, signed by itself."""
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1"
    )
    subprocess.run([*command.split(), "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return key, cert


@contextmanager
def mail_server(**options: Any) -> Iterator[tuple[Mailbox, int]]:
    mailbox = Mailbox()
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
