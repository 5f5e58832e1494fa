"""Settings that are written as words: opening hours, quiet hours, the ladder of contacts (pure).

Checked by `shared.settings` at start and read again where they are used.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

# Monday is 0. A day that is missing is closed.
OpeningHours = dict[int, tuple[tuple[dt.time, dt.time], ...]]
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def parse_opening_hours(text: str) -> OpeningHours:
    """Read `mon-fri 08:00-12:00 14:00-18:00; sat 08:00-12:00` into ranges by weekday.

    Raises:
        ValueError: naming the part that cannot be read.
    """
    hours: OpeningHours = {}
    for part in filter(None, (p.strip().lower() for p in text.split(";"))):
        match = re.fullmatch(r"([a-z]{3})(?:-([a-z]{3}))?((?:\s+\d{1,2}:\d{2}-\d{1,2}:\d{2})+)", part)
        if not match or match[1] not in _DAYS or (match[2] or match[1]) not in _DAYS:
            raise ValueError(f"cannot read {part!r}; write for example 'mon-fri 08:00-12:00 14:00-18:00'")
        first, last = _DAYS.index(match[1]), _DAYS.index(match[2] or match[1])
        ranges = []
        for span in match[3].split():
            begin, end = (dt.time.fromisoformat(clock.zfill(5)) for clock in span.split("-"))
            if begin >= end:
                raise ValueError(f"{span!r} ends before it begins")
            ranges.append((begin, end))
        for day in range(first, last + 1):
            hours[day] = tuple(sorted(ranges))
    if not hours:
        raise ValueError("no opening hours given")
    return hours


def parse_quiet_hours(text: str) -> tuple[int, int]:
    """Read `21-7` into (21, 7): from which hour to which nothing is sent unasked; equal hours mean never.

    Raises:
        ValueError: when it is not two hours of a day.
    """
    match = re.fullmatch(r"(\d{1,2})-(\d{1,2})", text.strip())
    if not match or int(match[1]) > 23 or int(match[2]) > 23:
        raise ValueError(f"cannot read {text!r}; write for example '21-7'")
    return int(match[1]), int(match[2])


def is_quiet_hour(hour: int, quiet: tuple[int, int]) -> bool:
    """Tell whether an hour of the centre's clock lies within what `parse_quiet_hours` returned."""
    begin, end = quiet
    return begin <= hour < end if begin <= end else hour >= begin or hour < end


@dataclass(frozen=True)
class Rung:
    """One step of the ladder: so many minutes after the danger sign, these contacts are told."""

    minutes: float
    contacts: tuple[str, ...]  # `email` (ALERT_EMAIL_TO), `slack`, or an e-mail address


def parse_ladder(text: str) -> tuple[Rung, ...]:
    """Read `0 email slack; 10 jefa@example.org; 30 email` into steps in order of time.

    Raises:
        ValueError: naming the step that cannot be read; the first must be at 0 minutes.
    """
    rungs = []
    for part in filter(None, (p.strip() for p in text.split(";"))):
        minutes, *contacts = part.split()
        if not re.fullmatch(r"\d+(\.\d+)?", minutes) or not contacts:
            raise ValueError(f"cannot read {part!r}; write for example '0 email slack; 10 jefa@example.org'")
        if odd := [c for c in contacts if c not in ("email", "slack") and not re.fullmatch(r"[^@\s]+@[^@\s]+", c)]:
            raise ValueError(f"{odd[0]!r} is neither email, slack nor an e-mail address")
        rungs.append(Rung(float(minutes), tuple(contacts)))
    rungs.sort(key=lambda rung: rung.minutes)
    if not rungs or rungs[0].minutes != 0:
        raise ValueError("the first step must be at 0 minutes")
    return tuple(rungs)
