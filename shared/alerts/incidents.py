"""Incidents: opened, counted, told again and closed, once for all processes. Used through `shared.alerts.alerts`.

Kept in Redis; while it cannot be asked, by each process for itself (`shared.alerts.local`).
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable, Iterable
from enum import Enum, auto
from zoneinfo import ZoneInfo

import redis

from shared.alerts import wording
from shared.alerts.channels import EVERYBODY, Background, Channels
from shared.alerts.kinds import MINUTE_MS, QUIET_MS, SETTLE_MS, UNSTEADY_MS, Sort, kind_of
from shared.alerts.local import LocalIncidents
from shared.state.incidents import Ending, Incident, RedisIncidents

log = logging.getLogger(__name__)

TRY_AGAIN_MS = MINUTE_MS  # an incident that no channel took is offered again
REDIS_DOWN = "redis_down"  # the one incident that Redis cannot keep


class Duty(Enum):
    """What is to be done about an open incident."""

    NOTHING = auto()
    END_QUIET = auto()
    END_SETTLED = auto()
    TELL = auto()


class Incidents:
    """One per process, shared by its threads."""

    def __init__(
        self,
        channels: Channels,
        background: Background,
        zone: ZoneInfo,
        client: redis.Redis | None,
        now_ms: Callable[[], int],
    ) -> None:
        """`client`: where all processes keep their incidents together; None: they are this process's own."""
        self._channels = channels
        self._background = background
        self._zone = zone
        self._now_ms = now_ms
        self._shared = RedisIncidents(client) if client is not None else None
        self._local = LocalIncidents()
        self._believed_open: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def report(self, kind: str, detail: str) -> bool:
        """See `Alerts.incident`."""
        kind, detail, now = wording.masked(kind), wording.masked(detail), self._now_ms()
        store = self._store_of(kind)
        try:
            opened = self._open(store, kind, detail, now)
        except redis.RedisError:
            store = self._local
            opened = self._open(store, kind, detail, now)
        self._believe(opened={kind})
        log.log(logging.WARNING if opened else logging.DEBUG, "incident", extra={"kind": kind, "opened": opened})
        if not opened:
            return False
        subject, text = wording.opened(kind, detail, now, self._zone)
        return self._tell(subject, text, lambda: store.told(kind, now, 1, self._now_ms()))

    def resolve(self, kind: str, *, surely: bool = False) -> bool:
        """See `Alerts.resolve`."""
        kind = wording.masked(kind) if surely else kind
        if not surely and kind not in self._believed_open:
            return False
        closed = self._close(kind, Ending.WORKS)
        self._believe(closed={kind})  # noted; the next refresh says whether it has to be noted again
        return closed

    def close_by_hand(self, kind: str) -> bool:
        """End an incident at once, whatever was seen of it lately; False when it is not open."""
        return self._close(kind, Ending.HAND)

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
        now = self._now_ms()
        match duty(incident, now):
            case Duty.END_QUIET:
                self._close(incident.kind, Ending.QUIET)
            case Duty.END_SETTLED:
                self._close(incident.kind, Ending.SETTLED)
            case Duty.TELL if self._channels.reachable(EVERYBODY) and store.claim(
                incident.kind, incident.tried_ms, now
            ):
                zone = self._zone
                first = wording.opened(incident.kind, incident.detail, incident.opened_ms, zone)
                again = wording.still_open(incident, now, zone)
                subject, text = again if incident.told_ms else first
                self._tell(
                    subject, text, lambda: store.told(incident.kind, incident.opened_ms, incident.count, self._now_ms())
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
        now = self._now_ms()
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
            self._tell(*wording.closed(closed, now, self._zone))
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
