"""The doctor's look at the centre's present backend: words, staff id, and what its times mean."""

from __future__ import annotations

from typing import Any

import pytest

from shared.settings import Settings
from tests.workers.doctor.conftest import Outside, one, plain, told
from tests.workers.http_server import closed_port
from workers.doctor.check import Check, State
from workers.doctor.runner import run_all
from workers.doctor.seguimiento_checks import CLOCK, STAFF, WORDS, groups


def fitting(outside: Outside, **more: Any) -> Settings:
    staff = outside.control("GET", "seguimiento")["staff"][0]["id"]
    chosen = {"SEGUIMIENTO_SERVICE_URL": f"{outside.url}/seguimiento/api", "SEGUIMIENTO_STAFF_ID": staff}
    return plain(APPOINTMENTS_API="seguimiento", **(chosen | more))


def check(settings: Settings) -> list[Check]:
    return list(run_all(groups(settings)))


def test_with_the_contract_nothing_is_asked(outside: Outside) -> None:
    assert groups(outside.settings()) == []


def test_what_a_person_has_to_do_is_named(outside: Outside) -> None:
    checks = check(fitting(outside))
    told(one(checks, WORDS), State.WARNING, "missing Cancelado; a person has to do: alerts, cancel, missed", "may add")
    told(one(checks, STAFF), State.OK, "one of its staff")
    outside.control("PATCH", "seguimiento", add_states=["Cancelado"])
    told(one(check(fitting(outside, SEGUIMIENTO_MARKS_MISSED=True)), WORDS), State.OK, "a person has to do: alerts")
    outside.control("PATCH", "seguimiento", retire_states=["Programado", "Confirmado"])
    told(one(check(fitting(outside)), WORDS), State.WARNING, "alerts, schedule, reschedule, confirm, missed")


def test_a_staff_id_that_is_not_there(outside: Outside) -> None:
    wrong = fitting(outside, SEGUIMIENTO_STAFF_ID="5b0e1c1e-0000-4000-8000-000000000009")
    told(one(check(wrong), STAFF), State.FAILED, "none of its staff", "GET /api/user")


@pytest.mark.parametrize(("clock", "state"), [("wall", State.OK), ("instant", State.FAILED)])
def test_the_reading_of_times_that_makes_sense_is_found(clock: str, state: State, outside: Outside) -> None:
    found = one(check(fitting(outside, SEGUIMIENTO_CLOCK=clock)), CLOCK)
    told(found, state, f"SEGUIMIENTO_CLOCK={clock}")
    assert ("set SEGUIMIENTO_CLOCK=wall" in found.advice) is (state is State.FAILED)


def test_an_empty_agenda_tells_nothing(outside: Outside) -> None:
    outside.control("POST", "reset", seed=False)
    checks = check(plain(APPOINTMENTS_API="seguimiento", SEGUIMIENTO_SERVICE_URL=f"{outside.url}/seguimiento"))
    told(one(checks, CLOCK), State.WARNING, "no coming visit", "when there are some")
    told(one(checks, STAFF), State.FAILED, "none of its staff", "id")


def test_a_backend_that_is_not_there() -> None:
    settings = plain(APPOINTMENTS_API="seguimiento", SEGUIMIENTO_SERVICE_URL=f"http://127.0.0.1:{closed_port()}")
    [found] = check(settings)
    told(found, State.FAILED, "no visit can be booked", "start the backend")
