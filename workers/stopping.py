"""A worker ends within its container's stop time, whatever hangs. Built and started by `workers.app` at SIGTERM.

Celery's warm shutdown lets what is in hand finish, for as long as that takes. Nearly always that is seconds; but a
partner that sends a byte now and then, a name server or a disk that hangs would hold it until the engine's SIGKILL.
After `WITHIN_S` the process says what it leaves behind and ends by itself: leases run out, another worker repeats it.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import threading

from workers.services import DELIVERIES_AT_ONCE, REMINDERS_AT_ONCE, TURNS_AT_ONCE, Services

log = logging.getLogger(__name__)

WITHIN_S = 75.0  # less than stop_grace_period in compose.yaml and terminationGracePeriodSeconds in deploy/kubernetes
LEFT_BEHIND = 75  # exit code, EX_TEMPFAIL: something was left to its lease


class LastResort:
    """A daemon thread that ends the process when the warm shutdown has not."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._thread = threading.Thread(target=self._end, name="last-resort", daemon=True)

    def start(self) -> None:
        """Begin to count; a second SIGTERM changes nothing. It never stands in the way of an end in time."""
        if self._thread.ident is None:
            self._thread.start()

    def _end(self) -> None:
        threading.Event().wait(WITHIN_S)
        services = self._services
        log.error(
            "what is in hand does not end: it is left to its leases",
            extra={
                "after_s": WITHIN_S,
                "turns": TURNS_AT_ONCE - services.turns.free,
                "deliveries": DELIVERIES_AT_ONCE - services.deliveries.free,
                "reminders": REMINDERS_AT_ONCE - services.reminders.free,
            },
        )
        faulthandler.dump_traceback(sys.__stderr__ or sys.stderr)  # where each thread stands: names of code, no values
        os._exit(LEFT_BEHIND)
