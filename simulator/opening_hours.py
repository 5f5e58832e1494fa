"""When the clinic receives patients: slots of 30 minutes, Monday to Saturday. Pure; used by `appointments_store`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("America/La_Paz")  # UTC-4, no daylight saving
SLOT = timedelta(minutes=30)
_MORNING, _AFTERNOON = (time(8), time(12)), (time(14), time(18))
_HOURS = dict.fromkeys(range(5), (_MORNING, _AFTERNOON)) | {5: (_MORNING,)}  # Monday is 0; Sunday closed


def slots_of(day: date, closed_days: Collection[date] = ()) -> list[datetime]:
    """Return the starts of all slots of a day, in the clinic's zone; none when it is closed."""
    if day in closed_days:
        return []
    starts: list[datetime] = []
    for opens, closes in _HOURS.get(day.weekday(), ()):
        at, end = datetime.combine(day, opens, ZONE), datetime.combine(day, closes, ZONE)
        while at + SLOT <= end:
            starts.append(at)
            at += SLOT
    return starts


def is_slot(at: datetime, closed_days: Collection[date] = ()) -> bool:
    """Return whether a slot starts at exactly this moment."""
    local = at.astimezone(ZONE)
    return local in slots_of(local.date(), closed_days)


def slots_from(first: date, days: int, closed_days: Collection[date] = ()) -> Iterator[datetime]:
    """Yield the slots of `days` days, in order."""
    for offset in range(days):
        yield from slots_of(first + timedelta(days=offset), closed_days)
