"""Dates in a line: "pasado mañana", "el jueves 26", "4/12", "dentro de dos semanas" (rules R1-R7).

Called by `dates` after clocks and parts of the day were masked. Pure.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import NamedTuple

from workers.language.calendar_math import (
    add_months,
    date_or_none,
    next_day_number,
    next_of_month,
    next_weekday,
    weekday_next_week,
)
from workers.language.clocks import mask
from workers.language.numbers import MONTH_NAMES, WEEKDAY_NAMES

_WEEKDAY = "(?P<weekday>" + "|".join(WEEKDAY_NAMES) + ")"
_MONTH = "(?P<month>" + "|".join((*MONTH_NAMES, "setiembre")) + ")"
_DAY = r"(?P<day>\d{1,2}|primero)"
_NEXT = (
    r"(?:la |esta )?(?:proxima|otra|siguiente|sgte) semana|(?:la )?semana (?:que (?:viene|entra)|"
    r"proxima|entrante|siguiente)"
)
_NEXT_MONTH = r"(?:mes que (?:viene|entra)|(?:proximo|otro|siguiente) mes|mes (?:proximo|entrante|siguiente))"
_THIS_MONTH = r"(?:este mes|mes en curso|presente(?: mes)?|corriente)"
_THINGS = (
    r"(?! (?:por ciento|pastill|kilo|kg|mg|ml|veces|vez|persona|frasco|semana|mes(?:es)?\b|dias|"
    r"anos?\b|bs|bolivianos|horas))"
)


class Day(NamedTuple):
    """A date at `start:end`; `date` None when the words contradict each other or no such day exists.

    `weekday` is set when only a weekday was said (0 Monday), so that "hoy lunes" is not read as next Monday.
    """

    start: int
    end: int
    date: dt.date | None
    weekday: int | None = None
    number_only: bool = False


def find_days(text: str, today: dt.date) -> list[Day]:
    """Return the dates of a masked line in order, pieces of one date ("viernes 27 de noviembre") merged."""
    found: list[Day] = []
    masked = text
    for pattern, read in _PATTERNS:
        for match in pattern.finditer(masked):
            day = read(match, today)
            if day is not None:
                found.append(day)
            masked = mask(masked, match.start(), match.end())
    return _merge(sorted(found), text, today)


def _iso(match: re.Match[str], today: dt.date) -> Day | None:
    return Day(*match.span(), date_or_none(int(match["year"]), int(match["month"]), int(match["day"])))


def _numeric(match: re.Match[str], today: dt.date) -> Day | None:
    day, month, year = int(match["day"]), int(match["month"]), match["year"]
    if "." in match.group() and year is None:
        return None  # 10.30 and 37.5 are not dates
    if match.group() in {"1/2", "1/4", "3/4", "24/7"} and not match.string[: match.start()].endswith(
        ("el ", "del ", "al ")
    ):
        return None  # half a pill; open day and night
    if year is None:
        return Day(*match.span(), next_of_month(today, month, day) if 1 <= month <= 12 else None)
    return Day(*match.span(), date_or_none(int(year) + (2000 if len(year) == 2 else 0), month, day))


def _named(match: re.Match[str], today: dt.date) -> Day | None:
    day = 1 if match["day"] == "primero" else int(match["day"])
    name = "septiembre" if match["month"] == "setiembre" else match["month"]
    month = MONTH_NAMES.index(name) + 1
    if match["year"]:
        year = int(match["year"])
        return Day(*match.span(), date_or_none(year + (2000 if year < 100 else 0), month, day))
    return Day(*match.span(), next_of_month(today, month, day))


def _of_month(match: re.Match[str], today: dt.date) -> Day | None:
    day = 1 if match["day"] == "primero" else int(match["day"])
    return Day(*match.span(), next_day_number(today, day, months_ahead=1 if match["next"] else 0))


def _offset(match: re.Match[str], today: dt.date) -> Day | None:
    count = int(match["count"]) if match["count"].isdigit() else 1
    unit = match["unit"]
    if count > 400:
        return None
    if unit.startswith("di"):
        # Idioms: "ocho días" is a week, "quince días" two.
        return Day(*match.span(), today + dt.timedelta(days={8: 7, 15: 14}.get(count, count)))
    if unit.startswith("semana"):
        return Day(*match.span(), today + dt.timedelta(weeks=count))
    return Day(*match.span(), add_months(today, count))


def _in_eight(match: re.Match[str], today: dt.date) -> Day | None:
    days = 7 if match["count"] == "8" else 14
    if match["weekday"]:
        return Day(*match.span(), next_weekday(today, WEEKDAY_NAMES.index(match["weekday"])) + dt.timedelta(days=days))
    return Day(*match.span(), today + dt.timedelta(days=days))


def _plus(days: int) -> Callable[[re.Match[str], dt.date], Day | None]:
    return lambda match, today: Day(*match.span(), today + dt.timedelta(days=days))


def _weekday_number(match: re.Match[str], today: dt.date) -> Day | None:
    date = next_day_number(today, int(match["day"]))
    agrees = date is not None and date.weekday() == WEEKDAY_NAMES.index(match["weekday"])
    return Day(*match.span(), date if agrees else None)


def _weekday_week(match: re.Match[str], today: dt.date) -> Day | None:
    return Day(*match.span(), weekday_next_week(today, WEEKDAY_NAMES.index(match["weekday"])))


def _weekday_this_week(match: re.Match[str], today: dt.date) -> Day | None:
    date = today + dt.timedelta(days=WEEKDAY_NAMES.index(match["weekday"]) - today.weekday())
    return Day(*match.span(), date if date >= today else None)


def _weekday_after_next(match: re.Match[str], today: dt.date) -> Day | None:
    date = next_weekday(today, WEEKDAY_NAMES.index(match["weekday"]))
    return Day(*match.span(), date + dt.timedelta(days=7))


def _weekday(match: re.Match[str], today: dt.date) -> Day | None:
    weekday = WEEKDAY_NAMES.index(match["weekday"])
    return Day(*match.span(), next_weekday(today, weekday), weekday)


def _number(match: re.Match[str], today: dt.date) -> Day | None:
    day = int(match["day"])
    if not 1 <= day <= 31:
        return None
    return Day(*match.span("day"), next_day_number(today, day), number_only=True)


def _ignore(match: re.Match[str], today: dt.date) -> Day | None:
    return None


_Reader = Callable[[re.Match[str], dt.date], Day | None]
# Tried in this order; what one understood is hidden from the next. `_ignore` hides days that are no appointment day.
_PATTERNS: list[tuple[re.Pattern[str], _Reader]] = [
    (re.compile(pattern), read)
    for pattern, read in (
        (r"(?<!\S)(?P<year>20\d\d)[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})(?!\S)", _iso),
        (
            (
                r"(?<!\S)(?<!presion )(?<!presion de "
                r")(?P<day>\d{1,2})[-/.](?P<month>\d{1,2})(?:[-/.](?P<year>20\d\d|\d\d))?(?!\S)"
            )
            + _THINGS,
            _numeric,
        ),
        (rf"(?<!\S)desde (?:el )?(?:dia )?\d{{1,2}} (?:de )?{_MONTH}(?!\S)", _ignore),
        (
            rf"(?<!\S){_DAY},? (?:de |del )?(?:mes de )?{_MONTH}(?:,? (?:de |del )?(?:ano )?(?P<year>20\d\d))?(?!\S)",
            _named,
        ),
        (rf"(?<!\S){_DAY} (?:(?:de |del )?(?:(?P<next>{_NEXT_MONTH})|{_THIS_MONTH})|del mes)(?!\S)", _of_month),
        (rf"(?<!\S)(?:{_NEXT_MONTH}),? (?:el |dia )+{_DAY}(?P<next>)(?!\S)", _of_month),
        (r"(?<!\S)(?:hace|desde hace|llevo|por) (?:\w+ ){0,2}(?:dias?|semanas?|mes(?:es)?|anos?)(?!\S)", _ignore),
        (
            r"(?<!\S)(?:en|dentro de|de (?:aqui|aca|hoy) (?:a|en)|aqui a|pasando)(?: unos| unas)? "
            r"(?P<count>un|una|1|\d{1,3}) "
            r"(?P<unit>dias?|dii?tas?|diitos?|semanas?|semanitas?|mes|meses|mesecito)(?!\S)"
            r"(?! (?:he |ha |baje|bajo|subi))",
            _offset,
        ),
        (rf"(?<!\S)(?:de )?(?:hoy|{_WEEKDAY}) en (?P<count>8|15)(?: dias)?(?!\S)", _in_eight),
        (r"(?<!\S)pasado (?:el )?manana(?!\S)", _plus(2)),
        (r"(?<=manana o )(?:el )?pasado(?!\S)", _plus(2)),
        (r"(?<!\S)hoy(?: dia| mismo)?(?!\S)", _plus(0)),
        (r"(?<!\S)(?<!la )(?<!las )manana(?: mismo)?(?!\S)", _plus(1)),
        (
            rf"(?<!\S)(?:(?:desde|todos) (?:el |los )?|cada |los |pasado ){_WEEKDAY}(?!\S)(?! (?:que viene|"
            rf"proximo|puedo))|"
            r"(?<!\S)(?:de )?(?:lunes|martes) a (?:viernes|sabado|domingo)(?!\S)",
            _ignore,
        ),
        (rf"(?<!\S){_WEEKDAY} pasado(?!\S)", _ignore),
        (rf"(?<!\S){_WEEKDAY},?(?: de| en| para)? (?:{_NEXT})(?!\S)", _weekday_week),
        (rf"(?<!\S)(?:{_NEXT}),?(?: (?!pas|cambi|mov|muev)[^\s.?]+){{0,3}}? {_WEEKDAY}(?!\S)(?! \d)", _weekday_week),
        (rf"(?<!\S){_WEEKDAY} de esta (?:misma )?semana(?!\S)", _weekday_this_week),
        (rf"(?<!\S)(?:otro|subsiguiente) {_WEEKDAY}(?!\S)", _weekday_after_next),
        (rf"(?<!\S){_WEEKDAY} subsiguiente(?!\S)", _weekday_after_next),
        (
            rf"(?<!\S){_WEEKDAY}(?: que viene| proximo)?,?(?: dia| el|(?: que)? (?:es|cae))* "
            rf"(?P<day>\d{{1,2}})(?!\S){_THINGS}",
            _weekday_number,
        ),
        (rf"(?<!\S)(?:el |dia )(?P<day>\d{{1,2}}),? {_WEEKDAY}(?!\S)", _weekday_number),
        (rf"(?<!\S){_WEEKDAY}(?: que viene| que entra| proximo| entrante| siguiente| mismo)?(?!\S)", _weekday),
        (
            (
                rf"(?<!\S)(?:el|al|del|dia|este)(?: dia| proximo)? (?P<day>\d{{1,2}})(?!\S)"
                rf"(?! y (?:media|cuarto|pico|\d))(?! (?:horas|"
                rf"am|pm)\b){_THINGS}"
            ),
            _number,
        ),
        (r"(?<!\S)(?:que )?sea (?P<day>1[3-9]|2\d|3[01])(?!\S)(?! y )(?! (?:horas|am|pm)\b)", _number),
    )
]

_GLUE = re.compile(r"[\s,]*(?:(?:el|dia|es|o sea|que es|osea|este)[\s,]*)*")


def _merge(days: list[Day], text: str, today: dt.date) -> list[Day]:
    """Join neighbours that name the same day; if they disagree the date is nobody's guess (rule R4)."""
    merged: list[Day] = []
    for day in days:
        before = merged[-1] if merged else None
        glue = text[before.end : day.start] if before else ""
        # "el martes 24 el jueves 26" are two dates; "el viernes, el 27" is one.
        new_date = " el " in glue and not text[day.start : day.end].startswith(
            ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "primero")
        )
        if before is None or new_date or not _GLUE.fullmatch(glue):
            merged.append(day)
            continue
        date = _common(before, day, today)
        merged[-1] = Day(before.start, day.end, date)
    return merged


def _common(first: Day, second: Day, today: dt.date) -> dt.date | None:
    for one, other in ((first, second), (second, first)):
        if one.weekday is not None and other.date is not None and one.weekday == other.date.weekday():
            return other.date
        if one.number_only and one.date is not None and other.date is not None and one.date.day == other.date.day:
            return other.date
    return first.date if first.date == second.date else None
