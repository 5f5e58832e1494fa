"""A thread that has answered one patient goes on with the next who is due; under load no bells are needed."""

from __future__ import annotations

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
    assert still_due(clinic, patients) == patients[1:]
    sweep_once(clinic.services)
    assert not clinic.bells.rung


def test_it_ends_when_the_worker_stops(clinic: Clinic) -> None:
    patients = due(clinic, 3)
    clinic.services.stopping.set()
    answer_while_due(clinic.services, patients[0])
    assert still_due(clinic, patients) == patients[1:]
