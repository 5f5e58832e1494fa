"""What the adapter reads: patients, visits, days without hour, odd states, numbers, and no secret in any log."""

from __future__ import annotations

import datetime as dt
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from flask import Flask

from shared.conversation import PatientRecord
from shared.errors import PartnerRefused, RetryLater
from simulator import seguimiento_api
from simulator.server import Server
from tests.workers.seguimiento.conftest import CARLA, DAY, ELENA, JUAN, ROSA, SECRET, UNKNOWN, ZONE, Backend, at
from workers.seguimiento import Seguimiento


def test_a_patient_is_found_by_the_eight_digits(agenda: Seguimiento) -> None:
    found = agenda.patient(ROSA)
    assert (found.registered, found.name, found.consented) == (True, "Rosa Mamani", False)
    assert found.last_visit is not None
    assert found.last_visit < dt.datetime.now(ZONE).date()
    assert agenda.patient(CARLA).last_visit is None


@pytest.mark.parametrize("phone", [UNKNOWN, "+5491122334455", "+591700000011", "+59122000000000", ""])
def test_whoever_it_cannot_hold_is_not_registered(phone: str, agenda: Seguimiento) -> None:
    assert agenda.patient(phone) == PatientRecord()
    assert agenda.of_patient(phone) == []


def test_visits_come_in_order_of_time_and_only_those_ahead(agenda: Seguimiento, backend: Backend) -> None:
    later, sooner = backend.row(ROSA, at(11)), backend.row(ROSA, at(9), state="Confirmado")
    backend.row(ROSA, at(10), state="Asistido")
    backend.states(add=("Cancelado",))
    backend.row(ROSA, at(16), state="Cancelado")
    backend.row(ROSA, at(16, day=DAY - dt.timedelta(days=40)))  # a forgotten one of the past
    found = [visit for visit in agenda.of_patient(ROSA) if visit.start.date() == DAY]
    assert [(visit.id, visit.start, visit.status) for visit in found] == [
        (sooner["id"], at(9), "confirmed"),
        (later["id"], at(11), "scheduled"),
    ]
    assert all(visit.phone == ROSA and visit.name == "Rosa Mamani" for visit in found)
    assert all(visit.ref.startswith("CC-") and len(visit.ref) == 7 for visit in found)
    assert agenda.of_patient(ROSA) == agenda.of_patient(ROSA)  # codes stay the same


@pytest.mark.parametrize("midnight", ["T00:00:00.000Z", "T04:00:00.000Z"])
@pytest.mark.parametrize("convention", ["wall", "instant"])
def test_midnight_is_a_day_without_hour(midnight: str, convention: str, build: Any, backend: Backend) -> None:
    agenda = build(SEGUIMIENTO_CLOCK=convention)
    backend.row(CARLA, f"{DAY}{midnight}")
    [visit] = agenda.of_patient(CARLA)
    assert visit.start == at(0)
    assert at(8) in agenda.free_slots(DAY)  # it takes no place
    assert [v.id for v in agenda.upcoming(24 * 30) if v.phone == CARLA] == [visit.id]


def test_a_day_without_hour_counts_on_its_own_day(agenda: Seguimiento, backend: Backend) -> None:
    today = dt.datetime.now(ZONE).date()
    backend.row(CARLA, f"{today}T00:00:00.000Z")
    backend.row(CARLA, f"{today - dt.timedelta(days=1)}T00:00:00.000Z")
    assert [visit.start.date() for visit in agenda.of_patient(CARLA)] == [today]


