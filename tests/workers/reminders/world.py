"""A clinic under a clock of its own: real Redis and the real code of beat and delivery, fakes at the edge of the world.

Redis's own clock is replaced in the scripts, so that days pass in milliseconds. Whatever is due is delivered when its
time comes, as the sweep would ring it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

from shared.conversation import Appointment, PatientRecord
from shared.errors import AssistantError, OutcomeUnknown, RetryLater
from shared.messages import StatusUpdate
from shared.settings import Settings
from shared.state import outbox, store
from tests.workers.fakes import Clinic
from workers import deliver as delivering
from workers.reminders import beat, check, lane
from workers.reminders.beat import follow_up, remind

UTC = dt.UTC
_FAKE_CLOCK = "local function now_ms() return tonumber(redis.call('GET', 'test:now')) end"


class Killed(BaseException):
    """The process ends here: nothing after it is done, not even what `finally` would do in Redis."""


@dataclass
class Patients:
    """The agenda, and who agreed; `down_until` of the backend."""

    visits: dict[str, Appointment] = field(default_factory=dict)
    missed_visits: list[Appointment] | None = None
    without_consent: set[str] = field(default_factory=set)
    down: bool = False

    def _answer(self) -> None:
        if self.down:
            raise RetryLater("down")

    def upcoming(self, hours: int) -> list[Appointment]:
        self._answer()
        return [visit for visit in self.visits.values() if visit.status != "cancelled"]

    def of_patient(self, phone: str) -> list[Appointment]:
        self._answer()
        return [visit for visit in self.visits.values() if visit.phone == phone and visit.status != "cancelled"]

    def patient(self, phone: str) -> PatientRecord:
        self._answer()
        return PatientRecord(registered=True, consented=phone not in self.without_consent)

    def missed(self, date: dt.date) -> list[Appointment] | None:
        self._answer()
        if self.missed_visits is None:
            return None
        zone = dt.timezone(dt.timedelta(hours=-4))
        return [visit for visit in self.missed_visits if visit.start.astimezone(zone).date() == date]


@dataclass
class Sent:
    at: dt.datetime
    to: str
    delivery_id: str
    body: dict[str, Any]


class World:
    """`at` is the present; `pass_until` moves it, with everything that falls due on the way."""

    def __init__(self, settings: Settings, client: redis.Redis, start: dt.datetime) -> None:
        client.flushall()
        self.client, self.at = client, start
        self.clinic = Clinic(settings, client)
        self.agenda = Patients()
        self.sent: list[Sent] = []
        self.failures: list[str] = []  # of the next sends: unknown, lost (sent, but unknown), refused, later
        self.kill_at: list[str] = []  # names of steps at which the process ends, one by one
        self.clinic.agenda = self.agenda  # type: ignore[assignment]
        self.clinic.whatsapp.send = self._send  # type: ignore[method-assign]
        self.clinic.clock = lambda: self.at
        self.services = self.clinic.worker()
        self._tell_redis()

    def _tell_redis(self) -> None:
        self.client.set("test:now", round(self.at.timestamp() * 1000))

    def _send(self, body: dict[str, Any]) -> str:
        failure = self.failures.pop(0) if self.failures else ""
        sent = Sent(self.at, body["to"], body["biz_opaque_callback_data"], body)
        if failure == "later":
            raise RetryLater("down", code=2)
        if failure == "refused":
            raise AssistantErrorRefused
        if failure != "unknown":
            self.sent.append(sent)
        if failure in ("unknown", "lost"):
            raise OutcomeUnknown("timeout")
        return f"wamid.{sent.delivery_id}"

    def reached(self, step: str) -> None:
        if self.kill_at and self.kill_at[0] == str(step):
            self.kill_at.pop(0)
            raise Killed

    def beat(self) -> None:
        self._alive(lambda: remind(self.services))

    def follow_up(self) -> None:
        self._alive(lambda: follow_up(self.services))

    def deliver_due(self) -> int:
        """Deliver every lane whose time has come; returns how many."""
        due = self.client.zrangebyscore("reminders", "-inf", self.at.timestamp() * 1000)
        for member in due:
            self.client.zadd("reminders", {member: self.at.timestamp() * 1000 + 60_000})  # as due.lua does
            patient = str(member).partition(":")[0]
            self._alive(lambda patient=patient: delivering.deliver(self.services, patient, "reminder"))
        return len(due)

    def _alive(self, step: Any) -> None:
        try:
            step()
        except Killed:
            # A new process: leases of the dead one run out, its threads' memory is gone.
            for key in self.client.scan_iter("lease:*"):
                self.client.delete(key)
            self.services = self.clinic.worker()

    def pass_until(self, until: dt.datetime) -> None:
        """Let time pass; deliveries and follow-ups happen when they are due."""
        while True:
            first = self.client.zrange("reminders", 0, 0, withscores=True)
            due = dt.datetime.fromtimestamp(first[0][1] / 1000, UTC) if first else until
            if due > until or not first:
                break
            self.at = max(self.at, due)
            self._tell_redis()
            self.deliver_due()
        self.at = max(self.at, until)
        self._tell_redis()

    def status(self, sent: Sent, status: str, code: int | None = None) -> None:
        update = StatusUpdate(
            wamid=f"wamid.{sent.delivery_id}", status=status, at=self.at, delivery_id=sent.delivery_id, error_code=code
        )
        outbox.note_statuses(self.client, [update])

    def calls(self) -> dict[str, dict[str, Any]]:
        import json

        return {str(key): json.loads(line) for key, line in self.client.hgetall("calls").items()}


class _Refused(AssistantError):
    alert = True


AssistantErrorRefused = _Refused("refused", code=131026)


@contextmanager
def under_a_fake_clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Give the Lua scripts the clock of the test."""
    prelude = (store._LUA / "prelude.lua").read_text(encoding="utf-8")
    begin = prelude.index("local function now_ms()")
    end = prelude.index("\nend\n", begin) + len("\nend\n")
    faked = prelude[:begin] + _FAKE_CLOCK + "\n" + prelude[end:]

    def source(name: str) -> str:
        return faked + "\n" + (store._LUA / f"{name}.lua").read_text(encoding="utf-8")

    monkeypatch.setattr(store, "_source", source)
    store.script.cache_clear()
    yield
    monkeypatch.undo()
    store.script.cache_clear()


def wire_kills(monkeypatch: pytest.MonkeyPatch, world: World) -> None:
    for module in (delivering, beat, lane):
        monkeypatch.setattr(module, "reached", world.reached)
    monkeypatch.setattr(check, "BACKEND_WAIT_S", 900)  # fewer looks in an hour of outage
