"""Booking on a backend that checks nothing: past, closed and taken, capacity, repetitions, lost answers, races."""

from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest

from shared.conversation import Appointment
from shared.errors import NeedsPerson, OutcomeUnknown, PartnerRefused, RetryLater, SlotUnavailable
from tests.workers.seguimiento.conftest import CARLA, DAY, ELENA, JUAN, ROSA, UNKNOWN, ZONE, Backend, at, wall
from workers.seguimiento import Seguimiento
from workers.seguimiento.booking import visit_id_of

TEN = at(10)


def book(
    agenda: Seguimiento,
    start: dt.datetime = TEN,
    key: str = "n1:schedule",
    reason: str | None = None,
    who: str = CARLA,
) -> Appointment:
    return agenda.schedule(who, start, reason, None, key)


def own_id(backend: Backend, phone: str, key: str = "n1:schedule") -> str:
    """The id that a booking of this patient must have."""
    number = int(phone.removeprefix("+591"))
    patient = next(row["id"] for row in backend.state()["patients"] if row["telefono"] == number)
    return visit_id_of(patient, key)


def test_the_same_key_of_two_patients_is_two_visits(agenda: Seguimiento, backend: Backend) -> None:
    first, second = book(agenda), book(agenda, at(11), who=ROSA)
    assert (backend.visit(first.id)["tratamiento"]["paciente"]["nombre"], first.name) == ("Carla Flores",) * 2
    assert (backend.visit(second.id)["tratamiento"]["paciente"]["nombre"], second.name) == ("Rosa Mamani",) * 2


def test_a_visit_is_booked_with_our_id_in_the_treatment_in_course(agenda: Seguimiento, backend: Backend) -> None:
    booked = book(agenda, who=JUAN, reason="control")
    row = backend.visit(booked.id)
    assert (booked.id, booked.start, booked.status) == (own_id(backend, JUAN), at(10), "scheduled")
    assert (booked.phone, booked.name, booked.reason) == (JUAN, "Juan Quispe", "control")
    assert row["fecha_programada"] == wall(at(10))
    assert (row["estado"]["descripcion"], row["tipo"]["descripcion"]) == ("Programado", "Revisión médica")
    assert row["observaciones"] == "WhatsApp: control"
    newest = max(r["tratamiento"]["fecha_inicio"] for r in backend.rows(JUAN))
    assert row["tratamiento"]["fecha_inicio"] == newest
    assert [visit.start for visit in agenda.of_patient(JUAN) if visit.start.date() == DAY] == [at(10)]


@pytest.mark.parametrize(
    ("reason", "name", "type", "notes"),
    [
        ("medicamentos", None, "Toma de medicamentos", "WhatsApp: medicamentos"),
        ("laboratorio", "Luz Mamani", "Revisión médica", "WhatsApp: laboratorio, a nombre de Luz Mamani"),
        (None, None, "Revisión médica", "WhatsApp"),
    ],
)
def test_the_reason_chooses_the_type(
    reason: str | None, name: str | None, type: str, notes: str, agenda: Seguimiento, backend: Backend
) -> None:
    booked = agenda.schedule(CARLA, at(10), reason, name, "n1:schedule")
    row = backend.visit(booked.id)
    assert (row["tipo"]["descripcion"], row["observaciones"]) == (type, notes)
    [found] = agenda.of_patient(CARLA)
    assert found.reason == (reason or "")


@pytest.mark.parametrize("who", [UNKNOWN, "+5491122334455", ELENA])
def test_nobody_without_a_treatment_in_course_is_booked(who: str, agenda: Seguimiento, backend: Backend) -> None:
    before = len(backend.state()["visits"])
    with pytest.raises(NeedsPerson) as raised:
        book(agenda, who=who)
    assert raised.value.why == "sin_registro"
    assert len(backend.state()["visits"]) == before


