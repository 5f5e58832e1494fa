"""A thread that has answered one patient goes on with the next who is due; under load no bells are needed."""

from __future__ import annotations

from shared.state import sweep
from tests.workers.fakes import Clinic
from workers.onward import answer_while_due
from workers.sweeper import sweep_once


def due(clinic: Clinic, count: int) -> list[str]:
    """So many patients whose turn is due, nothing in their inboxes: a turn of theirs ends at once."""
    patients = [f"p_{n:03}" for n in range(count)]
    clinic.client.zadd("waiting", {patient: n + 1 for n, patient in enumerate(patients)})
    return patients


def still_due(clinic: Clinic, patients: list[str]) -> list[str]:
    seconds, _ = clinic.client.time()
    return [p for p in patients if 0 < (clinic.client.zscore("waiting", p) or 0) < seconds * 1000]


def test_one_bell_answers_everybody_who_is_due(clinic: Clinic) -> None:
    patients = due(clinic, 30)
    answer_while_due(clinic.services, patients[7])
    assert still_due(clinic, patients) == []
    assert not clinic.bells.rung


def test_it_ends_when_others_have_taken_every_seat(clinic: Clinic) -> None:
    patients = due(clinic, 3)
    while clinic.services.turns.take():
        pass
    answer_while_due(clinic.services, patients[0])
    assert still_due(clinic, patients) == patients
    sweep_once(clinic.services)
    assert not clinic.bells.rung


def test_it_ends_when_the_worker_stops(clinic: Clinic) -> None:
    patients = due(clinic, 3)
    clinic.services.stopping.set()
    answer_while_due(clinic.services, patients[0])
    assert still_due(clinic, patients) == patients


def test_who_found_no_seat_keeps_the_place_in_the_line(clinic: Clinic) -> None:
    clinic.says("hola")
    came = int(clinic.client.lindex(f"inbox:{clinic.patient}", 0).partition("|")[0])
    while clinic.services.turns.take():
        pass
    assert sweep.take_turn(clinic.client) == clinic.patient
    assert clinic.client.zscore("waiting", clinic.patient) > came
    answer_while_due(clinic.services, clinic.patient)
    assert clinic.client.zscore("waiting", clinic.patient) == came


def test_who_found_no_seat_does_not_jump_a_delay(clinic: Clinic) -> None:
    clinic.says("hola")
    later = clinic.client.time()[0] * 1000 + 30_000
    clinic.client.zadd("waiting", {clinic.patient: later})
    while clinic.services.turns.take():
        pass
    answer_while_due(clinic.services, clinic.patient)
    assert clinic.client.zscore("waiting", clinic.patient) == later
