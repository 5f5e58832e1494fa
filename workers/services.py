"""Services: every side effect that a worker can have, in one list, passed to each function by name."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime

import redis
from celery import Celery

from shared.alerts import Alerts
from shared.alerts.watch import Probe, Watch
from shared.celery_app import QUEUE_OF_TASK, Role, TaskName, create_celery
from shared.metrics import Metrics
from shared.settings import Settings
from shared.state import store
from shared.state.leases import Leases
from shared.texts import Texts
from workers.agenda import Agenda
from workers.appointments import build_appointments
from workers.dialogue.decision import Known
from workers.known import build_known
from workers.late import LateDeliveries
from workers.model.holder import ModelHolder
from workers.safety.danger import default_rules
from workers.understanding import read_rules
from workers.whatsapp.client import WhatsAppClient

# Of 56 threads: whatever hangs, a model, the backend or Meta, triage and urgent deliveries always find one free.
TURNS_AT_ONCE = 24
DELIVERIES_AT_ONCE = 16
REMINDERS_AT_ONCE = 8
LATE_AT_ONCE = DELIVERIES_AT_ONCE + 8  # threads of their own; more than the normal lane has seats


class Seats:
    """So many may be at work at once; whoever finds no seat goes away instead of waiting."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """How many are free at this moment."""
        return self._free

    def take(self) -> bool:
        with self._lock:
            if self._free == 0:
                return False
            self._free -= 1
            return True

    def leave(self) -> None:
        with self._lock:
            self._free += 1


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Services:
    """Built once at process start (`build`), closed once at its end (`close`)."""

    settings: Settings
    client: redis.Redis
    celery: Celery
    leases: Leases
    metrics: Metrics
    alerts: Alerts
    watch: Watch
    texts: Texts
    known: Known
    appointments: Agenda
    whatsapp: WhatsAppClient
    model: ModelHolder
    background: ThreadPoolExecutor  # read marks: nobody waits for them
    alarms: ThreadPoolExecutor  # danger signs of one doorbell, told to staff side by side
    searches: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8, "search"))  # of late bells
    urgent: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32, "urgent"))  # danger replies
    late: LateDeliveries = field(default_factory=lambda: LateDeliveries(LATE_AT_ONCE))
    turns: Seats = field(default_factory=lambda: Seats(TURNS_AT_ONCE))
    deliveries: Seats = field(default_factory=lambda: Seats(DELIVERIES_AT_ONCE))
    reminders: Seats = field(default_factory=lambda: Seats(REMINDERS_AT_ONCE))
    name: str = field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}")
    stopping: threading.Event = field(default_factory=threading.Event)
    now: Callable[[], datetime] = utc_now

    def ring(self, task: TaskName, *args: object) -> None:
        """Ring one of our own tasks; a failure is left to the sweep."""
        try:
            self.celery.send_task(task, args=args, queue=QUEUE_OF_TASK[task])
        except Exception:
            # Whatever the broker's library raises: the bell is only a bell, what matters is in Redis already.
            self.metrics.count("doorbells_failed_total")


def build(settings: Settings, celery: Celery | None = None) -> Services:
    """Connect a worker's side effects; nothing is contacted yet and no thread runs.

    The rule files are read here: the first message must not wait for them.
    """
    default_rules()
    read_rules("hola", utc_now(), None)
    client = store.connect(settings)
    metrics = Metrics(client)
    texts = Texts.load(settings)
    appointments = build_appointments(settings, client)
    alerts = Alerts(settings, post=appointments.alert if appointments.takes_alerts else None, client=client)
    celery = celery or create_celery(settings, Role.WORKER)
    # Where the broker is the same Redis, `redis_down` tells it all.
    probes = {} if settings.broker_url == settings.redis_url else {"broker_down": broker_probe(celery)}

    def report_model(holder: ModelHolder) -> None:
        if holder.failure is not None:
            alerts.incident("model_failed", str(holder.failure))

    return Services(
        settings=settings,
        client=client,
        celery=celery,
        leases=Leases(client, settings.LEASE_S),
        metrics=metrics,
        alerts=alerts,
        watch=Watch(alerts, client, settings, tells_redis_down=True, probes=probes),
        texts=texts,
        known=build_known(settings, texts, metrics),
        appointments=appointments,
        whatsapp=WhatsAppClient(settings),
        model=ModelHolder(settings, on_change=report_model),
        background=ThreadPoolExecutor(max_workers=4, thread_name_prefix="background"),
        alarms=ThreadPoolExecutor(max_workers=32, thread_name_prefix="alarm"),
    )


def broker_probe(celery: Celery) -> Probe:
    """A look at the broker: one connection, opened and closed; raises what the broker's library raises."""

    def look() -> None:
        with celery.connection_for_read() as connection:
            connection.ensure_connection(max_retries=1, interval_start=0, timeout=2)

    return look


def start(services: Services) -> None:
    """Start the threads: leases, figures, the watch, and the model's loading."""
    if broken := default_rules().broken:
        services.alerts.incident("danger_rules_broken", broken)  # until it is mended every message is an alarm
    services.leases.start()
    services.metrics.start()
    services.watch.start()
    services.model.start()


def close(services: Services) -> None:
    """Stop the threads and write what was noted; the tasks have ended by now."""
    services.model.close()
    services.watch.close()
    services.searches.shutdown(wait=True)
    services.alarms.shutdown(wait=True)
    services.late.close()
    services.urgent.shutdown(wait=True)
    services.background.shutdown(wait=True, cancel_futures=True)
    services.alerts.wait(2)
    services.whatsapp.close()
    services.appointments.close()
    services.metrics.close()
    services.leases.close()
