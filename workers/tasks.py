"""Thin Celery tasks: a name, a queue, one call. A doorbell that fails is not repeated: the sweep rings again."""

from __future__ import annotations

import time

from celery import Celery

from shared.celery_app import TaskName
from shared.state import health
from workers import canary
from workers.deliver import deliver
from workers.lookout import search
from workers.onward import answer_while_due
from workers.reminders.beat import follow_up, remind
from workers.report.daily import DailyReport
from workers.services import Services
from workers.sweeper import Vitals, sweep_once


def register(app: Celery, services: Services, vitals: Vitals) -> None:
    """Give the application its tasks, bound to this process's services."""
    daily_report = DailyReport(services)

    @app.task(name=TaskName.TRIAGE)
    def ring_triage(patients: list[str]) -> None:
        vitals.consumed_at = time.monotonic()
        search(services, patients)

    @app.task(name=TaskName.DRAIN_INBOX)
    def ring_drain(patient: str) -> None:
        vitals.consumed_at = time.monotonic()
        answer_while_due(services, patient)

    @app.task(name=TaskName.DELIVER_OUTBOX)
    def ring_deliver(patient: str, lane: str) -> None:
        vitals.consumed_at = time.monotonic()
        deliver(services, patient, lane)

    @app.task(name=TaskName.DELIVER_REMINDER)
    def ring_deliver_reminder(patient: str) -> None:
        vitals.consumed_at = time.monotonic()
        deliver(services, patient, "reminder")

    @app.task(name=TaskName.REMIND)
    def ring_remind() -> None:
        remind(services)

    @app.task(name=TaskName.FOLLOW_UP)
    def ring_follow_up() -> None:
        follow_up(services)

    @app.task(name=TaskName.CANARY)
    def ring_canary() -> None:
        canary.launch(services)

    @app.task(name=TaskName.REPORT)
    def ring_report() -> None:
        daily_report.ring()

    @app.task(name=TaskName.SWEEP)
    def ring_sweep() -> None:
        health.note_pulse(services.client, health.BEAT)
        sweep_once(services)

    @app.task(name=TaskName.PULSE)
    def pulse(queue: str) -> None:
        vitals.consumed_at = time.monotonic()
        health.note_pulse(services.client, queue)
