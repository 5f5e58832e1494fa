"""The ways alerts leave: mail server (connect, TLS, login; no mail unless asked for) and Slack (its address only)."""

from __future__ import annotations

import ipaddress
import smtplib
import ssl
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from urllib.parse import urlsplit

from shared.settings import Settings
from workers.doctor.check import Check, failed, off, ok, warning
from workers.doctor.reach import why
from workers.doctor.runner import TIMEOUT_S

MAIL, SLACK = "e-mail", "slack"
_SMTPS_PORT = 465
TEST_SUBJECT = "Prueba del asistente de WhatsApp"
TEST_TEXT = "Este correo es una prueba: los avisos del asistente llegan a esta dirección. No hace falta responder.\n"


def check(settings: Settings, send_test: bool = False, tls: ssl.SSLContext | None = None) -> list[Check]:
    """Both ways.

    Args:
        send_test: send one mail to ALERT_EMAIL_TO.
        tls: trusted authorities; the system's unless given.
    """
    return [check_mail(settings, send_test, tls or ssl.create_default_context()), check_slack(settings)]


def check_mail(settings: Settings, send_test: bool, tls: ssl.SSLContext) -> Check:
    """Do what an alert does, up to the mail itself."""
    if not settings.SMTP_HOST:
        return off(MAIL, "SMTP_HOST is not set")
    try:
        with _connect(settings, tls) as server:
            encrypted = isinstance(server, smtplib.SMTP_SSL)
            if settings.SMTP_STARTTLS and not encrypted:
                server.starttls(context=tls)
                encrypted = True
            if settings.SMTP_USER:
                password = settings.SMTP_PASSWORD.get_secret_value() if settings.SMTP_PASSWORD else ""
                server.login(settings.SMTP_USER, password)
            code = server.noop()[0]
            if code != 250:
                return failed(MAIL, f"the server answers {code}", "ask who runs the mail server")
            if send_test:
                server.send_message(_test_mail(settings))
    except (OSError, smtplib.SMTPException) as error:
        return explain(error, settings)
    done = [
        "connected",
        *["TLS"] * encrypted,
        *["logged in"] * bool(settings.SMTP_USER),
        *["test mail sent"] * send_test,
    ]
    if settings.SMTP_USER and not encrypted and not _is_this_machine(settings.SMTP_HOST):
        return warning(MAIL, f"{', '.join(done)}: the password travels in clear", "set SMTP_STARTTLS=true")
    return ok(MAIL, ", ".join(done))


def _connect(settings: Settings, tls: ssl.SSLContext) -> smtplib.SMTP:
    host = settings.SMTP_HOST or ""
    if settings.SMTP_PORT == _SMTPS_PORT:
        return smtplib.SMTP_SSL(host, settings.SMTP_PORT, timeout=TIMEOUT_S, context=tls)
    return smtplib.SMTP(host, settings.SMTP_PORT, timeout=TIMEOUT_S)


def _test_mail(settings: Settings) -> EmailMessage:
    message = EmailMessage()
    message["Subject"] = TEST_SUBJECT
    message["From"] = settings.ALERT_EMAIL_FROM
    message["To"] = settings.ALERT_EMAIL_TO
    message["Date"] = formatdate(localtime=False)
    message["Message-ID"] = make_msgid(domain=(settings.ALERT_EMAIL_FROM or "").rpartition("@")[2] or None)
    message.set_content(TEST_TEXT)
    return message


def explain(error: OSError | smtplib.SMTPException, settings: Settings) -> Check:
    """Say at which step it broke; the server's words are left out, they may repeat an address."""
    where = f"{settings.SMTP_HOST}:{settings.SMTP_PORT}"
    match error:
        case smtplib.SMTPAuthenticationError():
            advice = "correct SMTP_USER and SMTP_PASSWORD (many providers want a password made for this program)"
            return failed(MAIL, f"{where} refuses the login ({error.smtp_code})", advice)
        case smtplib.SMTPNotSupportedError() if settings.SMTP_STARTTLS:
            advice = "use the port for STARTTLS (587) or TLS (465); SMTP_STARTTLS=false only in a network of your own"
            return failed(MAIL, f"{where} offers no STARTTLS or no login", advice)
        case smtplib.SMTPNotSupportedError():
            return failed(MAIL, f"{where} offers no login", "take SMTP_USER out, or set SMTP_STARTTLS=true")
        case smtplib.SMTPRecipientsRefused() | smtplib.SMTPSenderRefused() | smtplib.SMTPDataError():
            advice = "correct ALERT_EMAIL_TO and ALERT_EMAIL_FROM; the server must be allowed to send for that sender"
            return failed(MAIL, f"{where} refuses the test mail ({type(error).__name__})", advice)
        case ssl.SSLError():
            advice = "use the name that stands in the certificate, or have it renewed"
            return failed(MAIL, f"{where}: {why(error)}", advice)
        case _:
            advice = "correct SMTP_HOST and SMTP_PORT; many hosts block port 25"
            return failed(MAIL, f"{where}: {why(error)}", advice)


def check_slack(settings: Settings) -> Check:
    """The address alone: whoever posts to it speaks to everybody in the channel."""
    if not settings.SLACK_WEBHOOK_URL:
        return off(SLACK, "SLACK_WEBHOOK_URL is not set")
    url = urlsplit(settings.SLACK_WEBHOOK_URL.get_secret_value())
    advice = "copy the incoming webhook's address from Slack: https://hooks.slack.com/services/T.../B.../..."
    if url.scheme != "https" or not url.hostname:
        return failed(SLACK, "SLACK_WEBHOOK_URL is no https address", advice)
    if url.hostname != "hooks.slack.com":
        return warning(SLACK, f"SLACK_WEBHOOK_URL is not at hooks.slack.com but at {url.hostname}", advice)
    parts = [part for part in url.path.split("/") if part]
    if len(parts) != 4 or parts[0] != "services":
        return failed(SLACK, "SLACK_WEBHOOK_URL is not a whole webhook address", advice)
    return ok(SLACK, "the address has the right form (nothing was posted)")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
