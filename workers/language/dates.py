"""Which day and hour a patient means, and which they want to leave behind when they move a visit (rules R1-R13).

Called by `slots` and by the check of the model's own spans. Pure and deterministic: "now" is passed in.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from shared.prediction import TimeWindow
from workers.language.calendar_math import next_day_number
from workers.language.calendar_words import Day
from workers.language.clocks import Clock, bare_hour, mask
from workers.language.day_parts import Window
from workers.language.mentions import (
    CHANGE,
    Mention,
    Role,
    find_mentions,
    gives_up_one_visit_for_another,
    opening_words,
)
from workers.language.numbers import Line, read_line


@dataclass(frozen=True)
class When:
    """What a message says about time. Spans are the patient's own words; `conflict` means the words contradict.

    `old_date` and `old_time` are the visit to be moved and are filled only in a message that asks to move one.
    """

    date: dt.date | None = None
    time: str | None = None
    window: TimeWindow | None = None
    old_date: dt.date | None = None
    old_time: str | None = None
    date_span: str | None = None
    time_span: str | None = None
    old_date_span: str | None = None
    old_time_span: str | None = None
    conflict: bool = False


_CORRECTION = re.compile(r"\b(?:no|mejor|perdon|digo|corrijo|disculpe|me equivoque|mas bien|o sea|sino)\b")
_ALTERNATIVE = re.compile(r"\b(?:o|u|si no|sino hay|tal vez|hasta|al|a)\b")


def resolve(text: str, now: dt.datetime, *, expects: str | None = None, moving: bool = False) -> When:
    """Read dates and times out of a patient's message.

    Args:
        text: the message, or the model's span of it.
        now: when the patient wrote, timezone-aware, in the clinic's zone.
        expects: the datum just asked for ("fecha", "hora"), so that a bare "10" can be read; None outside a flow.
        moving: known to ask for a visit to be moved, in whatever words.
    """
    today = now.date()
    line = read_line(text)
    moving = moving or CHANGE.search(line.text) is not None
    mentions = find_mentions(line, today, moving)
    moving = moving or gives_up_one_visit_for_another(line.text, mentions)
    mentions = [mention for mention in mentions if mention.role is not Role.NEITHER] or mentions
    mentions = _leave_the_first(mentions) if moving else mentions
    fresh = [mention for mention in mentions if mention.role is not Role.OLD]
    old = [mention for mention in mentions if mention.role is Role.OLD]
    if not moving:
        # "el lunes no puedo ir" names the visit to cancel; but as the answer to "which day?" it only rules Monday out.
        if expects != "fecha" and not any(isinstance(mention.what, Day) for mention in fresh):
            fresh = mentions
        elif not any(isinstance(mention.what, Clock) for mention in fresh):
            fresh = sorted([*fresh, *(mention for mention in old if isinstance(mention.what, Clock))])
        old = []
    found = _fill(line, fresh, old, today)
    if found.date is None and found.time is None and not found.conflict:
        return _bare_number(line, found, today, expects)
    return found


def _leave_the_first(mentions: list[Mention]) -> list[Mention]:
    """A day named before the one wished for is the visit's: "la cita que es el jueves la quiero pasar al martes"."""
    days = [mention for mention in mentions if isinstance(mention.what, Day)]
    roles = [day.role for day in days]
    if len(days) != 2 or roles != [Role.OPEN, Role.NEW]:
        return mentions
    return [mention._replace(role=Role.OLD) if mention is days[0] else mention for mention in mentions]


def without_times(text: str, now: dt.datetime) -> str:
    """Return the normalised words of a text that are no part of a date or time, to see what else was said."""
    line = read_line(text)
    rest = line.text
    for mention in find_mentions(line, now.date(), CHANGE.search(rest) is not None):
        rest = mask(rest, mention.start, mention.end)
    return " ".join(word for word in rest.split() if word.isalpha())


def _fill(line: Line, fresh: list[Mention], old: list[Mention], today: dt.date) -> When:
    day = _choose(line.text, fresh, Day)
    clock = _choose(line.text, fresh, Clock)
    window = _choose(line.text, fresh, Window)
    old_day = _choose(line.text, old, Day)
    old_clock = _choose(line.text, old, Clock)
    part = window.what.window if window and isinstance(window.what, Window) else None
    if part and clock is None and _is_open(fresh, line.text):
        part = None
    date = day.what.date if day and isinstance(day.what, Day) else None
    if day is None and window and isinstance(window.what, Window) and window.what.today:
        date, day = today, window
    return When(
        date=date,
        time=clock.what.value(part) if clock and isinstance(clock.what, Clock) else None,
        window=part if clock is None else None,
        old_date=old_day.what.date if old_day and isinstance(old_day.what, Day) else None,
        old_time=old_clock.what.value() if old_clock and isinstance(old_clock.what, Clock) else None,
        date_span=line.original(day.start, day.end) if day and date else None,
        time_span=line.original(clock.start, clock.end) if clock else None,
        old_date_span=line.original(old_day.start, old_day.end) if old_day else None,
        old_time_span=line.original(old_clock.start, old_clock.end) if old_clock else None,
        conflict=day is not None and date is None,
    )


def _choose(text: str, mentions: list[Mention], kind: type) -> Mention | None:
    """Return the mention that counts: the last one (rule R13), but the first of a choice or a range (rule R11)."""
    chosen: Mention | None = None
    for mention in mentions:
        if not isinstance(mention.what, kind):
            continue
        if chosen is None:
            chosen = mention
            continue
        between = text[chosen.end : mention.start]
        opening = opening_words(text[mention.start : mention.end]) if kind is Clock else ""
        if _CORRECTION.search(between + opening) or not _ALTERNATIVE.search(between + opening.split(" las")[0]):
            chosen = mention
    return chosen


def _is_open(mentions: list[Mention], text: str) -> bool:
    """Tell whether two parts of the day were offered ("en la mañana o en la tarde"): then none was chosen."""
    windows = [mention for mention in mentions if isinstance(mention.what, Window)]
    return len(windows) == 2 and text[windows[0].end : windows[1].start].strip() in {"o", "u", "o bien"}


def _bare_number(line: Line, found: When, today: dt.date, expects: str | None) -> When:
    if expects == "hora":
        hour = bare_hour(line.text)
        if hour is not None:
            return When(time=hour, time_span=line.source.strip())
    if expects == "fecha":
        number = re.fullmatch(r"(?:(?:si|ya|bueno|mejor|,) )*(\d{1,2})(?: (?:por favor|nomas|pues|,|\.))*", line.text)
        date = next_day_number(today, int(number.group(1))) if number else None
        if date is not None:
            return When(date=date, date_span=line.source.strip())
    return found