@pytest.mark.parametrize(
    ("start", "why"),
    [
        (at(10, day=DAY - dt.timedelta(days=60)), "past"),
        (at(13), "closed"),
        (at(10, 15), "closed"),
        (at(17, 45), "closed"),
        (at(10, day=DAY + dt.timedelta(days=5)), "closed"),  # Sunday
        (at(9), "slot_taken"),
        (at(11), "slot_taken"),  # a row with odd minutes takes the slot that holds it
    ],
    ids=str,
)
def test_a_time_that_cannot_be_is_refused_with_others(
    start: dt.datetime, why: str, agenda: Seguimiento, backend: Backend
) -> None:
    backend.row(ROSA, at(9))
    backend.row(JUAN, at(11, 7))
    with pytest.raises(SlotUnavailable) as raised:
        book(agenda, start)
    assert raised.value.reason == why
    assert len(raised.value.alternatives) == 3
    assert backend.rows(CARLA) == []
    taken = raised.value.alternatives[0]
    assert book(agenda, taken, key="n2:schedule").start == taken


def test_as_many_as_the_capacity_says(build: Any, backend: Backend) -> None:
    agenda = build(SLOT_CAPACITY=2)
    backend.row(ROSA, at(10))
    assert at(10) in agenda.free_slots(DAY)
    book(agenda)
    assert at(10) not in agenda.free_slots(DAY)
    with pytest.raises(SlotUnavailable):
        book(agenda, who=JUAN, key="n2:schedule")


def test_free_times_are_the_opening_hours_without_what_is_taken(build: Any, backend: Backend) -> None:
    backend.states(add=("Cancelado",))
    backend.row(ROSA, at(9, 30))
    backend.row(ROSA, at(8), state="Cancelado")
    free = build(SLOT_MINUTES=30).free_slots(DAY)
    assert len(free) == 15
    assert (free[0], free[-1]) == (at(8), at(17, 30))
    assert at(9, 30) not in free
    assert build(SLOT_MINUTES=60).free_slots(DAY)[:2] == [at(8), at(10)]
    assert build().free_slots(dt.datetime.now(ZONE).date() - dt.timedelta(days=1)) == []


def test_a_repetition_changes_nothing_that_staff_changed_meanwhile(agenda: Seguimiento, backend: Backend) -> None:
    booked = book(agenda)
    agenda.reschedule(booked.id, at(15), "staff", phone=CARLA)
    again = book(agenda)
    assert (again.id, again.start) == (booked.id, at(15))
    assert len(backend.rows(CARLA)) == 1


@pytest.mark.parametrize("fault", [{"drop": "after"}, {"status": 504, "raw_body": "<html>", "commit": True}], ids=str)
def test_a_booking_whose_answer_was_lost_is_read_back(
    fault: dict[str, Any], agenda: Seguimiento, backend: Backend
) -> None:
    backend.fault(kind="create", **fault)
    assert book(agenda).start == at(10)
    assert len(backend.rows(CARLA)) == 1


def test_a_booking_that_timed_out_is_read_back(build: Any, backend: Backend) -> None:
    backend.fault(kind="create", delay_answer_s=1.5)
    assert book(build(SEGUIMIENTO_TIMEOUT=0.5)).start == at(10)
    assert len(backend.rows(CARLA)) == 1


def test_a_booking_that_did_not_arrive_is_sent_once_more(agenda: Seguimiento, backend: Backend) -> None:
    backend.fault(kind="create", drop="before")
    assert book(agenda).start == at(10)
    assert len(backend.rows(CARLA)) == 1


def test_a_booking_that_never_arrives_is_not_said_to_be_done(agenda: Seguimiento, backend: Backend) -> None:
    backend.fault(kind="create", drop="before", times=0)
    with pytest.raises(OutcomeUnknown):
        book(agenda)
    assert backend.rows(CARLA) == []


def test_a_booking_that_cannot_be_read_back_is_unknown_and_known_again_later(
    agenda: Seguimiento, backend: Backend
) -> None:
    backend.fault(kind="create", drop="after")
    backend.fault(kind="visits", status=503, raw_body="", call=2, times=2)
    with pytest.raises(OutcomeUnknown):
        book(agenda)
    backend.control("DELETE", "faults")
    assert book(agenda).start == at(10)
    assert len(backend.rows(CARLA)) == 1


