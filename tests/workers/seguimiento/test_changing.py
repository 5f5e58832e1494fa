"""Moving, confirming and cancelling: all four ids always, read back, what cannot be done, dying processes."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from typing import Any

import pytest
import requests

from shared.errors import NeedsPerson, NotFound, OutcomeUnknown, PartnerRefused, RetryLater, SlotUnavailable
from tests.workers.seguimiento.conftest import CARLA, DAY, JUAN, ROSA, ZONE, Backend, at, wall
from workers.seguimiento import Seguimiento


@pytest.fixture
def visit_id(backend: Backend) -> str:
    return str(backend.row(CARLA, at(10))["id"])


def owner(row: dict[str, Any]) -> tuple[Any, ...]:
    """What a PUT must never change by accident."""
    return row["tratamiento"]["id"], row["tratamiento"]["paciente"]["telefono"], row["tipo"]["id"]


def test_the_stand_in_moves_a_visit_to_a_stranger_when_an_id_lacks(backend: Backend, visit_id: str) -> None:
    """The fault that the adapter is built around."""
    before = backend.visit(visit_id)
    answer = requests.put(f"{backend.url}/api/cita/{visit_id}", json={"observaciones": "x"}, timeout=5)
    assert answer.status_code == 200
    assert owner(backend.visit(visit_id)) != owner(before)


def test_a_visit_is_moved_and_stays_with_its_patient(agenda: Seguimiento, backend: Backend, visit_id: str) -> None:
    before = backend.visit(visit_id)
    moved = agenda.reschedule(visit_id, at(15), "n1:reschedule", phone=CARLA)
    after = backend.visit(visit_id)
    assert (moved.id, moved.start, moved.status) == (visit_id, at(15), "scheduled")
    assert owner(after) == owner(before)
    assert (after["fecha_programada"], after["estado"]["descripcion"]) == (wall(at(15)), "Programado")
    assert after["user"]["id"] == backend.staff_id()
    assert after["observaciones"] == before["observaciones"]
    assert at(10) in agenda.free_slots(DAY)
    assert at(15) not in agenda.free_slots(DAY)


def test_a_visit_keeps_its_own_member_of_staff(agenda: Seguimiento, backend: Backend) -> None:
    row = backend.row(CARLA, at(10), with_user=True)
    agenda.confirm(row["id"], "n1:confirm", phone=CARLA)
    assert backend.visit(row["id"])["user"]["id"] == row["user"]["id"]


def test_a_confirmed_visit_goes_back_when_it_is_moved(agenda: Seguimiento, backend: Backend, visit_id: str) -> None:
    confirmed = agenda.confirm(visit_id, "n1:confirm", phone=CARLA)
    assert confirmed is not None
    assert confirmed.status == "confirmed"
    assert backend.visit(visit_id)["estado"]["descripcion"] == "Confirmado"
    agenda.reschedule(visit_id, at(15), "n2:reschedule", phone=CARLA)
    assert backend.visit(visit_id)["estado"]["descripcion"] == "Programado"


def test_a_visit_cannot_be_moved_to_a_time_that_cannot_be(agenda: Seguimiento, backend: Backend, visit_id: str) -> None:
    backend.row(ROSA, at(9))
    for start, why in ((at(9), "slot_taken"), (at(13), "closed"), (at(9, day=DAY - dt.timedelta(60)), "past")):
        with pytest.raises(SlotUnavailable) as raised:
            agenda.reschedule(visit_id, start, "n1:reschedule", phone=CARLA)
        assert raised.value.reason == why
    assert backend.visit(visit_id)["fecha_programada"] == wall(at(10))


def test_the_own_place_does_not_stand_in_the_way(build: Any, backend: Backend) -> None:
    row = backend.row(CARLA, at(10, 7))  # odd minutes, as the backend itself writes
    assert build().reschedule(row["id"], at(10), "n1:reschedule", phone=CARLA).start == at(10)


def test_without_a_state_for_it_a_cancellation_is_noted_and_handed_over(
    agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    before = backend.visit(visit_id)
    for _ in range(2):
        with pytest.raises(NeedsPerson) as raised:
            agenda.cancel(visit_id, "n1:cancel", phone=CARLA)
        assert raised.value.why == "anular"
    row, today = backend.visit(visit_id), dt.datetime.now(ZONE).date()
    assert row["observaciones"] == f"Control | pide cancelar (WhatsApp, {today:%d/%m/%Y})"  # once
    assert (owner(row), row["estado"], row["fecha_programada"]) == (owner(before), before["estado"], wall(at(10)))
    assert backend.state()["counters"]["deaths"] == 0


@pytest.mark.parametrize("word", ["Cancelado", "Cancelada"])
def test_with_a_state_for_it_a_visit_is_cancelled(
    word: str, agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    backend.states(add=(word,))
    done = agenda.cancel(visit_id, "n1:cancel", phone=CARLA)
    assert done is not None
    assert done.status == "cancelled"
    assert backend.visit(visit_id)["estado"]["descripcion"] == word
    assert backend.visit(visit_id)["observaciones"].startswith("Control | cancelada por el paciente")
    assert agenda.of_patient(CARLA) == []
    assert at(10) in agenda.free_slots(DAY)
    again = agenda.cancel(visit_id, "n1:cancel", phone=CARLA)
    assert again is not None
    assert again.status == "cancelled"
    with pytest.raises(NotFound):
        agenda.confirm(visit_id, "n2:confirm", phone=CARLA)


def test_a_visit_of_somebody_else_or_of_the_past_does_not_exist(
    agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    attended = backend.row(ROSA, at(9), state="Asistido")["id"]
    for who, visit in ((ROSA, visit_id), (CARLA, "5b0e1c1e-0000-4000-8000-000000000001"), (ROSA, attended)):
        with pytest.raises(NotFound):
            agenda.reschedule(visit, at(15), "n1:reschedule", phone=who)
        with pytest.raises(NotFound):
            agenda.cancel(visit, "n1:cancel", phone=who)


def test_a_visit_can_be_changed_without_knowing_whose_it_is(
    agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    before = backend.visit(visit_id)
    assert agenda.reschedule(visit_id, at(15), "n1:reschedule").phone == CARLA
    assert owner(backend.visit(visit_id)) == owner(before)


@pytest.mark.parametrize(
    "fault",
    [{"drop": "after"}, {"drop": "before"}, {"status": 502, "raw_body": "<html>", "commit": True}],
    ids=str,
)
def test_a_change_whose_answer_was_lost_is_read_back_or_repeated(
    fault: dict[str, Any], agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    backend.fault(kind="update", **fault)
    assert agenda.reschedule(visit_id, at(15), "n1:reschedule", phone=CARLA).start == at(15)
    assert backend.visit(visit_id)["fecha_programada"] == wall(at(15))


def test_a_change_that_timed_out_is_read_back(build: Any, backend: Backend, visit_id: str) -> None:
    backend.fault(kind="update", delay_answer_s=1.5)
    agenda = build(SEGUIMIENTO_TIMEOUT=0.5)
    assert agenda.confirm(visit_id, "n1:confirm", phone=CARLA).status == "confirmed"


def test_a_change_that_never_arrives_is_not_said_to_be_done(
    agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    backend.fault(kind="update", drop="before", times=0)
    with pytest.raises(OutcomeUnknown):
        agenda.confirm(visit_id, "n1:confirm", phone=CARLA)
    assert backend.visit(visit_id)["estado"]["descripcion"] == "Programado"


def test_a_change_that_cannot_be_read_back_is_unknown(agenda: Seguimiento, backend: Backend, visit_id: str) -> None:
    backend.fault(kind="visit", status=503, raw_body="", times=0)
    with pytest.raises(OutcomeUnknown):
        agenda.confirm(visit_id, "n1:confirm", phone=CARLA)


def test_a_change_before_which_nothing_can_be_read_is_tried_later(
    agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    backend.fault(kind="visits", status=503, raw_body="", times=0)
    with pytest.raises(RetryLater):
        agenda.confirm(visit_id, "n1:confirm", phone=CARLA)


def test_somebody_elses_later_write_is_noticed_and_ours_repeated(
    agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    """Answered 200, and undone by another write in the same second."""
    backend.fault(kind="update", status=200, body={"statusCode": 200, "message": "", "data": {}, "error": None})
    assert agenda.reschedule(visit_id, at(15), "n1:reschedule", phone=CARLA).start == at(15)
    assert backend.visit(visit_id)["fecha_programada"] == wall(at(15))


@pytest.mark.parametrize("times", [1, 0])
def test_a_bare_error_is_tried_once_with_fresh_ids(
    times: int, agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    bare = {"statusCode": 500, "message": "Internal server error"}
    backend.fault(kind="update", status=500, body=bare, times=times)
    if times:
        assert agenda.confirm(visit_id, "n1:confirm", phone=CARLA) is not None
    else:
        with pytest.raises(PartnerRefused):
            agenda.confirm(visit_id, "n1:confirm", phone=CARLA)


def test_a_row_without_state_can_be_given_one_but_not_be_noted_upon(agenda: Seguimiento, backend: Backend) -> None:
    row = backend.row(CARLA, at(10), state=None)
    with pytest.raises(NeedsPerson):
        agenda.cancel(row["id"], "n1:cancel", phone=CARLA)
    assert owner(backend.visit(row["id"])) == owner(row)  # no PUT without all ids
    assert backend.visit(row["id"])["observaciones"] == "Control"
    agenda.confirm(row["id"], "n2:confirm", phone=CARLA)
    assert owner(backend.visit(row["id"])) == owner(row)


def test_a_day_without_hour_can_be_given_one(agenda: Seguimiento, backend: Backend) -> None:
    row = backend.row(CARLA, f"{DAY}T00:00:00.000Z")
    assert agenda.reschedule(row["id"], at(10), "n1:reschedule", phone=CARLA).start == at(10)


def wait_for_life(backend: Backend) -> None:
    """Until the process is up again."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.ConnectionError):
            requests.get(f"{backend.url}/api/health", timeout=5)
            return
        time.sleep(0.02)


