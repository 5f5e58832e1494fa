"""A worker's start and end: settings -> services -> tasks. Run: celery -A workers.app worker

The worker consumes from its first second: danger signs, BAJA and deliveries need no model, which loads meanwhile.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Any

from celery import Celery, bootsteps
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutdown, worker_shutting_down

from shared import logs, setting_changes, tracing
from shared.celery_app import Role, create_celery
from shared.errors import AssistantError
from shared.settings import CONFIG_ERROR, ProcessRole, Settings, load
from workers import canary, migrate
from workers import services as wiring
from workers.stopping import LastResort
from workers.sweeper import Sweeper, Vitals
from workers.tasks import register

log = logging.getLogger(__name__)


def create_worker(settings: Settings) -> Celery:
    """Build the Celery application of a worker; threads start with the worker, not with the import."""
    celery = create_celery(settings, Role.WORKER)
    services = wiring.build(settings, celery)
    must_be_heard(services)
    vitals = Vitals()
    register(celery, services, vitals)
    sweeper = Sweeper(services, vitals, services.name)
    last_resort = LastResort(services)

    class Tick(bootsteps.StartStopStep):  # type: ignore[misc]
        """Notes every second that the consumer's event loop goes round: it stands still when the broker is gone."""

        requires = {"celery.worker.components:Timer"}  # noqa: RUF012

        def start(self, worker: Any) -> None:
            self.timer = worker.timer.call_repeatedly(1.0, lambda: setattr(vitals, "ticked_at", time.monotonic()))

        def stop(self, worker: Any) -> None:
            self.timer.cancel()

    celery.steps["worker"].add(Tick)

    @setup_logging.connect(weak=False)
    def configure_logs(**_: Any) -> None:
        logs.setup(settings.LOG_LEVEL, settings.LOG_DIR, "worker")

    @worker_init.connect(weak=False)
    def bring_the_store_up_to_date(**_: Any) -> None:
        configure_logs()
        setting_changes.warn()
        migrate.at_start(services.client)

    @worker_ready.connect(weak=False)
    def begin(**_: Any) -> None:
        tracing.setup("worker", settings)
        wiring.start(services)
        sweeper.start()
        canary.begin(services)
        services.background.submit(look_around, services, vitals)
        log.info("worker ready", extra={"alert_channels": services.alerts.channels()})

    @worker_shutting_down.connect(weak=False)
    def finish_what_is_in_hand(**_: Any) -> None:
        services.stopping.set()
        last_resort.start()

    @worker_shutdown.connect(weak=False)
    def end(**_: Any) -> None:
        sweeper.close()
        wiring.close(services)
        tracing.close()

    return celery


def look_around(services: wiring.Services, vitals: Vitals) -> None:
    """Say what the appointments backend can do, in the log and in the heartbeat; once, nobody waits for it."""
    try:
        vitals.agenda = services.appointments.look_around()
    except AssistantError as error:
        vitals.agenda = {"unreachable": type(error).__name__}
    if vitals.agenda:
        log.info("appointments backend", extra={"agenda": vitals.agenda})


def must_be_heard(services: wiring.Services) -> None:
    """End the process with a sentence when no danger alert could reach staff; the demo may go without."""
    if services.settings.DEMO or services.alerts.channels():
        return
    print(
        "No channel can carry a danger alert, this appointments backend takes none: set SMTP_HOST with "
        "ALERT_EMAIL_FROM and ALERT_EMAIL_TO, or SLACK_WEBHOOK_URL, and let ALERT_LADDER begin with it.",
        file=sys.stderr,
    )
    raise SystemExit(CONFIG_ERROR)


app = create_worker(load(ProcessRole.WORKER))
