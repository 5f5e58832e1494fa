"""What the last line of a timeline says: how it ended, or why it has not yet."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest

from shared.state.audit import Event
from shared.timeline import Standing, Step
from workers.timeline import conclude, describe, line

AT = dt.datetime(2026, 3, 2, 12, 0, 0, 250_000, tzinfo=dt.UTC)


def step(event: Event, *ids: str, **detail: object) -> Step:
    return Step(AT, event.value, 1250, "p_1", ids, detail)


WAITED = step(Event.WAITS, "m_1", why="RetryLater", wait_s=10)
COMMITTED = step(Event.COMMITTED, "m_1", "d_1", action="inform")


@pytest.mark.parametrize(
    ("steps", "now", "expected"),
    [
        ([], Standing(place=0, due_in_s=4.2), "in the inbox at place 1, looked at in 4.2 s"),
        ([WAITED], Standing(place=1, delayed_s=9), "at place 2, tried again in 9 s after RetryLater"),
        ([], Standing(place=0, in_hand=True), "a worker has the patient in hand"),
        ([], Standing(place=0), "nobody will be rung for it"),
        ([], Standing(place=0, due_in_s=0, handoff="alarm"), "no worker has taken it (see /health); a person has"),
        ([step(Event.GIVEN_UP, "m_1", "d_9")], Standing(letter="x_1"), "dead letter x_1"),
        ([COMMITTED], Standing(deliveries={"d_1": "queued"}), "d_1 is in the outbox"),
        ([COMMITTED], Standing(), "d_1 is in the outbox"),
        ([COMMITTED, step(Event.SENT, "d_1")], Standing(), "d_1 was sent, no status of Meta yet"),
        ([step(Event.UNKNOWN, "d_1"), step(Event.STATUS, "d_1", status="read")], Standing(), "Meta says: read"),
        ([COMMITTED, step(Event.FAILED, "d_1", code="131047")], Standing(), "d_1 failed"),
        ([step(Event.COMMITTED, "m_1", action="handoff")], Standing(handoff="person"), "a person has the patient"),
        ([step(Event.COMMITTED, "m_1", action="ignore")], Standing(), "Answered without a delivery (ignore)"),
        ([step(Event.ACCEPTED, "m_1")], Standing(), "it was not answered"),
        ([], Standing(), "a wrong id, or older than the audit"),
    ],
)
def test_the_last_line_says_how_it_stands(steps: list[Step], now: Standing, expected: str) -> None:
    assert expected in conclude("m_1", steps, now)


def test_a_line_has_the_time_of_the_clinic_and_the_milliseconds_since_the_step_before() -> None:
    found = line(COMMITTED, ZoneInfo("America/La_Paz"))
    assert found == "2026-03-02 08:00:00.250       +1,250 ms  committed: inform [d_1]"


@pytest.mark.parametrize("event", list(Event))
def test_every_event_can_be_told_even_with_no_detail(event: Event) -> None:
    assert describe(step(event))