@pytest.mark.parametrize("saved", [True, False])
def test_a_process_that_dies_in_between_is_survived(
    saved: bool, agenda: Seguimiento, backend: Backend, visit_id: str
) -> None:
    """Somebody else's write killed it: ours is not answered, then it is back."""
    backend.switch(dies_saving=saved, down_s=0.3)
    other = backend.row(JUAN, at(9))
    states = requests.get(f"{backend.url}/api/cita/estado-cita", timeout=5).json()["data"]
    body = {
        "idTratamiento": other["tratamiento"]["id"],
        "idTipo": other["tipo"]["id"],
        "idEstado": next(row["id"] for row in states if row["descripcion"] == "Perdido"),
        "idUser": backend.staff_id(),
    }
    with pytest.raises(requests.ConnectionError):
        requests.put(f"{backend.url}/api/cita/{other['id']}", json=body, timeout=5)
    state = backend.visit(other["id"])["estado"]["descripcion"]
    assert (state, backend.state()["counters"]["deaths"]) == ("Perdido" if saved else "Programado", 1)
    with pytest.raises(RetryLater):
        agenda.confirm(visit_id, "n1:confirm", phone=CARLA)
    wait_for_life(backend)
    assert agenda.confirm(visit_id, "n1:confirm", phone=CARLA) is not None
    assert backend.visit(visit_id)["estado"]["descripcion"] == "Confirmado"
    uptime = requests.get(f"{backend.url}/api/health", timeout=5).json()["uptime"]
    assert uptime < 5
