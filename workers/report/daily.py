"""The daily report: rung every ten minutes, sent once a day, from seven o'clock on. Never raises.

Rung twice, late, or by two Beats, it is still one mail; a Beat that was down at seven sends it when it is back.
"""

from __future__ import annotations

import datetime as dt
import logging
import ssl

import redis

from shared import canary
from shared.checkpoints import Step, reached
from shared.settings import Settings
from workers.report import mail, once
from workers.report.history import history
from workers.report.mail import MailNotSentError, MailUnknownError
from workers.report.page import Report, compose
from workers.services import Services

log = logging.getLogger(__name__)

FROM_HOUR = 7  # of the clinic's clock
FAILED = "report_failed"
UNKNOWN = "report_unknown"


class DailyReport:
    """One per worker process."""

    def __init__(self, services: Services, tls: ssl.SSLContext | None = None) -> None:
        """Nothing is contacted. `tls`: authorities trusted for SMTP; the system's unless given."""
        self._services = services
        self._tls = tls
        self._said = False

    def ring(self) -> bool:
        """Send yesterday's report if it is time and nobody has; True when this call sent it."""
        services, settings = self._services, self._services.settings
        if not mail.recipients(settings):
            self._say_once("no daily report: REPORT_EMAIL_TO is not set")
            return False
        local = services.now().astimezone(settings.timezone)
        if local.hour < FROM_HOUR:
            return False
        day = local.date() - dt.timedelta(days=1)
        claim = once.Claim(services.client, day)
        try:
            if once.left_in_sending(services.client, day):
                services.alerts.incident(UNKNOWN, "a worker stopped while it sent the report")
            if not claim.take():
                return False
            reached(Step.REPORT_CLAIMED)
            return self._send(claim)
        except redis.RedisError as error:
            log.warning("report not sent: redis is unreachable", extra={"cause": type(error).__name__})
        except Exception as error:
            # Whatever is wrong with one day's figures or the drawing library: the next ring tries again.
            log.exception("report failed")
            self._failed(claim, type(error).__name__)
        return False

    def _send(self, claim: once.Claim) -> bool:
        services, settings, now = self._services, self._services.settings, self._services.now()
        if not settings.SMTP_HOST:
            self._failed(claim, "SMTP_HOST is not set")
            return False
        message = mail.build(settings, write(services.client, settings, claim.day, now), now)

        def begin() -> None:
            if not claim.about_to_send():
                raise MailNotSentError("another worker sends it")
            reached(Step.REPORT_SENDING)

        try:
            refused = mail.send(settings, message, begin, self._tls)
        except MailNotSentError as error:
            self._failed(claim, str(error))
            return False
        except MailUnknownError as error:
            claim.unknown()
            services.alerts.incident(UNKNOWN, str(error))
            return False
        reached(Step.REPORT_MAILED)
        claim.sent()
        log.info("daily report sent", extra={"day": claim.day.isoformat(), "refused_recipients": refused})
        if refused:
            services.alerts.incident(FAILED, f"{refused} recipients refused")
        else:
            services.alerts.resolve(FAILED)
        return True

    def _failed(self, claim: once.Claim, why: str) -> None:
        self._services.alerts.incident(FAILED, why)
        try:
            claim.give_back()
        except redis.RedisError:
            log.warning("claim of the report not given back: it ends by itself in ten minutes")

    def _say_once(self, words: str) -> None:
        if not self._said:
            log.info(words)
        self._said = True


def write(client: redis.Redis, settings: Settings, day: dt.date, now: dt.datetime) -> Report:
    """Count, compare and word one day. Raises redis.RedisError."""
    return compose(settings, history(client, settings, day, now, frozenset({canary.canary_patient(settings)})), now)
