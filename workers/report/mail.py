"""The report as a mail, and its way to the mail server. Called by `daily` and `__main__`.

The moment that counts is the end of DATA: before it nothing has gone out, after it the mail must not be sent again.
"""

from __future__ import annotations

import datetime as dt
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage, MIMEPart
from email.policy import SMTP
from email.utils import format_datetime

from shared.alerts.channels import smtp
from shared.settings import Settings
from workers.report.page import Report, cid

TIMEOUT_S = 60.0  # a mail server may look at a mail for long before it says that it has it


class MailNotSentError(Exception):
    """It certainly did not go out: it may be sent again. The text names no address."""


class MailUnknownError(Exception):
    """It may have gone out: the connection broke after the mail server had it."""


def recipients(settings: Settings) -> list[str]:
    """The addresses of REPORT_EMAIL_TO."""
    return [address for part in (settings.REPORT_EMAIL_TO or "").split(",") if (address := part.strip())]


def build(settings: Settings, report: Report, now: dt.datetime) -> EmailMessage:
    """Plain text, HTML with its pictures, and the spreadsheet, in one message."""
    domain = (settings.ALERT_EMAIL_FROM or "").rpartition("@")[2] or "localhost"
    message = EmailMessage(policy=SMTP)
    message["Subject"] = report.subject
    message["From"] = settings.ALERT_EMAIL_FROM
    message["To"] = ", ".join(recipients(settings))
    message["Date"] = format_datetime(now)
    # The same for the same day: a mail client shows a copy only once.
    message["Message-ID"] = f"<{report.file_name}.asistente@{domain}>"
    message["Content-Language"] = "es"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(report.text)
    message.add_alternative(report.html_for_mail, subtype="html")
    parts = message.get_payload()
    assert isinstance(parts, list)
    page = parts[-1]
    assert isinstance(page, MIMEPart)
    for name, png in report.pictures.items():
        page.add_related(
            png,
            "image",
            "png",
            cid=f"<{cid(name, report.day)}>",
            disposition="inline",
            filename=f"{name}.png",
        )
    message.add_attachment(report.csv, "text", "csv", filename=f"{report.file_name}.csv", params={"charset": "utf-8"})
    return message


def send(
    settings: Settings,
    message: EmailMessage,
    before_data: Callable[[], object] = lambda: None,
    tls: ssl.SSLContext | None = None,
) -> int:
    """Hand the mail to the mail server; returns how many recipients it refused.

    Args:
        settings: SMTP_*, ALERT_EMAIL_FROM, REPORT_EMAIL_TO.
        message: of `build`.
        before_data: called when all but the mail itself is settled; what it raises ends the attempt.
        tls: trusted authorities; the system's unless given.

    Raises:
        MailNotSentError: refused, or no connection.
        MailUnknownError: the connection broke while the server had the mail.
    """
    accepted, refused = False, 0
    try:
        with smtp(settings, tls, TIMEOUT_S) as server:
            server.ehlo_or_helo_if_needed()
            _demand(server.mail(settings.ALERT_EMAIL_FROM or ""), "sender")
            addresses = recipients(settings)
            refused = sum(server.rcpt(address)[0] not in (250, 251) for address in addresses)
            if refused == len(addresses):
                raise MailNotSentError("every recipient was refused")
            before_data()
            try:
                answer = server.data(message.as_bytes())
            except smtplib.SMTPDataError as error:  # refused before it was read
                raise MailNotSentError(f"refused with {error.smtp_code}") from None
            except (OSError, smtplib.SMTPException) as error:
                raise MailUnknownError(type(error).__name__) from None
            _demand(answer, "mail")
            accepted = True
    except (OSError, smtplib.SMTPException) as error:
        # Saying good-bye may fail; what the server has accepted stays accepted.
        if not accepted:
            raise MailNotSentError(type(error).__name__) from None
    return refused


def _demand(answer: tuple[int, bytes], what: str) -> None:
    if answer[0] != 250:
        raise MailNotSentError(f"{what} refused with {answer[0]}")
