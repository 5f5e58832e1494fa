"""Arithmetic on dates for `calendar_words` and `dates`: nearest weekday, day of the month, months ahead. Pure."""

from __future__ import annotations

import calendar
import datetime as dt


def next_weekday(today: dt.date, weekday: int) -> dt.date:
    """Return the nearest such weekday strictly after `today` (rule R2)."""
    return today + dt.timedelta(days=(weekday - today.weekday() - 1) % 7 + 1)


def weekday_next_week(today: dt.date, weekday: int) -> dt.date:
    """Return that weekday of the Monday-to-Sunday week after the current one (rule R3)."""
    return today + dt.timedelta(days=7 - today.weekday() + weekday)


def next_day_number(today: dt.date, day: int, *, months_ahead: int = 0) -> dt.date | None:
    """Return the nearest date, today included, whose day of the month is `day`; None if there is no such day.

    With `months_ahead` 1 the day is taken in the next month whatever today is.
    """
    if not 1 <= day <= 31:
        return None
    if months_ahead:
        year, month = _month_after(today, months_ahead)
        return date_or_none(year, month, day)
    for ahead in range(3):  # at most one month in a row lacks a day
        candidate = date_or_none(*_month_after(today, ahead), day)
        if candidate is not None and candidate >= today:
            return candidate
    return None


def add_months(today: dt.date, months: int) -> dt.date:
    """Return the same day `months` later, or the last day of that month if it is shorter."""
    year, month = _month_after(today, months)
    return dt.date(year, month, min(today.day, calendar.monthrange(year, month)[1]))


def _month_after(today: dt.date, months: int) -> tuple[int, int]:
    index = today.year * 12 + today.month - 1 + months
    return index // 12, index % 12 + 1


def date_or_none(year: int, month: int, day: int) -> dt.date | None:
    """Return the date, or None if the calendar has no such day (31 November)."""
    try:
        return dt.date(year, month, day)
    except ValueError:
        return None


def next_of_month(today: dt.date, month: int, day: int) -> dt.date | None:
    """Return the nearest such date, today included (rule R6); None if there is no such day."""
    for year in range(today.year, today.year + 9):  # 29 February comes back within eight years
        candidate = date_or_none(year, month, day)
        if candidate is not None and candidate >= today:
            return candidate
        if candidate is None and (month, day) != (2, 29):
            return None
    return None