def test_an_unknown_state_is_told_with_its_day_and_never_reminded(
    agenda: Seguimiento, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        odd = backend.row(CARLA, at(9), state="En espera")
        for _ in range(2):
            [visit] = agenda.of_patient(CARLA)
    assert (visit.id, visit.start, visit.status) == (odd["id"], at(0), "unknown")
    assert [record.state_word for record in caplog.records if "unknown state" in record.message] == ["En espera"]
    assert odd["id"] not in {visit.id for visit in agenda.upcoming(24 * 30)}
    assert at(9) not in agenda.free_slots(DAY)  # nobody else is sent there


def test_a_patient_whose_visit_has_no_state_is_found_in_the_table(agenda: Seguimiento, backend: Backend) -> None:
    backend.row(CARLA, at(9), state=None)
    answer = requests.get(f"{backend.url}/api/paciente/telefono/70000003", timeout=5)
    assert (answer.status_code, answer.json()) == (500, {"statusCode": 500, "message": "Internal server error"})
    assert agenda.patient(CARLA).name == "Carla Flores"
    [visit] = agenda.of_patient(CARLA)
    assert (visit.start, visit.status) == (at(0), "unknown")


def test_upcoming_is_of_everybody_within_the_hours(agenda: Seguimiento, backend: Backend) -> None:
    soon = dt.datetime.now(ZONE) + dt.timedelta(hours=3)
    near, far = backend.row(ROSA, soon), backend.row(JUAN, soon + dt.timedelta(hours=30))
    ids = [visit.id for visit in agenda.upcoming(24)]
    assert near["id"] in ids
    assert far["id"] not in ids
    assert {near["id"], far["id"]} <= {visit.id for visit in agenda.upcoming(48)}


def test_the_table_is_fetched_once_for_many(build: Any, backend: Backend) -> None:
    agenda = build()
    backend.fault(kind="table", call=2, status=500, times=0)  # a second fetch would fail
    for _ in range(3):
        agenda.upcoming()
        agenda.free_slots(DAY)


def test_missed_visits_are_told_only_where_the_centre_marks_them(build: Any, backend: Backend) -> None:
    assert build().missed(DAY) is None
    yesterday = dt.datetime.now(ZONE).date() - dt.timedelta(days=1)
    hour, midnight = backend.row(ROSA, at(9, day=yesterday), state="Perdido"), f"{yesterday}T00:00:00.000Z"
    day_only = backend.row(JUAN, midnight, state="Perdido")
    backend.row(CARLA, midnight, state="Perdido", notes="Cita generada automáticamente por el tratamiento")
    backend.row(CARLA, at(9, day=yesterday))  # still open: proves nothing
    agenda = build(SEGUIMIENTO_MARKS_MISSED=True)
    assert {visit.id for visit in agenda.missed(yesterday)} == {hour["id"], day_only["id"]}
    assert agenda.missed(DAY) == []


@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ({"status": 503, "raw_body": "<html>"}, RetryLater, 503),
        ({"drop": "before", "times": 2}, RetryLater, "hung_up"),
        ({"status": 500, "body": {"success": False, "error": "connect ECONNREFUSED"}}, RetryLater, 500),
        ({"status": 500, "body": {"success": False, "error": "invalid input syntax for x"}}, PartnerRefused, 500),
        ({"status": 404, "body": {"message": "Cannot GET /api/x", "statusCode": 404}}, PartnerRefused, 404),
        ({"status": 200, "raw_body": "<html>"}, RetryLater, "unreadable"),
        ({"body_status": 400}, PartnerRefused, 400),
    ],
    ids=str,
)
def test_a_read_that_fails_says_whether_to_try_again(
    fault: dict[str, Any], error: type[Exception], code: object, agenda: Seguimiento, backend: Backend
) -> None:
    backend.fault(kind="patient", **fault)
    with pytest.raises(error) as raised:
        agenda.patient(ROSA)
    assert raised.value.code == code  # type: ignore[attr-defined]
    assert agenda.patient(ROSA).registered  # and then it works


def test_a_connection_that_was_closed_costs_nothing(agenda: Seguimiento, backend: Backend) -> None:
    backend.fault(kind="patient", drop="before", times=1)
    assert agenda.patient(ROSA).registered


def test_no_secret_of_staff_and_nothing_of_patients_reaches_a_log(
    build: Any, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    agenda = build()
    with caplog.at_level(logging.DEBUG):
        backend.row(ROSA, at(9), with_user=True)
        backend.row(ELENA, "2026-02-31", with_user=True)
        body = requests.get(f"{backend.url}/api/cita", timeout=5).text
        assert SECRET in body
        agenda.patient(ROSA)
        visits = agenda.of_patient(ROSA)
        agenda.upcoming(24 * 60)
        backend.fault(kind="visits", status=500, body={"success": False, "error": f"{SECRET} 70000001 Rosa Mamani"})
        with pytest.raises(RetryLater) as raised:
            agenda.of_patient(ROSA)
    said = caplog.text + str(raised.value) + repr(visits)
    assert SECRET not in said
    assert "70000001" not in caplog.text + str(raised.value)
    assert "Rosa" not in caplog.text + str(raised.value)


def test_many_who_ask_at_once_share_one_fetch(build: Any, backend: Backend) -> None:
    agenda = build()
    backend.switch(table_delay_s=0.3)
    backend.fault(kind="table", call=2, status=500, times=0)
    with ThreadPoolExecutor(5) as pool:
        found = list(pool.map(lambda _: agenda.free_slots(DAY), range(5)))
    assert all(slots == found[0] for slots in found)


def test_connections_that_the_server_closed_while_idle_are_survived(build: Any, backend: Backend) -> None:
    """Node closes them after five seconds; a request may meet the end of one."""
    app = Flask("idle")
    app.register_blueprint(seguimiento_api.create_blueprint(backend.simulator.world, "idle"))
    server = Server("127.0.0.1", 0, app, idle_s=0.1)
    agenda = build(SEGUIMIENTO_SERVICE_URL=server.url)
    row = backend.row(CARLA, at(10))

    def wait_for_the_end() -> None:
        deadline = time.monotonic() + 5
        while server._connections and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not server._connections

    assert agenda.patient(CARLA).registered
    wait_for_the_end()
    assert agenda.patient(CARLA).registered
    wait_for_the_end()
    assert agenda.confirm(row["id"], "n1:confirm", phone=CARLA).status == "confirmed"
    server.stop()
