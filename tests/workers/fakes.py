"""Fakes at the edge of the world, and a worker's Services around them on a real Redis."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import redis

from shared.alerts.watch import Watch
from shared.celery_app import TaskName
from shared.conversation import Appointment, PatientRecord
from shared.errors import AssistantError
from shared.identity import candidate_ids, message_id
from shared.messages import Identity, Message
from shared.metrics import Metrics
from shared.settings import Settings
from shared.state import inbox
from shared.state.inbox import Arrival
from shared.state.leases import Leases
from shared.texts import Texts
from workers.deliver import deliver
from workers.drain import drain
from workers.known import build_known
from workers.services import Services
from workers.triage import triage

NUMBER = "59170000001"


@dataclass
class FakeWhatsApp:
    """Records bodies; `errors` are raised one by one instead of sending."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    errors: list[AssistantError] = field(default_factory=list)
    marked: list[str] = field(default_factory=list)  # read

    def send(self, body: dict[str, Any]) -> str:
        if self.errors:
            raise self.errors.pop(0)
        self.bodies.append(body)
        return f"wamid.{len(self.bodies)}"

    def mark_read(self, wamid: str, typing: bool = True) -> bool:
        self.marked.append(wamid)
        return True


@dataclass
class FakeAppointments:
    """An agenda in memory; `errors` are raised one by one by the reads, `write_errors` by the writes."""

    visits: list[Appointment] = field(default_factory=list)
    errors: list[AssistantError] = field(default_factory=list)
    write_errors: list[AssistantError] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)

    def patient(self, phone: str) -> PatientRecord:
        if self.errors:
            raise self.errors.pop(0)
        return PatientRecord(registered=True, name="Rosa Mamani")

    def of_patient(self, phone: str) -> list[Appointment]:
        return list(self.visits)

    def free_slots(self, date: dt.date) -> list[dt.datetime]:
        return []

    def schedule(self, phone: str, start: dt.datetime, reason: str | None, name: str | None, key: str) -> Appointment:
        if self.write_errors:
            raise self.write_errors.pop(0)
        if key not in self.keys:
            self.keys.append(key)
            self.visits.append(Appointment(id="a1", ref="CC-0001", start=start, status="scheduled", phone=phone))
        return self.visits[-1]


@dataclass
class FakeAlerts:
    """Staff: whether a danger alert is accepted, and what was told."""

    accepts: bool = True
    dangers: list[tuple[str, str, str]] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    def danger(self, category: str, level: str, at: dt.datetime, patient_ref: str, *, alarm_id: str = "") -> bool:
        self.dangers.append((str(category), str(level), patient_ref))
        return self.accepts

    def incident(self, kind: str, detail: str) -> bool:
        self.incidents.append(kind)
        return True

    def resolve(self, kind: str) -> bool:
        self.resolved.append(kind)
        return False


@dataclass
class FakeModel:
    """No model: `state` says why."""

    state: str = "failed"
    info: None = None

    def reader_or_none(self) -> None:
        return None


@dataclass
class Bells:
    """Stands for Celery: notes which doorbells were rung."""

    rung: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)

    def send_task(self, name: str, args: tuple[Any, ...], queue: str) -> None:
        self.rung.append((name, args))

    def of(self, task: TaskName) -> list[tuple[Any, ...]]:
        return [args for name, args in self.rung if name == task]


class Clinic:
    """One patient and one worker, driven by hand: `says`, then `triage`, `drain`, `deliver`."""

    def __init__(self, settings: Settings, client: redis.Redis) -> None:
        self.settings, self.client = settings, client
        self.whatsapp, self.agenda, self.alerts = FakeWhatsApp(), FakeAppointments(), FakeAlerts()
        self.model, self.bells = FakeModel(), Bells()
        self.clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
        self.patient = candidate_ids(settings.patient_id_key, Identity(number=NUMBER))[0]
        self.services = self.worker()
        self._written = 0

    def worker(self) -> Services:
        """Another worker on the same Redis, with the same world around it."""
        texts = Texts.load(self.settings)
        return Services(
            settings=self.settings,
            client=self.client,
            celery=self.bells,  # type: ignore[arg-type]
            leases=Leases(self.client),
            metrics=Metrics(self.client),
            alerts=self.alerts,  # type: ignore[arg-type]
            watch=Watch(self.alerts, self.client, self.settings, tells_redis_down=True),  # type: ignore[arg-type]
            texts=texts,
            known=build_known(self.settings, texts),
            appointments=self.agenda,  # type: ignore[arg-type]
            whatsapp=self.whatsapp,  # type: ignore[arg-type]
            model=self.model,  # type: ignore[arg-type]
            background=ThreadPoolExecutor(2),
            alarms=ThreadPoolExecutor(2),
            now=lambda: self.clock(),
        )

    def says(self, text: str, **fields: Any) -> str:
        """A message in the inbox; returns its id."""
        self._written += 1
        now = dt.datetime.now(dt.UTC)
        message = Message(
            **{"id": message_id(b"k", str(self._written)), "text": text, "at": now, "received_at": now, **fields}
        )
        identity = Identity(number=NUMBER)
        arrival = Arrival(message, identity, candidate_ids(self.settings.patient_id_key, identity))
        inbox.accept(
            self.client,
            [arrival],
            burst_ms=self.settings.BURST_WAIT_MS,
            limit_per_minute=self.settings.RATE_LIMIT_PER_MINUTE,
        )
        return message.id

    def triage(self) -> None:
        triage(self.services, [self.patient])

    def drain(self, services: Services | None = None) -> None:
        drain(services or self.services, self.patient)

    def deliver(self, lane: str = "normal") -> None:
        deliver(self.services, self.patient, lane)

    def answered(self) -> list[str]:
        """Drain and deliver; the texts that the patient has received so far."""
        self.drain()
        self.deliver("urgent")
        self.deliver("normal")
        return self.received()

    def received(self) -> list[str]:
        return [
            b["text"]["body"] if b["type"] == "text" else b["interactive"]["body"]["text"] for b in self.whatsapp.bodies
        ]

    def left(self) -> int:
        return int(self.client.llen(f"inbox:{self.patient}"))

    def end_delay(self) -> None:
        """Let the waiting time after a failure run out."""
        self.client.delete(f"delay:{self.patient}")
