"""Rules R1-R7 for every day of two years, against a plain calendar; and any text at all is survived."""

from __future__ import annotations

import calendar
import datetime as dt
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.workers.language.conftest import LA_PAZ
from tests.workers.language.every_day import (
    DAY,
    LAST_MINUTE,
    MIDNIGHT,
    MONTHS,
    NOON,
    TWO_YEARS,
    WEEKDAYS,
    months_later,
    nearest_number,
    next_day,
    said,
    wrong,
)
from workers.language.dates import When, resolve


@pytest.mark.parametrize(
    ("words", "days"),
    [
        ("hoy", 0),
        ("para hoy mismo", 0),
        ("mañana", 1),
        ("para mañana por la mañana", 1),
        ("mñn xfa", 1),
        ("pasado mañana", 2),
        ("pasado mañana en la mañana", 2),
        ("en 3 días", 3),
        ("dentro de ocho días", 7),
        ("en 8 días", 7),
        ("de aquí a quince días", 14),
        ("dentro de dos semanas", 14),
        ("de aquí a una semana", 7),
        ("en 20 días", 20),
        ("dentro de treinta días", 30),
        ("en dos diitas", 2),
    ],
)
def test_a_distance_in_days_holds_every_day(words: str, days: int) -> None:
    assert wrong("{}", {today: (words, today + days * DAY) for today in TWO_YEARS}) == []


@pytest.mark.parametrize("words", ["dentro de un mes", "en 2 meses", "de aquí a tres meses", "dentro de 1 mes"])
def test_months_ahead_end_with_the_month(words: str) -> None:
    count = {"un": 1, "1": 1, "2": 2, "tres": 3}[re.search(r"\b(un|1|2|tres)\b", words).group()]  # type: ignore[union-attr]
    assert wrong("{}", {today: (words, months_later(today, count)) for today in TWO_YEARS}) == []


@pytest.mark.parametrize(
    "frame", ["el {}", "{}", "este {}", "para el {} por favor", "el próximo {}", "el {} que viene"]
)
def test_a_weekday_lies_strictly_after_today(frame: str) -> None:
    for number, weekday in enumerate(WEEKDAYS):
        days = TWO_YEARS[number % 2 :: 2]
        assert wrong(frame, {today: (weekday, next_day(today, number)) for today in days}) == []


@pytest.mark.parametrize(
    "frame",
    ["el {} de la próxima semana", "{} de la otra semana", "la semana que viene el {}", "el {} de la siguiente semana"],
)
def test_a_weekday_of_next_week_lies_between_its_monday_and_sunday(frame: str) -> None:
    for number, weekday in enumerate(WEEKDAYS):
        expected = {}
        for today in TWO_YEARS[number % 3 :: 3]:
            monday = today - today.weekday() * DAY + 7 * DAY
            expected[today] = (weekday, monday + number * DAY)
        assert wrong(frame, expected) == []


@pytest.mark.parametrize("frame", ["el {}", "{}", "para el {} a las 10", "puede ser el {}?", "el {} que es {}"])
def test_a_weekday_with_its_day_number_is_that_date(frame: str) -> None:
    expected = {}
    for index, today in enumerate(TWO_YEARS):
        date = today + (index % 27) * DAY
        weekday = WEEKDAYS[date.weekday()]
        expected[today] = (
            frame.format(*(weekday, date.day) if frame.count("{}") == 2 else [f"{weekday} {date.day}"]),
            date,
        )
    assert wrong("{}", expected) == []


@pytest.mark.parametrize("frame", ["el {}", "{}", "para el {} a las 10"])
def test_a_weekday_with_a_wrong_day_number_is_no_date(frame: str) -> None:
    for index, today in enumerate(TWO_YEARS):
        date = today + (index % 27) * DAY
        other = WEEKDAYS[(date.weekday() + 1 + index % 6) % 7]
        when = said(frame.format(f"{other} {date.day}"), today)
        assert (when.date, when.conflict) == (None, True), f"{today}: {other} {date.day}"


@pytest.mark.parametrize("frame", ["el {}", "para el {}", "el día {}", "el {} de este mes"])
def test_a_day_of_the_month_is_the_nearest_one(frame: str) -> None:
    for shift in (0, 1, 9, 19, 27):
        expected = {}
        for today in TWO_YEARS[shift % 3 :: 3]:
            number = (today + shift * DAY).day
            expected[today] = (str(number), nearest_number(today, number))
        assert wrong(frame, expected) == []


@pytest.mark.parametrize("frame", ["el {} del mes que viene", "el {} del próximo mes"])
def test_a_day_of_next_month_is_in_next_month(frame: str) -> None:
    for number in (1, 15, 28, 31):
        expected = {}
        for today in TWO_YEARS[::3]:
            year, month = divmod(today.year * 12 + today.month, 12)
            exists = number <= calendar.monthrange(year, month + 1)[1]
            expected[today] = (str(number), dt.date(year, month + 1, number) if exists else None)
        assert wrong(frame, expected) == []


