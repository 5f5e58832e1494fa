"""How an alert leaves us: e-mail by SMTP, and Slack's incoming webhook. Called by `shared.alerts.alerts`.

A contact is `email` (everybody in ALERT_EMAIL_TO), `slack`, or an e-mail address: the words of ALERT_LADDER.
"""

from __future__ import annotations

import logging
import queue
import smtplib
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import requests

from shared.settings import Settings

log = logging.getLogger(__name__)
# urllib3 writes the path of a request at DEBUG: Slack's is a secret.
logging.getLogger("urllib3").setLevel(logging.ERROR)

_SEND_TIMEOUT_S = 10.0  # of an attempt that goes on after its caller's limit: late news is better than none
_SMTPS_PORT = 465
EVERYBODY = ("email", "slack")


class Channels:
    """The channels that are configured; `send` blocks and raises, see `Background` for callers that must not wait."""

    def __init__(self, settings: Settings, tls: ssl.SSLContext | None = None) -> None:
        """Nothing is contacted yet.

        Args:
            settings: SMTP_*, ALERT_EMAIL_*, SLACK_WEBHOOK_URL.
            tls: trusted authorities for SMTP; the system's unless given.
        """
        self._settings = settings
        self._tls = tls

    def reachable(self, contacts: Iterable[str]) -> list[str]:
        """Those of the contacts for which a channel is configured, each once, in order."""
        return [contact for contact in dict.fromkeys(contacts) if self._is_configured(contact)]

    def _is_configured(self, contact: str) -> bool:
        settings = self._settings
        if contact == "slack":
            return settings.SLACK_WEBHOOK_URL is not None
        return bool(
            settings.SMTP_HOST and settings.ALERT_EMAIL_FROM and (contact != "email" or settings.ALERT_EMAIL_TO)
        )

    def send(self, contact: str, subject: str, text: str) -> None:
        """Hand one message to a contact's channel.

        Raises:
            Exception: whatever smtplib or requests raise; its text may hold an address, so it is never logged.
        """
        if contact == "slack":
            self._send_slack(f"*{subject}*\n{text}")
        else:
            to = self._settings.ALERT_EMAIL_TO if contact == "email" else contact
            self.send_email(to or "", subject, text)

    def send_email(self, to: str, subject: str, text: str) -> None:
        """Send plain text to a comma list of addresses. Raises like `send`."""
        settings = self._settings
        message = EmailMessage()
        message["Subject"] = subject
        message["From"] = settings.ALERT_EMAIL_FROM
        message["To"] = to
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=(settings.ALERT_EMAIL_FROM or "").rpartition("@")[2] or None)
        message.set_content(text)
        with smtp(settings, self._tls) as server:
            server.send_message(message)

    def _send_slack(self, text: str) -> None:
        url = self._settings.SLACK_WEBHOOK_URL.get_secret_value() if self._settings.SLACK_WEBHOOK_URL else ""
        requests.post(url, json={"text": text}, timeout=_SEND_TIMEOUT_S, allow_redirects=False).raise_for_status()


@contextmanager
def smtp(
    settings: Settings, tls: ssl.SSLContext | None = None, timeout_s: float = _SEND_TIMEOUT_S
) -> Iterator[smtplib.SMTP]:
    """A connection to the mail server, encrypted and logged in as the settings say; whatever smtplib raises."""
    host, port, tls = settings.SMTP_HOST or "", settings.SMTP_PORT, tls or ssl.create_default_context()
    server: smtplib.SMTP
    if port == _SMTPS_PORT:
        server = smtplib.SMTP_SSL(host, port, timeout=timeout_s, context=tls)
    else:
        server = smtplib.SMTP(host, port, timeout=timeout_s)
    with server:
        if settings.SMTP_STARTTLS and port != _SMTPS_PORT:
            server.starttls(context=tls)
        if settings.SMTP_USER:
            password = settings.SMTP_PASSWORD.get_secret_value() if settings.SMTP_PASSWORD else ""
            server.login(settings.SMTP_USER, password)
        yield server


class Background:
    """Runs sends in daemon threads of their own: neither a hung mail server nor a full pool may hold the next alert."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()

    def any_accepts(self, sends: dict[str, Callable[[], object]], limit_s: float) -> bool:
        """Start all sends at once; True as soon as one succeeded, False when none did within `limit_s` seconds.

        Attempts under way go on and may still succeed.
        """
        results: queue.SimpleQueue[bool] = queue.SimpleQueue()
        for name, send in sends.items():
            self.start(name, send, results)
        deadline = time.monotonic() + limit_s
        try:
            for _ in sends:
                if results.get(timeout=max(0.0, deadline - time.monotonic())):
                    return True
        except queue.Empty:
            pass
        return False

    def start(self, name: str, send: Callable[[], object], results: queue.SimpleQueue[bool] | None = None) -> None:
        """Run one send; whether it succeeded is put into `results`. `name` (email, slack, backend) goes to the log."""
        results = results or queue.SimpleQueue()

        def run() -> None:
            try:
                send()
            except Exception as error:
                # Whatever a channel's library raises: an alert that fails must not break the answer. The error's text
                # may hold an address or a token, so only its type is told.
                log.warning("alert channel failed", extra={"channel": name, "error": type(error).__name__})
                results.put(False)
            else:
                results.put(True)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=f"alert-{name}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            with self._lock:
                self._threads.discard(thread)
            results.put(False)

    def wait(self, timeout_s: float) -> bool:
        """Wait for what is being sent, at the end of a process or a test. True when nothing is left."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)
