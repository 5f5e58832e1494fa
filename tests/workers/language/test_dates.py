"""Dates and hours as patients say them; rules R1-R13 of the dialogue specification."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.prediction import TimeWindow
from tests.workers.language.conftest import LA_PAZ
from tests.workers.language.expressions import MORE, SIXTY
from workers.language.dates import resolve

DAYS = st.dates(dt.date(2026, 1, 1), dt.date(2027, 12, 31))
HOURS = st.times()
WEEKDAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
MONTHS = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio"),
    *("julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"),
)
FRAMES = ("el {}", "{}", "este {}", "el próximo {}", "el {} que viene")


def at(day: dt.date, time: dt.time = dt.time(9)) -> dt.datetime:
    return dt.datetime.combine(day, time, tzinfo=LA_PAZ)


@pytest.mark.parametrize(("said", "date", "time"), SIXTY, ids=[row[0] for row in SIXTY])
def test_the_sixty_expressions_are_resolved(said: str, date: str, time: str | None, now: dt.datetime) -> None:
    when = resolve(said, now)
    assert (str(when.date), when.time, when.conflict) == (date, time, False)


@pytest.mark.parametrize(("said", "date", "time", "window", "old_date", "old_time"), MORE, ids=[row[0] for row in MORE])
def test_more_expressions_are_resolved(
    said: str,
    date: str | None,
    time: str | None,
    window: str | None,
    old_date: str | None,
    old_time: str | None,
    now: dt.datetime,
) -> None:
    when = resolve(said, now)
    expected = None if date in {None, "X"} else date
    assert (when.date and str(when.date)) == expected
    assert (when.time, when.window and str(when.window)) == (time, window)
    assert (when.old_date and str(when.old_date), when.old_time) == (old_date, old_time)
    assert when.conflict == (date == "X")


@pytest.mark.parametrize(
    ("said", "window"),
    [
        ("pasado mañana tempranito", TimeWindow.MANANA),
        ("hoy a primera hora de la tarde", TimeWindow.TARDE),
        ("mañana en la mañana", TimeWindow.MANANA),
        ("el jueves a primera hora", TimeWindow.PRIMERA_HORA),
        ("el sabado en la mañanita", TimeWindow.MANANA),
        ("esta noche", TimeWindow.NOCHE),
        ("a última hora", TimeWindow.ULTIMA_HORA),
        ("el jueves de mañana", TimeWindow.MANANA),
    ],
)
def test_parts_of_the_day_are_kept_when_no_hour_is_said(said: str, window: TimeWindow, now: dt.datetime) -> None:
    when = resolve(said, now)
    assert (when.window, when.time) == (window, None)


def test_a_day_that_does_not_exist_gives_no_date(now: dt.datetime) -> None:
    for said in ("31/02", "el 31 de noviembre", "30 de febrero", "45/13"):
        assert resolve(said, now).date is None


def test_spans_are_the_patients_own_words(now: dt.datetime) -> None:
    when = resolve("Dra, para el Jueves q viene a las 3 y media xfa", now)
    assert (when.date_span, when.time_span) == ("Jueves q viene", "a las 3 y media")


def test_a_bare_number_is_an_hour_or_a_day_only_when_that_was_asked(now: dt.datetime) -> None:
    assert resolve("10", now).time is None
    assert resolve("10", now, expects="hora").time == "10:00"
    assert resolve("las 3 nomas", now, expects="hora").time == "15:00"
    assert resolve("27", now, expects="fecha").date == dt.date(2026, 11, 27)


@given(
    DAYS,
    HOURS,
    st.sampled_from(range(7)),
    st.sampled_from(FRAMES),
)
def test_a_weekday_is_the_nearest_one_strictly_after_today(
    today: dt.date, time: dt.time, weekday: int, frame: str
) -> None:
    date = resolve(frame.format(WEEKDAYS[weekday]), at(today, time)).date
    assert date is not None
    assert date.weekday() == weekday
    assert 1 <= (date - today).days <= 7


@given(DAYS, st.sampled_from(range(7)), st.sampled_from(["el {} de la próxima semana", "la semana que viene el {}"]))
def test_a_weekday_of_next_week_lies_in_the_next_monday_to_sunday_week(
    today: dt.date, weekday: int, frame: str
) -> None:
    date = resolve(frame.format(WEEKDAYS[weekday]), at(today)).date
    monday = today + dt.timedelta(days=7 - today.weekday())
    assert date == monday + dt.timedelta(days=weekday)


@given(DAYS, HOURS)
def test_today_tomorrow_and_after_hold_until_the_last_minute(today: dt.date, time: dt.time) -> None:
    for said, days in (("hoy", 0), ("mañana", 1), ("pasado mañana", 2), ("en 8 días", 7), ("en quince días", 14)):
        assert resolve(said, at(today, time)).date == today + dt.timedelta(days=days)
        assert resolve(said, at(today, dt.time(23, 59))).date == today + dt.timedelta(days=days)


@given(DAYS, st.dates(dt.date(2026, 1, 1), dt.date(2028, 12, 31)))
def test_a_named_day_without_a_year_is_never_in_the_past(today: dt.date, day: dt.date) -> None:
    for said in (f"el {day.day} de {MONTHS[day.month - 1]}", f"el {day.day}/{day.month}"):
        found = resolve(said, at(today)).date
        assert found is not None
        assert found >= today
        assert (found.day, found.month) == (day.day, day.month)


@given(DAYS, st.integers(1, 31))
def test_a_day_number_is_the_nearest_one_from_today(today: dt.date, day: int) -> None:
    found = resolve(f"el {day}", at(today)).date
    assert found is not None
    assert found.day == day
    assert 0 <= (found - today).days <= 62


@given(DAYS, DAYS)
def test_a_weekday_and_a_day_that_disagree_give_no_date(today: dt.date, day: dt.date) -> None:
    wrong = WEEKDAYS[(day.weekday() + 1) % 7]
    when = resolve(f"el {wrong} {day.day} de {MONTHS[day.month - 1]} de {day.year}", at(today))
    assert (when.date, when.conflict) == (None, True)


@given(DAYS, DAYS)
def test_a_weekday_and_a_day_that_agree_give_that_date(today: dt.date, day: dt.date) -> None:
    said = f"el {WEEKDAYS[day.weekday()]} {day.day} de {MONTHS[day.month - 1]} de {day.year}"
    assert resolve(said, at(today)).date == day


@given(st.integers(0, 23), st.integers(0, 59))
def test_a_written_clock_after_noon_is_read_as_written(hour: int, minute: int) -> None:
    if hour >= 7:
        assert resolve(f"a las {hour}:{minute:02d}", at(dt.date(2026, 11, 23))).time == f"{hour:02d}:{minute:02d}"


@given(st.text(max_size=200))
def test_any_text_is_survived(text: str) -> None:
    when = resolve(text, at(dt.date(2026, 11, 23)))
    assert when.time is None or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", when.time)


@pytest.mark.parametrize(
    "said",
    [
        "me duele hace 3 días",
        "tengo 2 hijos de 5 y 8 años",
        "tomo 4 pastillas",
        "peso 58 kilos",
        "mi número es 70123456",
        "vivo en la calle 21",
        "tienes mates de coca? vienes",
        "buenas tardes doctora",
        "mana munanichu",
        "fiebre de 38.5",
        "de lunes a viernes atienden?",
        "hace 2 semanas",
    ],
)
def test_numbers_that_are_no_dates_give_none(said: str, now: dt.datetime) -> None:
    when = resolve(said, now)
    assert (when.date, when.time, when.window) == (None, None, None)


def test_a_day_that_does_not_suit_is_no_answer_to_which_day(now: dt.datetime) -> None:
    assert resolve("el lunes no puedo", now, expects="fecha").date is None
    assert resolve("el lunes no puedo, mejor el martes", now, expects="fecha").date == dt.date(2026, 11, 24)
    assert resolve("el lunes no puedo ir", now).date == dt.date(2026, 11, 30)
