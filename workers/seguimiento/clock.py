"""What the backend's times mean (pure). It stores them without a zone, and two conventions live in its table.

`wall`: the centre's clock with a false Z, as the old assistant writes ("10:00 in the centre" is `T10:00:00.000Z`).
`instant`: true instants. Midnight, of either clock, means "this day, no hour".
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

Convention = Literal["instant", "wall"]
_MIDNIGHT = dt.time()


@dataclass(frozen=True)
class Moment:
    """When a visit is: aware, in the centre's zone. Without an hour `start` is the midnight that begins its day."""

    start: dt.datetime
    has_hour: bool = True


@dataclass(frozen=True)
class Clock:
    """Reads and writes times as the backend means them."""

    zone: dt.tzinfo
    convention: Convention

    def read(self, text: object) -> Moment | None:
        """A time of the backend; None for anything else, and without offset: it would be a guess."""
        try:
            at = dt.datetime.fromisoformat(text) if isinstance(text, str) else None
        except ValueError:
            return None
        if at is None or at.tzinfo is None:
            return None
        try:
            utc, local = at.astimezone(dt.UTC), at.astimezone(self.zone)
        except OverflowError:
            return None
        for shown in (utc, local):
            if shown.time() == _MIDNIGHT:
                return Moment(dt.datetime.combine(shown.date(), _MIDNIGHT, self.zone), has_hour=False)
        return Moment(local if self.convention == "instant" else utc.replace(tzinfo=self.zone))

    def write(self, at: dt.datetime) -> str:
        """`2026-12-01T14:00:00.000Z`: the one form that no clock of the server changes."""
        shown = at.astimezone(dt.UTC if self.convention == "instant" else self.zone)
        return f"{shown:%Y-%m-%dT%H:%M:%S}.000Z"

    def can_write(self, at: dt.datetime) -> bool:
        """False for an hour that would be read back as another one, or as none."""
        found = self.read(self.write(at))
        return found is not None and found.has_hour and found.start == at

    def read_day(self, text: object) -> dt.date | None:
        """The day of a time, whether it has an hour or not."""
        found = self.read(text)
        return found.start.date() if found else None
