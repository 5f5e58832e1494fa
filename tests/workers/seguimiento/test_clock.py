"""What the backend's times mean, in both conventions, through the stand-in and as a property."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.workers.seguimiento.conftest import CARLA, DAY, ZONE, Backend, at
from workers.seguimiento.clock import Clock

Convention = Literal["wall", "instant"]
CONVENTIONS: tuple[Convention, Convention] = ("wall", "instant")
MINUTES = st.integers(26_300_000, 63_000_000).map(
    lambda minutes: dt.datetime.fromtimestamp(minutes * 60, dt.UTC).replace(tzinfo=None)
)


@given(moment=MINUTES, convention=st.sampled_from(CONVENTIONS))
def test_what_can_be_written_is_read_back_as_the_same_moment(moment: dt.datetime, convention: Convention) -> None:
    clock = Clock(ZONE, convention)
    start = moment.replace(tzinfo=ZONE)
    found = clock.read(clock.write(start))
    assert found is not None
    if clock.can_write(start):
        assert (found.start, found.has_hour) == (start, True)
    else:  # only the two midnights
        assert not found.has_hour
        assert start.astimezone(dt.UTC if convention == "instant" else ZONE).hour in (0, 4)


@given(moment=MINUTES, zone=st.sampled_from(["America/Santiago", "Europe/Madrid", "Asia/Kolkata", "UTC"]))
def test_true_instants_hold_in_every_zone(moment: dt.datetime, zone: str) -> None:
    clock = Clock(ZoneInfo(zone), "instant")
    start = moment.replace(tzinfo=dt.UTC).astimezone(clock.zone)
    if clock.can_write(start):
        found = clock.read(clock.write(start))
        assert found is not None
        assert found.start.astimezone(dt.UTC) == start.astimezone(dt.UTC)


@given(day=st.dates(dt.date(2020, 1, 1), dt.date(2090, 1, 1)), convention=st.sampled_from(CONVENTIONS))
def test_every_hour_of_every_day_is_read_with_its_own_date(day: dt.date, convention: Convention) -> None:
    clock = Clock(ZONE, convention)
    for hour in ("00", "04"):
        assert clock.read_day(f"{day}T{hour}:00:00.000Z") == day
    assert clock.read_day(f"{day}T10:00:00.000Z") == day


@pytest.mark.parametrize(
    "text",
    ["", "mañana", "2026-02-31T10:00:00.000Z", "2026-12-01T25:00:00Z", "2026-12-01T10:00:00", None, 5, [], "0001"],
)
def test_what_is_no_time_is_none(text: object) -> None:
    assert Clock(ZONE, "wall").read(text) is None


def test_the_form_that_is_written() -> None:
    ten = dt.datetime(2026, 12, 1, 10, 0, tzinfo=ZONE)
    assert Clock(ZONE, "wall").write(ten) == "2026-12-01T10:00:00.000Z"
    assert Clock(ZONE, "instant").write(ten) == "2026-12-01T14:00:00.000Z"
    assert Clock(ZONE, "wall").write(ten.astimezone(dt.UTC)) == "2026-12-01T10:00:00.000Z"


@pytest.mark.parametrize("server", ["UTC", "America/La_Paz"])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_a_booking_is_read_back_whatever_clock_the_server_has(
    convention: Convention, server: str, build: Any, backend: Backend
) -> None:
    backend.switch(time_zone=server)
    agenda = build(SEGUIMIENTO_CLOCK=convention)
    booked = agenda.schedule(CARLA, at(10), "control", None, "n1:schedule")
    assert booked.start == at(10)
    assert [visit.start for visit in agenda.of_patient(CARLA)] == [at(10)]
    assert at(10) not in agenda.free_slots(DAY)
    assert agenda.reschedule(booked.id, at(15), "n2:reschedule", phone=CARLA).start == at(15)
    hours = {"wall": "T15:00:00.000Z", "instant": "T19:00:00.000Z"}
    assert backend.visit(booked.id)["fecha_programada"] == f"{DAY}{hours[convention]}"


def test_an_hour_that_would_be_read_as_midnight_is_not_offered(build: Any, backend: Backend) -> None:
    """20:00 in La Paz is 00:00Z."""
    hours = {"OPENING_HOURS": "mon-sun 19:00-21:00"}
    assert build(SEGUIMIENTO_CLOCK="wall", **hours).free_slots(DAY) == [at(19), at(19, 30), at(20), at(20, 30)]
    assert build(SEGUIMIENTO_CLOCK="instant", **hours).free_slots(DAY) == [at(19), at(19, 30), at(20, 30)]
