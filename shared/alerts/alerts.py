"""Alerts: what the webhook and the workers call. Never raises and never holds its caller longer than stated."""

from __future__ import annotations

import datetime as dt
import functools
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from enum import Enum, auto

import redis

from shared.alerts import wording
from shared.alerts.channels import EVERYBODY, Background, Channels
from shared.alerts.kinds import MINUTE_MS, QUIET_MS, SETTLE_MS, UNSTEADY_MS, Sort, kind_of
from shared.alerts.links import link
from shared.alerts.local import LocalIncidents
from shared.identity import canonical_number, patient_id
from shared.setting_values import parse_ladder
from shared.settings import Settings
from shared.state.alarms import Alarm
from shared.state.incidents import Ending, Incident, RedisIncidents

log = logging.getLogger(__name__)

DANGER_LIMIT_S = 2.0  # the patient's reply waits for this: it says whether staff were told
TRY_AGAIN_MS = MINUTE_MS  # an incident that no channel took is offered again
REDIS_DOWN = "redis_down"  # the one incident that Redis cannot keep

# (patient_ref, category, level, at); raises when the backend did not take it
Post = Callable[[str, str, str, dt.datetime], object]


class Duty(Enum):
    """What is to be done about an open incident."""

    NOTHING = auto()
    END_QUIET = auto()
    END_SETTLED = auto()
    TELL = auto()


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
        self._shared = RedisIncidents(client) if client is not None else None
        self._local = LocalIncidents()
        self._believed_open: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self.now_ms = now_ms

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
        kind, detail, now = wording.masked(kind), wording.masked(detail), self.now_ms()
        store = self._store_of(kind)
        try:
            opened = self._open(store, kind, detail, now)
        except redis.RedisError:
            store = self._local
            opened = self._open(store, kind, detail, now)
        self._believe(opened={kind})
        log.log(logging.WARNING if opened else logging.INFO, "incident", extra={"kind": kind, "opened": opened})
        if not opened:
            return False
        subject, text = wording.opened(kind, detail, now, self._settings.timezone)
        return self._tell(subject, text, lambda: store.told(kind, now, 1, self.now_ms()))

    def resolve(self, kind: str, *, surely: bool = False) -> bool:
        """Say that it works again; True when this closed the incident, which is told to staff.

        Costs nothing while no such incident is believed open, so success paths may call it each time. An incident seen
        in the last half minute is closed by the watch, if it is not seen again.

        Args:
            kind: as it was opened.
            surely: ask Redis even so: the news that it works will not come again.
        """
        kind = wording.masked(kind) if surely else kind
        if not surely and kind not in self._believed_open:
            return False
        closed = self._close(kind, Ending.WORKS)
        self._believe(closed={kind})  # noted; the next refresh says whether it has to be noted again
        return closed

    def close_by_hand(self, kind: str) -> bool:
        """End an incident at once, whatever was seen of it lately; False when it is not open."""
        return self._close(kind, Ending.HAND)

    def wait(self, timeout_s: float) -> bool:
        """Wait for what is being sent, at the end of a process or a test. True when nothing is left."""
        return self._background.wait(timeout_s)

    # For the watch

    def refresh(self) -> None:
        """Learn which incidents are open; those that this process kept for itself go to Redis.

        Raises:
            redis.RedisError: it cannot be asked.
        """
        kinds: set[str] = set()
        if self._shared is not None:
            kinds = self._shared.kinds()
            for incident in self._local.listed():
                if incident.kind != REDIS_DOWN:
                    self._hand_over(self._shared, incident)
                    kinds.add(incident.kind)
        self._believed_open = frozenset(kinds | self._local.kinds())

    def open_kinds(self) -> frozenset[str]:
        """Kinds believed open, at most a few seconds old."""
        return self._believed_open

    def tend(self, *, only_local: bool = False) -> None:
        """End what is over and tell again what is still open. Raises redis.RedisError unless `only_local`."""
        stores: list[LocalIncidents | RedisIncidents] = (
            [self._local] if only_local or self._shared is None else [self._local, self._shared]
        )
        for store in stores:
            for incident in store.listed():
                self._tend(store, incident)

    def _tend(self, store: LocalIncidents | RedisIncidents, incident: Incident) -> None:
        now = self.now_ms()
        match duty(incident, now):
            case Duty.END_QUIET:
                self._close(incident.kind, Ending.QUIET)
            case Duty.END_SETTLED:
                self._close(incident.kind, Ending.SETTLED)
            case Duty.TELL if self._channels.reachable(EVERYBODY) and store.claim(
                incident.kind, incident.tried_ms, now
            ):
                zone = self._settings.timezone
                first = wording.opened(incident.kind, incident.detail, incident.opened_ms, zone)
                again = wording.still_open(incident, now, zone)
                subject, text = again if incident.told_ms else first
                self._tell(
                    subject, text, lambda: store.told(incident.kind, incident.opened_ms, incident.count, self.now_ms())
                )
            case _:
                pass

    def _believe(self, *, opened: Iterable[str] = (), closed: Iterable[str] = ()) -> None:
        with self._lock:
            self._believed_open = (self._believed_open | set(opened)) - set(closed)

    def _store_of(self, kind: str) -> LocalIncidents | RedisIncidents:
        return self._local if self._shared is None or kind == REDIS_DOWN else self._shared

    def _open(self, store: LocalIncidents | RedisIncidents, kind: str, detail: str, now: int) -> bool:
        if isinstance(store, RedisIncidents) and (kept := self._local.get(kind)):
            self._hand_over(store, kept)
        settle_ms = SETTLE_MS if kind_of(kind).sort is Sort.CONDITION else 0
        return store.open(kind, detail, now, settle_ms=settle_ms, unsteady_ms=UNSTEADY_MS)

    def _hand_over(self, shared: RedisIncidents, incident: Incident) -> None:
        """An incident that this process kept while Redis was away goes on in Redis; staff were told of it already."""
        since = incident.opened_ms
        if shared.open(
            incident.kind, incident.detail, since, settle_ms=incident.settle_ms, unsteady_ms=incident.settle_ms
        ):
            shared.told(incident.kind, since, incident.count, incident.told_ms or since)
        self._local.take(incident.kind)

    def _close(self, kind: str, ending: Ending) -> bool:
        now = self.now_ms()
        try:
            closed = self._local.close(kind, ending, now, QUIET_MS)
            if closed is None and self._shared is not None:
                closed = self._shared.close(kind, ending, now, QUIET_MS)
        except redis.RedisError:
            return False  # it stays open until somebody sees again that it works
        if closed is None:
            return False
        self._believe(closed={kind})
        log.info("incident closed", extra={"kind": kind, "count": closed.count})
        if ending is not Ending.QUIET or closed.count > 1:  # of an event seen once, all was told
            self._tell(*wording.closed(closed, now, self._settings.timezone))
        return True

    def _tell(self, subject: str, text: str, accepted: Callable[[], object] = lambda: None) -> bool:
        """Send to everybody in the background; False when no channel is configured."""
        contacts = self._channels.reachable(EVERYBODY)

        def send(contact: str) -> None:
            self._channels.send(contact, subject, text)
            accepted()

        for contact in contacts:
            self._background.start(contact, functools.partial(send, contact))
        return bool(contacts)


def duty(incident: Incident, now_ms: int) -> Duty:
    """What the watch does about an open incident (pure)."""
    kind = kind_of(incident.kind)
    if incident.works_ms:
        return Duty.END_SETTLED if now_ms - incident.last_ms >= incident.settle_ms else Duty.NOTHING
    if kind.sort is Sort.EVENT and now_ms - incident.last_ms >= QUIET_MS:
        return Duty.END_QUIET
    if now_ms - incident.tried_ms < TRY_AGAIN_MS:
        return Duty.NOTHING
    if not incident.told_ms:
        return Duty.TELL
    news = kind.sort is Sort.CONDITION or incident.count > incident.told_count
    return Duty.TELL if news and now_ms - incident.told_ms >= kind.repeat_ms else Duty.NOTHING


def _channel_name(contact: str, n: int) -> str:
    """For the log, which must not hold addresses."""
    return contact if contact in EVERYBODY else f"email{n}"
