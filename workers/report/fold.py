"""From the audit of a day to its figures (pure): one pass, and only what is still open is remembered.

A message belongs to the day on which it was accepted, and with it its turn, its reply and how long that took, even when
they fall into the hours after midnight. Reminders are a cohort too: those sent on the day, and what became of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from shared.state.audit import Record
from workers.report.chats import Chats
from workers.report.figures import DayFigures
from workers.report.reminded import Reminded


def fold(
    records: Iterable[Record],
    day: dt.date,
    zone: dt.tzinfo,
    *,
    burst_ms: int = 0,
    ignore: frozenset[str] = frozenset(),
    until: dt.datetime | None = None,
) -> DayFigures:
    """Count one local day.

    Args:
        records: in order, from the day's first moment on; those after its last settle what was still open.
        day, zone: the clinic's.
        burst_ms: the quiet time that ends a burst: it is no delay.
        ignore: patient ids that are left out (the canary).
        until: up to when records were read, to tell what has waited ten minutes from what has only just come; None:
            long after the day.
    """
    begin, end = bounds(day, zone)
    chats, reminded = Chats(zone, burst_ms / 1000), Reminded()
    for record in records:
        if record.patient in ignore or record.at < begin:
            continue
        in_day = record.at < end
        chats.take(record, in_day=in_day)
        reminded.take(record, in_day=in_day)
    return DayFigures(day=day, **chats.figures(until), **reminded.figures())


def bounds(day: dt.date, zone: dt.tzinfo) -> tuple[dt.datetime, dt.datetime]:
    """First moment of a local day, and of the next."""
    midnight = dt.time(tzinfo=zone)
    return dt.datetime.combine(day, midnight), dt.datetime.combine(day + dt.timedelta(days=1), midnight)
