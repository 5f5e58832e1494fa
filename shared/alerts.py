"""Tell staff: of danger at once by every channel, of incidents grouped. Called by the webhook and the workers.

Never raises and never holds its caller longer than stated. E-mail and Slack leave the clinic: they carry category, time
and the opaque patient id, never a text, a name or a number. The backend gets what it needs to call the patient back.
"""

from __future__ import annotations

import datetime as dt
import logging
import queue
import re
import smtplib
import ssl
import threading
import time
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

import requests

from shared.identity import canonical_number, patient_id
from shared.settings import Settings

log = logging.getLogger(__name__)

DANGER_LIMIT_S = 2.0  # the patient's reply waits for this: it says whether staff were told
QUIET_S = 15 * 60  # one incident of a kind in this time; the next one says how many came in between
_SEND_TIMEOUT_S = 10.0  # of an attempt that goes on after the limit: late news is better than none
_SMTPS_PORT = 465
_LONG_NUMBER = re.compile(r"\d{6,}")
_LEVELS = {"emergencia": "EMERGENCIA", "mismo_dia": "Atender hoy mismo"}

# (patient_ref, category, level, at); raises when the backend did not take it
Post = Callable[[str, str, str, dt.datetime], object]


class Alerts:
    """The channels that are configured. One per process, shared by its threads."""

    def __init__(
        self,
        settings: Settings,
        post: Post | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is contacted yet.

        Args:
            settings: SMTP_*, ALERT_EMAIL_*, SLACK_WEBHOOK_URL, and the key of the patient ids.
            post: sends to the backend's /alerts; None in processes that have no client for it.
            tls: trusted authorities for SMTP; the system's unless given.
            clock: seconds, for the grouping.
        """
        self._settings = settings
        self._post = post
        self._tls = tls
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[str, float] = {}
        self._held_back: dict[str, int] = {}
        self._threads: set[threading.Thread] = set()

    def channels(self) -> list[str]:
        """Names of the channels that can carry a danger alert: backend, email, slack."""
        return (["backend"] if self._post else []) + self._outside()

    def danger(self, category: str, level: str, at: dt.datetime, patient_ref: str) -> bool:
        """Tell staff of a danger sign by all channels at once.

        Args:
            category, level: of `shared.prediction.Danger`.
            at: when the patient wrote it, timezone-aware.
            patient_ref: number with plus, user id, or the opaque patient id.

        Returns:
            True as soon as one channel accepted it; False when none did within DANGER_LIMIT_S. Attempts under way go
            on and may still succeed.
        """
        subject, text = self._danger_text(category, level, at, patient_ref)
        sends: dict[str, Callable[[], object]] = {name: self._sender(name, subject, text) for name in self._outside()}
        if post := self._post:
            sends["backend"] = lambda: post(patient_ref, category, level, at)
        results: queue.SimpleQueue[bool] = queue.SimpleQueue()
        for name, send in sends.items():
            self._start(name, send, results)
        deadline = time.monotonic() + DANGER_LIMIT_S
        try:
            for _ in sends:
                if results.get(timeout=max(0.0, deadline - time.monotonic())):
                    return True
        except queue.Empty:
            pass
        log.error("danger alert not accepted in time", extra={"channels": sorted(sends), "category": str(category)})
        return False

    def incident(self, kind: str, detail: str) -> bool:
        """Report a fault of the system, by e-mail and Slack, in the background.

        Args:
            kind: groups: one report in 15 minutes, counted per process.
            detail: a technical sentence; long numbers are masked.

        Returns:
            True when it is being sent, False when it was only counted or no channel is configured.
        """
        kind = _masked(kind)
        log.warning("incident", extra={"kind": kind})
        held_back = self._may_send(kind)
        outside = self._outside()
        if held_back is None or not outside:
            return False
        more = f"\nOcurrió {held_back} veces más desde el aviso anterior." if held_back else ""
        subject = f"Asistente de WhatsApp: incidente {kind}"
        text = f"Incidente: {kind}\nDetalle: {_masked(detail) or 'sin detalle'}\nHora: {self._clinic_time()}{more}"
        results: queue.SimpleQueue[bool] = queue.SimpleQueue()
        for name in outside:
            self._start(name, self._sender(name, subject, text), results)
        return True

    def wait(self, timeout_s: float) -> bool:
        """Wait for what is being sent, at the end of a process or a test. True when nothing is left."""
        deadline = time.monotonic() + timeout_s
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in threads)

    def _outside(self) -> list[str]:
        has_email = bool(self._settings.SMTP_HOST and self._settings.ALERT_EMAIL_TO and self._settings.ALERT_EMAIL_FROM)
        return (["email"] if has_email else []) + (["slack"] if self._settings.SLACK_WEBHOOK_URL else [])

    def _may_send(self, kind: str) -> int | None:
        """Count an incident: None = one of its kind was sent lately; else how many were held back before it."""
        now = self._clock()
        with self._lock:
            last = self._last.get(kind)
            if last is not None and now - last < QUIET_S:
                self._held_back[kind] = self._held_back.get(kind, 0) + 1
                return None
            self._last[kind] = now
            return self._held_back.pop(kind, 0)

    def _start(self, name: str, send: Callable[[], object], results: queue.SimpleQueue[bool]) -> None:
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

        # Daemon threads of their own: neither a hung mail server nor a full pool may hold the next alert or the exit.
        thread = threading.Thread(target=run, name=f"alert-{name}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:  # no more threads
            with self._lock:
                self._threads.discard(thread)
            results.put(False)

    def _sender(self, name: str, subject: str, text: str) -> Callable[[], object]:
        if name == "email":
            return lambda: self._send_email(subject, text)
        return lambda: self._send_slack(f"*{subject}*\n{text}")

    def _send_email(self, subject: str, text: str) -> None:
        settings = self._settings
        message = EmailMessage()
        message["Subject"] = subject
        message["From"] = settings.ALERT_EMAIL_FROM
        message["To"] = settings.ALERT_EMAIL_TO
        message["Date"] = formatdate(localtime=False)
        message["Message-ID"] = make_msgid(domain=(settings.ALERT_EMAIL_FROM or "").rpartition("@")[2] or None)
        message.set_content(text)
        host, port, tls = settings.SMTP_HOST or "", settings.SMTP_PORT, self._tls or ssl.create_default_context()
        server: smtplib.SMTP
        if port == _SMTPS_PORT:
            server = smtplib.SMTP_SSL(host, port, timeout=_SEND_TIMEOUT_S, context=tls)
        else:
            server = smtplib.SMTP(host, port, timeout=_SEND_TIMEOUT_S)
        with server:
            if settings.SMTP_STARTTLS and port != _SMTPS_PORT:
                server.starttls(context=tls)
            if settings.SMTP_USER:
                password = settings.SMTP_PASSWORD.get_secret_value() if settings.SMTP_PASSWORD else ""
                server.login(settings.SMTP_USER, password)
            server.send_message(message)

    def _send_slack(self, text: str) -> None:
        url = self._settings.SLACK_WEBHOOK_URL.get_secret_value() if self._settings.SLACK_WEBHOOK_URL else ""
        requests.post(url, json={"text": text}, timeout=_SEND_TIMEOUT_S, allow_redirects=False).raise_for_status()

    def _danger_text(self, category: str, level: str, at: dt.datetime, patient_ref: str) -> tuple[str, str]:
        urgency = _LEVELS.get(str(level), str(level))
        lines = (
            f"Señal de peligro: {str(category).replace('_', ' ')}",
            f"Urgencia: {urgency}",
            f"Hora del mensaje: {self._clinic_time(at)}",
            f"Paciente: {self._opaque(patient_ref)}",
            "Revise la conversación y llame al paciente. Este aviso no contiene su mensaje ni su número.",
        )
        return f"{urgency}: señal de peligro de un paciente", "\n".join(lines)

    def _clinic_time(self, at: dt.datetime | None = None) -> str:
        return f"{(at or dt.datetime.now(dt.UTC)).astimezone(self._settings.timezone):%d/%m/%Y %H:%M}"

    def _opaque(self, patient_ref: str) -> str:
        """The id under which logs and Redis know the patient; a number or user id is hashed first."""
        if patient_ref.startswith("p_"):
            return patient_ref
        return patient_id(self._settings.patient_id_key, canonical_number(patient_ref) or patient_ref)


def _masked(text: str) -> str:
    return _LONG_NUMBER.sub("***", " ".join(text.split()))[:300]
