"""Two years of days and a plain calendar to compare the resolver with. Used by the property tests."""

from __future__ import annotations

import calendar
import datetime as dt

from tests.workers.language.conftest import LA_PAZ
from workers.language.dates import When, resolve

DAY = dt.timedelta(days=1)
TWO_YEARS = [dt.date(2027, 1, 1) + n * DAY for n in range(731)]  # with 29 February 2028
WEEKDAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
MONTHS = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split()
NOON = dt.time(12)
LAST_MINUTE, MIDNIGHT = dt.time(23, 59), dt.time(0, 0)


def said(text: str, today: dt.date, time: dt.time = NOON) -> When:
    return resolve(text, dt.datetime.combine(today, time, tzinfo=LA_PAZ))


def wrong(frame: str, expected: dict[dt.date, tuple[str, dt.date | None]]) -> list[str]:
    """The days on which a text is read otherwise than the calendar says."""
    found = []
    for today, (words, date) in expected.items():
        when = said(frame.format(words), today)
        if when.date != date:
            found.append(f"{today} {frame.format(words)!r}: {when.date}, not {date}")
    return found


def next_day(today: dt.date, weekday: int) -> dt.date:
    return next(today + n * DAY for n in range(1, 8) if (today + n * DAY).weekday() == weekday)


def nearest_number(today: dt.date, number: int) -> dt.date:
    return next(today + n * DAY for n in range(70) if (today + n * DAY).day == number)


def months_later(today: dt.date, count: int) -> dt.date:
    year, month = divmod(today.year * 12 + today.month - 1 + count, 12)
    return dt.date(year, month + 1, min(today.day, calendar.monthrange(year, month + 1)[1]))