def test_nothing_is_written_while_the_table_cannot_be_seen(agenda: Seguimiento, backend: Backend) -> None:
    backend.fault(kind="table", status=503, raw_body="")
    with pytest.raises(RetryLater):
        book(agenda)
    assert backend.rows(CARLA) == []


def test_the_echo_of_a_write_is_not_believed(build: Any, backend: Backend) -> None:
    """A server that moves times between writing and reading (its TZ was changed) is found out."""
    agenda = build(SEGUIMIENTO_CLOCK="wall")
    backend.fault(kind="create", delay_answer_s=0.4)
    timer = threading.Timer(0.2, lambda: backend.switch(time_zone="America/La_Paz"))
    timer.start()
    with pytest.raises(OutcomeUnknown):
        book(agenda)
    timer.join()


def test_a_release_that_ignores_our_id_is_met_by_time(agenda: Seguimiento, backend: Backend) -> None:
    backend.switch(takes_own_id=False)
    backend.fault(kind="create", drop="after")
    booked = book(agenda)
    assert booked.id != own_id(backend, CARLA)
    assert book(agenda).id == booked.id
    assert len(backend.rows(CARLA)) == 1


def test_ids_of_a_catalogue_that_changed_are_read_again(agenda: Seguimiento, backend: Backend) -> None:
    book(agenda)
    backend.states(retire=("Programado",))
    backend.states(add=("Programado",))  # with another id
    assert book(agenda, at(15), key="n2:schedule").start == at(15)


def test_a_word_that_is_missing_refuses_and_is_never_added(agenda: Seguimiento, backend: Backend) -> None:
    backend.states(retire=("Programado",))
    with pytest.raises(PartnerRefused):
        book(agenda)
    assert "Programado" not in backend.state()["states"]


def test_two_workers_never_book_one_place_twice(build: Any, backend: Backend) -> None:
    workers, taken = [build(), build()], []

    def run(agenda: Seguimiento, who: str) -> None:
        try:
            book(agenda, who=who, key=who)
        except SlotUnavailable as refused:
            taken.append(refused.reason)

    threads = [threading.Thread(target=run, args=pair) for pair in zip(workers, (CARLA, ROSA), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = [row for row in backend.state()["visits"] if row["fecha_programada"] == wall(at(10))]
    assert (len(there), taken) == (1, ["slot_taken"])


@pytest.mark.parametrize("can_cancel", [True, False])
def test_staff_who_were_quicker_keep_the_place(can_cancel: bool, agenda: Seguimiento, backend: Backend) -> None:
    """They booked between our look at the slot and our write."""
    if can_cancel:
        backend.states(add=("Cancelado",))
    backend.fault(kind="create", delay_s=0.4)
    early = dt.datetime.now(dt.UTC).replace(tzinfo=None) - dt.timedelta(minutes=1)
    timer = threading.Timer(0.2, lambda: backend.row(ROSA, at(10), created_at=early.isoformat()))
    timer.start()
    with pytest.raises(SlotUnavailable if can_cancel else NeedsPerson) as raised:
        book(agenda)
    timer.join()
    states = {row["estado"]["descripcion"] for row in backend.rows(CARLA)}
    if can_cancel:
        assert states == {"Cancelado"}
        with pytest.raises(SlotUnavailable):  # the same turn, repeated after a crash
            book(agenda)
        assert at(10) not in raised.value.alternatives
    else:
        assert states == {"Programado"}
        assert raised.value.why == "por_persona"


def test_staff_who_came_later_do_not_take_it_away(agenda: Seguimiento, backend: Backend) -> None:
    backend.fault(kind="create", delay_answer_s=0.4)
    timer = threading.Timer(0.2, lambda: backend.row(ROSA, at(10)))
    timer.start()
    assert book(agenda).start == at(10)
    timer.join()
