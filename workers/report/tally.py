"""What the two tallies of a day share: counters by group, and the tables that say which event does what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, ClassVar

from shared.state.audit import Record

Step = Callable[[Any, Record], None]
ARRIVED = {"sent": 1, "delivered": 2, "read": 3, "played": 3}  # statuses of Meta, in their order


class Tally:
    """Takes records in order."""

    on_the_day: ClassVar[dict[str, Step]] = {}  # event -> method: it counts on the day it happens
    whenever: ClassVar[dict[str, Step]] = {}  # it settles what began on the day, also after midnight

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()

    def take(self, record: Record, *, in_day: bool) -> None:
        """Count one record; `in_day` False: it happened after the day."""
        if in_day and (step := self.on_the_day.get(record.event)):
            step(self, record)
        if step := self.whenever.get(record.event):
            step(self, record)

    def count(self, group: str, name: object, by: int = 1) -> None:
        self.counts[group, str(name)] += by

    def one(self, name: str) -> int:
        """A counter of the group `one`."""
        return self.counts["one", name]

    def group(self, group: str) -> dict[str, int]:
        """The counters of a group, the largest first."""
        found = {name: n for (of, name), n in self.counts.items() if of == group}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))
