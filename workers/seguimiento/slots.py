"""Which times can be booked (pure). The backend checks nothing, so hours, past and places are decided here."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.setting_values import OpeningHours, parse_opening_hours
from shared.settings import Settings
from workers.seguimiento.clock import Clock
from workers.seguimiento.rows import Visit

OFFERED = 3
_DAYS_BEFORE, _DAYS_AFTER = 7, 30  # searched for other times


@dataclass(frozen=True)
class Slots:
    """The rules of the centre: opening hours, length of a slot, patients per slot."""

    hours: OpeningHours
    length: dt.timedelta
    capacity: int
    clock: Clock

    @classmethod
    def of(cls, settings: Settings) -> Slots:
        return cls(
            hours=parse_opening_hours(settings.OPENING_HOURS),
            length=dt.timedelta(minutes=settings.SLOT_MINUTES),
            capacity=settings.SLOT_CAPACITY,
            clock=Clock(settings.timezone, settings.SEGUIMIENTO_CLOCK),
        )

    def of_day(self, day: dt.date) -> Iterator[dt.datetime]:
        """All times of a day, in order. An hour that the backend could not keep is left out."""
        for opens, closes in self.hours.get(day.weekday(), ()):
            at, end = dt.datetime.combine(day, opens), dt.datetime.combine(day, closes)
            while at + self.length <= end:
                start = at.replace(tzinfo=self.clock.zone)
                if self.clock.can_write(start):
                    yield start
                at += self.length

    def slot_of(self, start: dt.datetime) -> dt.datetime | None:
        """The slot that holds this time; None when the centre is closed then."""
        local = start.astimezone(self.clock.zone)
        times = self.of_day(local.date())
        return next((slot for slot in times if slot <= local < slot + self.length), None)

    def taken(self, visits: Iterable[Visit]) -> Counter[dt.datetime]:
        """How many places of each slot are taken. A visit without hour takes none."""
        days: dict[dt.date, list[dt.datetime]] = {}
        found: Counter[dt.datetime] = Counter()
        for visit in visits:
            if visit.is_live and visit.when.has_hour:
                at = visit.when.start
                times = days.get(at.date())
                if times is None:
                    times = days[at.date()] = list(self.of_day(at.date()))
                found.update(slot for slot in times if slot <= at < slot + self.length)
        return found

    def free(self, day: dt.date, visits: Iterable[Visit], now: dt.datetime) -> list[dt.datetime]:
        """The times of a day that can still be booked."""
        taken = self.taken(visit for visit in visits if visit.when.start.date() == day)
        return [slot for slot in self.of_day(day) if slot > now and taken[slot] < self.capacity]

    def why_not(self, start: dt.datetime, visits: Iterable[Visit], now: dt.datetime) -> str | None:
        """Why a time cannot be booked: past, closed, slot_taken; None when it can."""
        if start <= now:
            return "past"
        if self.slot_of(start) != start:
            return "closed"
        return "slot_taken" if self.taken(visits)[start] >= self.capacity else None

    def nearest(self, wanted: dt.datetime, visits: list[Visit], now: dt.datetime) -> tuple[dt.datetime, ...]:
        """The free times nearest to `wanted`, soonest first."""
        wanted = max(wanted, now).astimezone(self.clock.zone)
        taken = self.taken(visits)
        days = (wanted.date() + dt.timedelta(days=n) for n in range(-_DAYS_BEFORE, _DAYS_AFTER))
        free = (slot for day in days for slot in self.of_day(day) if slot > now and taken[slot] < self.capacity)
        return tuple(sorted(sorted(free, key=lambda slot: abs(slot - wanted))[:OFFERED]))

    def came_too_late(self, mine: Visit, visits: Iterable[Visit]) -> bool:
        """Whether others had the slot before: staff booked it in the same moment."""
        slot = self.slot_of(mine.when.start)
        others = [
            visit
            for visit in visits
            if visit.id != mine.id and visit.is_live and visit.when.has_hour and self.slot_of(visit.when.start) == slot
        ]
        return sum((o.created_at, o.id) < (mine.created_at, mine.id) for o in others) >= self.capacity
