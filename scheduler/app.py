"""Celery Beat's entry point, and Flower's.

Run: celery -A scheduler.app beat
     celery -A scheduler.app flower       (port 5555; asks for a password outside the demo)
"""

from __future__ import annotations

import os
import sys

from celery import Celery
from celery.signals import after_task_publish

from scheduler.schedule import schedule
from shared import logs, setting_changes
from shared.alive import BEAT_RANG
from shared.celery_app import Role, create_celery
from shared.settings import CONFIG_ERROR, ProcessRole, Settings, load


def create_app(settings: Settings) -> Celery:
    """The Celery application with the schedule; it knows task names, not tasks."""
    celery = create_celery(settings, Role.BEAT)
    beat_file = BEAT_RANG.with_name("schedule")
    beat_file.parent.mkdir(parents=True, exist_ok=True)
    celery.conf.update(
        beat_schedule=schedule(settings), beat_schedule_filename=str(beat_file), beat_max_loop_interval=5
    )
    after_task_publish.connect(lambda **_: BEAT_RANG.touch(), weak=False)  # the broker took it: see shared.alive
    return celery


# Flower only looks: what it could change is nobody's task there. It keeps nothing over a restart: the history of
# messages is in the audit and in Prometheus. It enables task events on the workers by itself.
FLOWER_OPTIONS = {
    "FLOWER_READ_ONLY": "true",
    "FLOWER_PERSISTENT": "false",
    "FLOWER_MAX_TASKS": "10000",
    "FLOWER_PURGE_OFFLINE_WORKERS": "86400",  # seconds; each start of a worker has a name of its own
}


def guard_flower(settings: Settings) -> None:
    """Flower shows queues to whoever reaches it: outside the demo it does not start without a password."""
    from flower.views import monitor
    from tornado.web import authenticated

    for name, value in FLOWER_OPTIONS.items():
        os.environ.setdefault(name, value)
    monitor.Metrics.get = authenticated(monitor.Metrics.get)  # Flower itself leaves /metrics open to everybody
    if settings.FLOWER_BASIC_AUTH:
        # Not setdefault: an empty line of .env is in the environment while the password comes from a secret file.
        os.environ["FLOWER_BASIC_AUTH"] = settings.FLOWER_BASIC_AUTH.get_secret_value()
    elif not settings.DEMO:
        print("Set FLOWER_BASIC_AUTH=user:password: flower does not start without it.", file=sys.stderr)
        raise SystemExit(CONFIG_ERROR)


_settings = load(ProcessRole.SCHEDULER)
logs.setup(_settings.LOG_LEVEL, _settings.LOG_DIR, "flower" if "flower" in sys.argv else "beat")
setting_changes.warn()
if "flower" in sys.argv:
    guard_flower(_settings)
app = create_app(_settings)
