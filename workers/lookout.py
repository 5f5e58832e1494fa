"""Danger does not wait for the broker: a thread of every worker looks itself for messages that no bell has brought yet.

Under load a doorbell waits for seconds, because Celery's consumer shares the cores with the model and stands behind the
bells of others. Redis knows who was not searched. The fixed reply is sent by the process that raised the alarm, not
rung for; a bell that comes later finds nothing left to do. Called by `workers.sweeper` and `workers.tasks`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from shared.state import sweep
from workers.deliver import deliver
from workers.services import Services
from workers.triage import triage

log = logging.getLogger(__name__)

LOOK_S = 0.1
AT_ONCE = 100


def look(services: Services) -> int:
    """Have everybody searched whose bell is late; returns how many."""
    patients = sweep.take_fresh(services.client, at_most=AT_ONCE)
    if patients:
        services.searches.submit(_logged, search, services, patients)
    return len(patients)


def search(services: Services, patients: Sequence[str]) -> None:
    """Search these patients' new messages, and send at once what answers a danger sign."""
    triage(services, patients, lambda patient: services.urgent.submit(_logged, deliver, services, patient, "urgent"))


def _logged(work: Callable[..., object], *args: object) -> None:
    """A thread of a pool tells nobody of its errors. Nothing is lost by one: the sweep comes back to it."""
    try:
        work(*args)
    except Exception:
        log.exception("danger is looked at again")
