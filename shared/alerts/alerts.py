"""Alerts: what the webhook and the workers call. Never raises and never holds its caller longer than stated."""

from __future__ import annotations

import datetime as dt
import logging
import ssl
import time
from collections.abc import Callable, Iterable

import redis

from shared.alerts import wording
from shared.alerts.channels import EVERYBODY, Background, Channels
from shared.alerts.incidents import Incidents
from shared.alerts.links import link
from shared.identity import canonical_number, patient_id
from shared.setting_values import parse_ladder
from shared.settings import Settings
from shared.state.alarms import Alarm

log = logging.getLogger(__name__)

DANGER_LIMIT_S = 1.0  # the reply, promised within two seconds, waits for this: it says whether staff were told

# (patient_ref, category, level, at); raises when the backend did not take it
Post = Callable[[str, str, str, dt.datetime], object]


def wall_ms() -> int:
    """Milliseconds since 1970."""
    return round(time.time() * 1000)


class Alerts:
    """One per process, shared by its threads. Without a client its incidents are its own."""

    def __init__(
        self,
        settings: Settings,
        post: Post | None = None,
        *,
        client: redis.Redis | None = None,
        tls: ssl.SSLContext | None = None,
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """Nothing is contacted yet.

        Args:
            settings: SMTP_*, ALERT_*, SLACK_WEBHOOK_URL, PUBLIC_URL, and the key of the patient ids.
            post: sends to the backend's /alerts; None in processes that have no client for it.
            client: where all processes keep their incidents together.
            tls: trusted authorities for SMTP; the system's unless given.
            now_ms: the time.
        """
        self._settings = settings
        self._post = post
        self._channels = Channels(settings, tls)
        self._background = Background()
        self.now_ms = now_ms
        self.incidents = Incidents(self._channels, self._background, settings.timezone, client, lambda: self.now_ms())

    def channels(self) -> list[str]:
        """Names of the channels that can carry a first danger alert: backend, email, slack."""
        first = self._channels.reachable(self._first_contacts())
        names = dict.fromkeys("slack" if contact == "slack" else "email" for contact in first)
        return (["backend"] if self._post else []) + list(names)

    def can_reach(self, contacts: Iterable[str]) -> bool:
        """Whether a channel is configured for any of these contacts."""
        return bool(self._channels.reachable(contacts))

    # Danger

    def danger(self, category: str, level: str, at: dt.datetime, patient_ref: str, *, alarm_id: str = "") -> bool:
        """Tell the backend and the first rung of the ladder of a danger sign, all at once.

        Args:
            category, level: of `shared.prediction.Danger`.
            at: when the patient wrote it, timezone-aware.
            patient_ref: number with plus, user id, or the opaque patient id.
            alarm_id: under which `shared.state.alarms` keeps it, for the link.

        Returns:
            True as soon as one channel accepted it; False when none did within DANGER_LIMIT_S. Attempts under way go
            on and may still succeed.
        """
        patient = self._opaque(patient_ref)
        sends = self._danger_sends(self._first_contacts(), str(category), str(level), at, patient, alarm_id)
        if post := self._post:
            sends["backend"] = lambda: post(patient_ref, category, level, at)
        if self._background.any_accepts(sends, DANGER_LIMIT_S):
            return True
        log.error("danger alert not accepted in time", extra={"channels": sorted(sends), "category": str(category)})
        return False

    def remind(self, alarm: Alarm, contacts: Iterable[str], limit_s: float) -> bool:
        """Tell these contacts of an alarm that nobody has acknowledged; True when one channel accepted it."""
        at = dt.datetime.fromisoformat(alarm.at)
        waited_ms = self.now_ms() - alarm.raised_ms
        sends = self._danger_sends(contacts, alarm.category, alarm.level, at, alarm.patient, alarm.id, waited_ms)
        return self._background.any_accepts(sends, limit_s)

    def _danger_sends(
        self,
        contacts: Iterable[str],
        category: str,
        level: str,
        at: dt.datetime,
        patient: str,
        alarm_id: str,
        waited_ms: int | None = None,
    ) -> dict[str, Callable[[], object]]:
        """One message per contact: each gets a link of its own, which says who acknowledged."""
        when = wording.clock(round(at.timestamp() * 1000), self._settings.timezone)

        def sender(contact: str) -> Callable[[], object]:
            address = link(self._settings, alarm_id, contact)
            subject, text = wording.danger(category, level, when, patient, address, waited_ms)
            return lambda: self._channels.send(contact, subject, text)

        reachable = self._channels.reachable(contacts)
        return {_channel_name(contact, n): sender(contact) for n, contact in enumerate(reachable)}

    def _first_contacts(self) -> tuple[str, ...]:
        return parse_ladder(self._settings.ALERT_LADDER)[0].contacts

    def _opaque(self, patient_ref: str) -> str:
        """The id under which logs and Redis know the patient; a number or user id is hashed first."""
        if patient_ref.startswith("p_"):
            return patient_ref
        return patient_id(self._settings.patient_id_key, canonical_number(patient_ref) or patient_ref)

    # Incidents

    def incident(self, kind: str, detail: str) -> bool:
        """Report a fault of the system: told by e-mail and Slack, in the background, when it opens; else counted.

        Holds its caller for one round trip to Redis, twice the client's time limit at most.

        Args:
            kind: of `shared.alerts.kinds`, with or without `:subject`; another one is taken for an event.
            detail: a technical sentence; long numbers are masked.

        Returns:
            True when it is being sent, False when it was only counted or no channel is configured.
        """
        return self.incidents.report(kind, detail)

    def resolve(self, kind: str, *, surely: bool = False) -> bool:
        """Say that it works again; True when this closed the incident, which is told to staff.

        Costs nothing while no such incident is believed open, so success paths may call it each time. An incident seen
        in the last half minute is closed by the watch, if it is not seen again.

        Args:
            kind: as it was opened.
            surely: ask Redis even so: the news that it works will not come again.
        """
        return self.incidents.resolve(kind, surely=surely)

    def wait(self, timeout_s: float) -> bool:
        """Wait for what is being sent, at the end of a process or a test. True when nothing is left."""
        return self._background.wait(timeout_s)


def _channel_name(contact: str, n: int) -> str:
    """For the log, which must not hold addresses."""
    return contact if contact in EVERYBODY else f"email{n}"
