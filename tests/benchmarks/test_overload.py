"""The crowd of the overload benchmark, and the judge that must see each thing that can go wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from benchmarks.overload.crowd import DANGER_EVERY, crowd, patients_of
from benchmarks.overload.verdict import Verdict, judge
from shared.state.audit import Event, Record

NOW = datetime(2026, 11, 23, 13, 0, tzinfo=UTC)
WRITTEN = {"ana": ["m_1", "m_2"]}


def record(second: int, event: Event, *ids: str) -> Record:
    return Record(NOW + timedelta(seconds=second), event.value, "p", ids)


ROAD = [
    record(0, Event.ACCEPTED, "m_1"),
    record(1, Event.ACCEPTED, "m_2"),
    record(120, Event.NOTICED, "m_1", "d_notice"),
    record(130, Event.COMMITTED, "m_1", "d_1"),
    record(131, Event.SENT, "d_1"),
    record(140, Event.COMMITTED, "m_2", "d_2"),
    record(141, Event.SENT, "d_2"),
]


def found(received: list[str], *more: Record) -> Verdict:
    return judge(WRITTEN, [*ROAD, *more], received)


def test_what_went_well_is_clean() -> None:
    verdict = found(["d_notice", "d_1", "d_2"])
    assert verdict.is_clean
    assert (verdict.told, verdict.replies) == (1, 2)
    assert sorted(verdict.waits_s) == [131, 140]


def test_a_message_without_a_received_reply_is_lost() -> None:
    assert found(["d_notice", "d_1"]).lost == ["m_2"]


def test_a_reply_received_twice_and_a_message_with_two_replies_are_doubled() -> None:
    assert found(["d_1", "d_1", "d_2"]).doubled == ["d_1"]
    assert found(["d_1", "d_2", "d_3"], record(150, Event.COMMITTED, "m_2", "d_3")).doubled == ["m_2"]


def test_replies_in_another_order_than_the_messages_are_seen() -> None:
    assert found(["d_2", "d_1"]).disordered == ["ana"]


def test_a_notice_after_the_answer_or_a_second_one_before_it_is_wrong() -> None:
    assert found(["d_1", "d_notice", "d_2"]).told_wrongly == ["ana"]
    again = record(125, Event.NOTICED, "m_2", "d_again")
    assert found(["d_notice", "d_again", "d_1", "d_2"], again).told_wrongly == ["ana"]
    assert found(["d_notice", "d_1", "d_again", "d_2"], again).told_wrongly == []


def test_a_crowd_has_all_its_messages_in_time_and_each_patient_in_order() -> None:
    lines = crowd(2000, 60.0)
    assert len(lines) == 2000 == len({line.number for line in lines})
    assert all(0 <= line.at_s <= 60 for line in lines)
    assert any(line.in_danger for line in lines)
    assert patients_of(lines) / DANGER_EVERY - 1 <= sum(line.in_danger for line in lines)
    for patient in range(50):
        numbers = [line.number for line in lines if line.patient == patient]
        assert numbers == sorted(numbers)
