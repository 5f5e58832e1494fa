"""How the steps of a reply and the story of a message are read from traces and audit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.breakdown import Steps, steps_of
from benchmarks.scaling import Story, drain_rate, stories
from shared.state.audit import Event, Record
from tests.otlp import Span

START = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
START_NS = round(START.timestamp() * 1e9)


def span(name: str, begins_ms: float, ends_ms: float) -> Span:
    times = (START_NS + round(begins_ms * 1e6), START_NS + round(ends_ms * 1e6))
    return Span("worker", name, "t", name, "", "internal", {}, [], "", *times)


def record(event: Event, at_ms: float, *ids: str) -> Record:
    return Record(START + timedelta(milliseconds=at_ms), event, "p_1", ids)


def test_the_steps_of_a_reply_leave_out_the_quiet_time_and_show_partners_and_model_apart() -> None:
    spans = [
        span("accept", -3, 0),
        span("turn", 807, 930),
        span("backend GET patients", 809, 811),
        span("backend GET appointments", 811, 812),
        span("understand", 812, 915),
        span("model", 814, 914),
        span("commit", 920, 922),
        span("send", 927, 931),
    ]
    records = [
        record(Event.ACCEPTED, 0, "m_1"),
        record(Event.SENDING, 926, "d_1"),
        record(Event.SENT, 932, "d_1"),
    ]
    found = steps_of(5.0, spans, records, quiet_ms=800)
    expected = Steps(accept=5, queue=7, drain=10, backend=3, model=100, commit=2, deliver_queue=4, deliver=2, post=4)
    for name in Steps.__dataclass_fields__:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=0.01), name
    assert found.road == pytest.approx(30, abs=0.01)


def test_a_turn_by_rules_has_no_share_of_the_model() -> None:
    spans = [span("turn", 800, 810), span("commit", 808, 809), span("send", 811, 812)]
    records = [record(Event.ACCEPTED, 0, "m_1"), record(Event.SENDING, 810, "d_1"), record(Event.SENT, 813, "d_1")]
    assert steps_of(1.0, spans, records, quiet_ms=800).model == 0


def test_a_story_ends_with_the_reply_that_answers_the_message_and_strangers_are_left_out() -> None:
    records = [
        record(Event.ACCEPTED, 0, "m_1"),
        record(Event.ACCEPTED, 10, "m_other"),
        record(Event.DRAINED, 1300, "m_1"),
        record(Event.DRAINED, 2000, "m_1"),  # the turn was repeated: it had been taken before
        record(Event.COMMITTED, 2100, "m_1", "d_1"),
        record(Event.COMMITTED, 2100, "m_other", "d_other"),
        record(Event.SENT, 2150, "d_other"),
        record(Event.SENT, 2200, "d_1"),
    ]
    told = stories(records, ["m_1", "m_lost"])
    assert set(told) == {"m_1", "m_lost"}
    assert told["m_1"].wait_ms() == 500
    assert told["m_1"].sent == START.timestamp() * 1000 + 2200
    assert told["m_lost"].sent is None


def test_the_rate_of_a_backlog_leaves_out_its_first_and_last_tenth() -> None:
    steady = [Story(0, 0, 1000 + 100 * n) for n in range(20)]
    assert drain_rate(steady) == pytest.approx(10)
    late = [*steady[:-1], Story(0, 0, 60_000), Story(0, 0, None)]
    assert drain_rate(late) == pytest.approx(10)
