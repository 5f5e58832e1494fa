"""What runs when: one table, by task name. Every entry may run twice or late without harm."""

from __future__ import annotations

from typing import Any

from celery.schedules import crontab

from shared.celery_app import QUEUE_OF_TASK, TaskName
from shared.settings import Settings

SCHEDULE: dict[str, dict[str, Any]] = {
    # Every worker sweeps by itself ten times a second; this one also finds a worker whose sweeping thread died.
    "sweep": {
        "task": TaskName.SWEEP.value,
        "schedule": 10.0,
        "options": {"queue": QUEUE_OF_TASK[TaskName.SWEEP].value, "expires": 30},
    },
    # At the full hour: visits are at full and half hours. Rung late or twice, each visit is still reminded once.
    "remind": {
        "task": TaskName.REMIND.value,
        "schedule": crontab(minute=0),
        "options": {"queue": QUEUE_OF_TASK[TaskName.REMIND].value, "expires": 3600},
    },
    "follow_up": {
        "task": TaskName.FOLLOW_UP.value,
        "schedule": 600.0,
        "options": {"queue": QUEUE_OF_TASK[TaskName.FOLLOW_UP].value, "expires": 600},
    },
    # The task knows whether it is time and whether it was sent: from seven o'clock on, once a day.
    "report": {
        "task": TaskName.REPORT.value,
        "schedule": 600.0,
        "options": {"queue": QUEUE_OF_TASK[TaskName.REPORT].value, "expires": 300},
    },
}


def schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """The table, with what the settings switch on."""
    if not settings.CANARY_MINUTES:
        return SCHEDULE
    period_s = settings.CANARY_MINUTES * 60
    options = {"queue": QUEUE_OF_TASK[TaskName.CANARY].value, "expires": period_s}
    return SCHEDULE | {"canary": {"task": TaskName.CANARY.value, "schedule": period_s, "options": options}}
