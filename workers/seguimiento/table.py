"""The whole agenda (`GET /cita`): the only way to see other patients' visits. Slow, so it is fetched once for many.

One fetch at a time; whoever waits for it takes what it brought. Never fetched for a message, only for free times, for
bookings and for reminders.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from workers.seguimiento.api import Api
from workers.seguimiento.clock import Clock
from workers.seguimiento.rows import Visit, read_visit

KEEP_S = 60.0
TIMEOUT_S = 60.0  # megabytes, and slower when others ask too


@dataclass(frozen=True)
class Page:
    """What one fetch brought. `began`: when it was asked for, by the table's clock."""

    began: float
    visits: list[Visit]
    skipped: int  # rows that could not be read


class Table:
    """Safe for threads."""

    def __init__(self, api: Api, clock: Clock, now: Callable[[], float] = time.monotonic) -> None:
        self._api, self._clock, self._now = api, clock, now
        self._lock = threading.Lock()
        self._page: Page | None = None

    def visits(self, max_age_s: float = KEEP_S) -> Page:
        """The agenda as it was at most so long ago; 0: as it is now. Raises as a read does."""
        oldest = self._now() - max_age_s
        with self._lock:
            if self._page is None or self._page.began < oldest:
                self._page = self._fetch()
            return self._page

    def forget(self) -> None:
        """Something was written: what is kept is not true any more."""
        with self._lock:
            self._page = None

    def _fetch(self) -> Page:
        began = self._now()
        found = [read_visit(row, self._clock) for row in self._api.get_list("/cita", timeout_s=TIMEOUT_S)]
        return Page(began, [visit for visit in found if visit], found.count(None))