@pytest.mark.parametrize(
    "style", ["{d}/{m}", "el {d}-{m}", "el {d:02}/{m:02}", "{d} de {name}", "el {d} de {name}", "el {d} {name}"]
)
def test_a_day_and_month_without_a_year_is_the_nearest_one(style: str) -> None:
    for ahead in (0, 1, 40, 200, 364):
        for today in TWO_YEARS[ahead % 4 :: 4]:
            date = today + ahead * DAY
            if (date.month, date.day) == (2, 29):
                continue
            words = style.format(d=date.day, m=date.month, name=MONTHS[date.month - 1])
            if words in {"1/2", "1/4", "3/4", "24/7"}:
                continue  # half a pill; day and night
            assert said(words, today).date == date, f"{today} {words!r}"


def test_the_last_day_of_february_is_found_from_any_year() -> None:
    for today in TWO_YEARS[::10]:
        assert said("el 29 de febrero", today).date == (
            dt.date(2028, 2, 29) if today <= dt.date(2028, 2, 29) else dt.date(2032, 2, 29)
        )


def test_primero_is_the_first() -> None:
    for today in TWO_YEARS[::5]:
        month = today.month % 12
        first = dt.date(today.year + (month == 0), month + 1, 1)
        assert said(f"el primero de {MONTHS[month]}", today).date == first


@pytest.mark.parametrize("time", [MIDNIGHT, dt.time(0, 1), dt.time(19, 59), dt.time(20, 1), LAST_MINUTE], ids=str)
def test_the_day_is_the_one_in_la_paz_until_its_last_minute(time: dt.time) -> None:
    """From 20:00 in La Paz it is already the next day in UTC."""
    for today in TWO_YEARS[::7]:
        assert said("hoy", today, time).date == today
        assert said("mañana", today, time).date == today + DAY
        assert said("esta noche", today, time).date == today
        assert said(f"el {WEEKDAYS[today.weekday()]}", today, time).date == today + 7 * DAY
        stamp = dt.datetime.combine(today, time, tzinfo=LA_PAZ).astimezone(dt.UTC)
        assert resolve("hoy", stamp.astimezone(LA_PAZ)).date == today


# Words from which patients build dates, in any order.
_PIECES = (
    "el la las los de del en a al para y o no mejor hoy mañana pasado próxima semana que viene este mes día días lunes "
    "martes miércoles jueves viernes sábado domingo enero febrero diciembre primero dentro ocho quince dos tres 1 2 8 "
    "15 29 30 31 32 99 3/4 31/2 29/2 12-12 10:30 25:99 y media cuarto menos tarde noche temprano hora última primera "
    "am pm hrs tipo entre hasta . , ? cambiar cita mi no puedo en vez otro siguiente mediodía hace 0 00 500 días meses"
).split()


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=14), st.sampled_from(TWO_YEARS), st.booleans())
def test_any_heap_of_date_words_is_survived_and_never_lies_in_the_past(
    pieces: list[str], today: dt.date, moving: bool
) -> None:
    text = " ".join(pieces)
    for expects in (None, "fecha", "hora"):
        when = resolve(text, dt.datetime.combine(today, NOON, tzinfo=LA_PAZ), expects=expects, moving=moving)
        _check(when, text, today)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=120), st.sampled_from(TWO_YEARS))
def test_any_text_is_survived(text: str, today: dt.date) -> None:
    _check(said(text, today), text, today)


@settings(max_examples=100, deadline=None)
@given(st.dates(dt.date(1970, 1, 1), dt.date(2200, 12, 31)), st.sampled_from(_PIECES), st.sampled_from(_PIECES))
def test_any_day_of_the_calendar_is_survived(today: dt.date, first: str, second: str) -> None:
    text = f"el {first} {second}"
    _check(said(text, today), text, today)
    assert said("pasado mañana", today).date == today + dt.timedelta(days=2)


def _check(when: When, text: str, today: dt.date) -> None:
    if not re.search(r"\d{4}|\d[-/.]\d+[-/.]\d", text):  # a year of their own may be past (rule R14)
        assert when.date is None or when.date >= today
        assert when.old_date is None or when.old_date >= today
    for time in (when.time, when.old_time):
        assert time is None or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", time)
    for span in (when.date_span, when.time_span, when.old_date_span, when.old_time_span):
        assert span is None or (span and span in text)
    assert (when.date_span is None) == (when.date is None)
    assert (when.time_span is None) == (when.time is None)
    assert when.time is None or when.window is None
    assert not (when.conflict and when.date)
