"""What runs when: one table, by task name. Every entry may run twice or late without harm."""

from __future__ import annotations

from typing import Any

from shared.celery_app import QUEUE_OF_TASK, TaskName

SCHEDULE: dict[str, dict[str, Any]] = {
    # Every worker sweeps by itself ten times a second; this one also finds a worker whose sweeping thread died.
    "sweep": {
        "task": TaskName.SWEEP.value,
        "schedule": 10.0,
        "options": {"queue": QUEUE_OF_TASK[TaskName.SWEEP].value, "expires": 30},
    },
}
