"""Rules R8-R13: hours, parts of the day and corrections in many wordings, beside any day and inside any message."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.prediction import TimeWindow
from tests.workers.language.every_day import DAY, TWO_YEARS, next_day, said


@pytest.mark.parametrize("frame", ["a las {}", "el martes a las {}", "mañana tipo {}", "puede ser a las {} doctora?"])
def test_a_bare_hour_falls_into_the_centres_hours(frame: str) -> None:
    for hour in range(1, 13):
        text = frame.format(hour) if hour > 1 else frame.replace("las", "la").format(hour)
        assert said(text, TWO_YEARS[5]).time == f"{hour + 12 if hour <= 6 else hour:02}:00", text


@pytest.mark.parametrize(
    ("frame", "hours"),
    [
        ("a las {} de la mañana", {hour: hour for hour in range(5, 12)}),
        ("a las {} de la tarde", {**{hour: hour + 12 for hour in range(1, 8)}, 12: 12}),
        ("a las {} de la noche", {hour: hour + 12 for hour in range(6, 12)}),
        ("{} am", {**{hour: hour for hour in range(1, 12)}, 12: 0}),
        ("{}am", {hour: hour for hour in range(1, 12)}),
        ("{} p.m.", {**{hour: hour + 12 for hour in range(1, 12)}, 12: 12}),
        ("{}pm", {**{hour: hour + 12 for hour in range(1, 12)}, 12: 12}),
        ("a las {} en la tarde", {hour: hour + 12 for hour in range(1, 8)}),
    ],
)
def test_a_spoken_part_of_the_day_decides_the_hour(frame: str, hours: dict[int, int]) -> None:
    for hour, meant in hours.items():
        text = frame.format(hour) if hour > 1 else frame.replace("las", "la").format(hour)
        assert said(text, TWO_YEARS[5]).time == f"{meant:02}:00", text
        assert said(f"el jueves {text}", TWO_YEARS[5]).time == f"{meant:02}:00", text


@pytest.mark.parametrize(
    ("words", "window"),
    [
        ("temprano", TimeWindow.MANANA),
        ("tempranito", TimeWindow.MANANA),
        ("en la mañana", TimeWindow.MANANA),
        ("por la mañanita", TimeWindow.MANANA),
        ("en la tarde", TimeWindow.TARDE),
        ("por la tardecita", TimeWindow.TARDE),
        ("en la noche", TimeWindow.NOCHE),
        ("a primera hora", TimeWindow.PRIMERA_HORA),
        ("a primera hora de la tarde", TimeWindow.TARDE),
        ("a última hora", TimeWindow.ULTIMA_HORA),
    ],
)
def test_a_part_of_the_day_is_kept_beside_any_day(words: str, window: TimeWindow) -> None:
    today = TWO_YEARS[5]
    for day, date in (("mañana", today + DAY), ("el jueves", next_day(today, 3)), ("hoy", today)):
        for text in (f"{day} {words}", f"{words}, {day}", f"quiero cita {day} {words}"):
            when = said(text, today)
            assert (when.date, when.window, when.time) == (date, window, None), text


CORRECTIONS = (
    "{}... no, mejor {}",
    "{} no perdón {}",
    "{}, digo {}",
    "{} no, {}",
    "{}. Me equivoqué, {}",
    "{} mejor {}",
)


@pytest.mark.parametrize("frame", CORRECTIONS)
def test_the_last_of_two_days_or_hours_wins(frame: str) -> None:
    for today in TWO_YEARS[::30]:
        days = {"mañana": today + DAY, "el jueves": next_day(today, 3), "el sábado": next_day(today, 5), "hoy": today}
        for first in days:
            for second, date in days.items():
                if first != second:
                    text = frame.format(first, second)
                    assert said(text, today).date == date, f"{today} {text!r}"
    assert said(frame.format("a las 9", "a las 4"), TWO_YEARS[0]).time == "16:00"


CARRIERS = (
    "buenas doctora, quisiera una ficha para {} por favor",
    "me puede dar cita {}",
    "hola dra puedo ir {}? es que trabajo",
    "{} hay campo?",
    "tiene espacio {} para mi mamá",
    "ya, {} entonces",
    "{} 😊",
    "si puede ser {} mejor",
    "agendame {} xfa",
)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_a_day_and_an_hour_are_found_inside_a_message(carrier: str) -> None:
    today = TWO_YEARS[60]
    days = {"hoy": today, "el jueves": next_day(today, 3), "pasado mañana": today + 2 * DAY}
    for day, date in days.items():
        for hour, time in (("", None), (" a las 3 y media", "15:30"), (" 10am", "10:00"), (" a hrs 16", "16:00")):
            when = said(carrier.format(day + hour), today)
            assert (when.date, when.time) == (date, time), carrier.format(day + hour)


@pytest.mark.parametrize(
    ("frame", "minutes"),
    [
        ("a {las} {hour} y media", 30),
        ("a {las} {hour} y cuarto", 15),
        ("{las} {hour} y veinte", 20),
        ("a {las} {hour} en punto", 0),
        ("a eso de {las} {hour}", 0),
        ("después de {las} {hour}", 0),
        ("a hrs {hour}", 0),
        ("a {las} {hour} menos cuarto", -15),
        ("cuarto para {las} {hour}", -15),
        ("diez para {las} {hour}", -10),
    ],
)
def test_minutes_are_added_or_taken_away(frame: str, minutes: int) -> None:
    names = "una dos tres cuatro cinco seis siete ocho nueve diez once doce".split()
    for hour, name in enumerate(names, start=1):
        meant = dt.datetime(2027, 1, 1, hour + 12 if hour <= 6 else hour, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
        for word in (str(hour), name):
            text = "mañana " + frame.format(las="la" if hour == 1 else "las", hour=word)
            assert said(text, TWO_YEARS[60]).time == f"{meant:%H:%M}", text


def test_a_written_clock_is_read_as_written() -> None:
    for hour in range(7, 20):
        for minute in (0, 5, 30, 59):
            for frame in ("{}:{:02}", "a las {}:{:02}", "{:02}:{:02} hrs", "a las {}.{:02}"):
                text = "el jueves " + frame.format(hour, minute)
                assert said(text, TWO_YEARS[60]).time == f"{hour:02}:{minute:02}", text
