"""What the sweep rings for, and when it comes back: no more turns than seats, and at the moment a burst is over."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from shared.celery_app import TaskName
from shared.state.sweep import Due
from tests.workers.fakes import Clinic
from workers.late import LateDeliveries
from workers.services import TURNS_AT_ONCE, Seats
from workers.sweeper import SOONEST_S, SWEEP_S, pause_s, sweep_once


def test_no_more_turns_are_rung_than_there_are_seats_and_who_waited_longest_comes_first(clinic: Clinic) -> None:
    waiting = [f"p_{n:03}" for n in range(TURNS_AT_ONCE + 5)]
    clinic.client.zadd("waiting", {patient: n for n, patient in enumerate(waiting)})
    for _ in range(4):
        clinic.services.turns.take()
    sweep_once(clinic.services)
    rung = [patient for (patient,) in clinic.bells.of(TaskName.DRAIN_INBOX)]
    assert rung == waiting[: TURNS_AT_ONCE - 4]
    assert clinic.client.zscore("waiting", waiting[-1]) == len(waiting) - 1  # still due, in its old place


def test_without_a_free_seat_no_turn_is_rung_but_what_is_to_be_sent_is_sent_without_a_bell(clinic: Clinic) -> None:
    clinic.says("¿qué es la tuberculosis?")
    clinic.triage()
    clinic.drain()
    clinic.client.zadd("outgoing", {f"{clinic.patient}:normal": 1})
    clinic.client.zadd("waiting", {"p_1": 1})
    clinic.bells.rung.clear()
    while clinic.services.turns.take():
        pass
    sweep_once(clinic.services)
    clinic.services.late.close()
    assert len(clinic.received()) == 1
    assert clinic.bells.rung == []


def test_a_lane_is_in_hand_once_however_often_it_is_due() -> None:
    late, may_end, done = LateDeliveries(2), threading.Event(), []

    def work() -> None:
        may_end.wait(30)
        done.append(1)

    assert late.send("p_1:normal", work)
    assert not late.send("p_1:normal", work)
    assert late.send("p_2:normal", work)
    may_end.set()
    late.close()
    assert done == [1, 1]


def test_a_delivery_that_fails_leaves_its_lane_to_the_next_sweep() -> None:
    late, again = LateDeliveries(1), threading.Event()

    def fails() -> None:
        raise redis.ConnectionError("away")

    assert late.send("p_1:normal", fails)
    deadline = time.monotonic() + 30
    while not again.is_set() and time.monotonic() < deadline:
        late.send("p_1:normal", again.set)
    late.close()
    assert again.is_set()


def test_the_sweep_comes_back_when_the_next_burst_is_over(clinic: Clinic) -> None:
    seconds, micros = clinic.client.time()
    now_ms = seconds * 1000 + micros // 1000
    clinic.client.zadd("waiting", {"p_1": now_ms + 60_000})
    due = sweep_once(clinic.services)
    assert 59_000 < due.next_ms <= 60_000
    assert not clinic.bells.rung


@pytest.mark.parametrize(
    ("next_ms", "expected_s"),
    [(-1, SWEEP_S), (40, 0.04), (5000, SWEEP_S), (0, SOONEST_S), (1, SOONEST_S)],
)
def test_a_pause_is_at_most_a_period_and_never_nothing(next_ms: int, expected_s: float) -> None:
    assert pause_s(Due([], [], [], next_ms), free=1) == expected_s


def test_without_a_free_seat_the_sweep_does_not_hurry() -> None:
    assert pause_s(Due([], [], [], next_ms=1), free=0) == SWEEP_S


def test_a_seat_is_free_again_when_it_was_left() -> None:
    seats = Seats(1)
    assert seats.take()
    assert not seats.take()
    seats.leave()
    assert seats.free == 1
