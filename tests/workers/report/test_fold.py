"""From audit to figures: against a count made while the days were invented, and rule by rule on written events."""

from __future__ import annotations

import datetime as dt
import time
import tracemalloc
from collections.abc import Iterator

import pytest
import redis

from shared.canary import canary_patient
from shared.settings import Settings
from shared.state import audit
from shared.state.alarms import alarm_id
from shared.state.audit import Record
from tests.workers.report.simulated_week import MONDAY, MORNING_AFTER, ZONE, SimulatedWeek
from workers.report.figures import DayFigures, Moment, quantile
from workers.report.fold import bounds, fold

NOON = dt.datetime(2026, 11, 23, 12, tzinfo=ZONE)
P = "p_1"


def at(seconds: float, event: str, *ids: str, patient: str = P, **detail: object) -> Record:
    return Record((NOON + dt.timedelta(seconds=seconds)).astimezone(dt.UTC), event, patient, ids, detail)


def day_of(*records: Record, **more: object) -> DayFigures:
    ordered = sorted(records, key=lambda record: record.at)
    return fold(ordered, MONDAY, ZONE, **({"burst_ms": 800} | more))  # type: ignore[arg-type]


def turn(start: float, message: str, **detail: object) -> list[Record]:
    """Accepted, understood, committed with a reply that is sent two seconds after the message."""
    reply = message.replace("m_", "d_")
    said = {"intent": "saludo", "source": "both", "confidence": 0.9, "action": "inform"} | detail
    return [
        at(start, "accepted", message, channel="whatsapp"),
        at(start + 1, "understood", message, model="v4"),
        at(start + 1.1, "committed", message, reply, **said),
        at(start + 2, "sent", reply),
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_simulated_week_is_counted_as_it_was_invented(client: redis.Redis, settings: Settings, seed: int) -> None:
    week = SimulatedWeek(settings, seed=seed, busy=60)
    week.write(client)
    for day, truth in week.truth.items():
        begin, end = bounds(day, ZONE)
        records = audit.read(client, begin, end + dt.timedelta(hours=7))
        found = fold(records, day, ZONE, burst_ms=800, ignore=frozenset({canary_patient(settings)}))
        assert found.messages == truth.messages
        assert found.patients == len(truth.patients)
        assert dict(enumerate(found.by_hour)) == {hour: truth.by_hour[hour] for hour in range(24)}
        assert found.intents == truth.intents
        assert found.sources == truth.sources
        assert found.confidence_mean == pytest.approx(sum(truth.confidences) / len(truth.confidences))
        assert found.confidence_low == pytest.approx(sum(c < 0.5 for c in truth.confidences) / len(truth.confidences))
        assert found.visits == truth.visits
        assert found.alarms == truth.alarms
        assert found.acknowledged == len(truth.acknowledged_s)
        assert found.acknowledged_longest_s == max(truth.acknowledged_s, default=None)
        assert found.unanswered == len(truth.late)
        assert set(found.unanswered_ids) <= set(truth.late)
        assert found.given_up == truth.given_up
        assert found.failed_replies == truth.failed_replies
        assert found.silent_turns == truth.silent
        assert found.optouts == truth.optouts
        assert {name: n for name, n in found.reminders.items() if n} == dict(truth.reminders)
        assert found.reminder_calls == truth.reminder_calls
        assert found.other_calls == truth.other_calls
        assert found.replies == len(truth.reply_s)
        times = sorted(truth.reply_s)
        assert found.reply_p50_s == pytest.approx(times[(len(times) + 1) // 2 - 1], abs=0.002)
        assert found.reply_p99_s == pytest.approx(times[-(-len(times) * 99 // 100) - 1], abs=0.002)


def test_a_reply_is_measured_from_the_end_of_the_burst() -> None:
    found = day_of(
        at(0, "accepted", "m_1"),
        at(0.5, "accepted", "m_2"),
        at(2, "committed", "m_1", "m_2", "d_1", intent="saludo", source="rules"),
        at(3, "sent", "d_1"),
    )
    assert (found.replies, found.reply_p50_s) == (1, pytest.approx(3 - 0.5 - 0.8))
    assert found.unanswered == 0


def test_what_ends_after_midnight_belongs_to_the_day_before() -> None:
    late_evening = (bounds(MONDAY, ZONE)[1] - NOON).total_seconds() - 1
    early = (bounds(MONDAY, ZONE)[0] - NOON).total_seconds()
    found = day_of(
        *turn(late_evening, "m_1"),
        at(late_evening, "alarm", "m_9", "d_9", level="emergencia", told=True),
        at(late_evening + 900, "acknowledged", alarm_id("m_9"), by="email", after_s=900),
        # Yesterday's: accepted before midnight, answered with a message of today.
        at(early - 1, "accepted", "m_0"),
        at(early + 1, "accepted", "m_3"),
        at(early + 2, "understood", "m_0"),
        at(early + 3, "committed", "m_0", "m_3", "d_3", intent="saludo", source="both"),
        at(early + 4, "sent", "d_3"),
        # Tomorrow's
        *turn(late_evening + 60, "m_4"),
    )
    assert (found.messages, found.turns, found.unanswered) == (2, 1, 0)
    assert (found.danger, found.acknowledged, found.acknowledged_median_s) == (1, 1, 900)


def test_no_answer_for_ten_minutes_is_told_with_its_id() -> None:
    found = day_of(
        at(0, "accepted", "m_never"),
        *turn(0, "m_quick"),
        at(0, "accepted", "m_slow"),
        at(601, "committed", "m_slow", "d_slow"),
        at(602, "sent", "d_slow"),
        at(0, "accepted", "m_given_up"),
        at(60, "given_up", "m_given_up", why="TurnError"),
        at(0, "accepted", "m_not_sent"),
        at(1, "committed", "m_not_sent", "d_not_sent"),
        at(2, "failed", "d_not_sent"),
        at(9, "status", "d_not_delivered", status="failed", code="131026"),
        at(0, "accepted", "m_reaction", kind="reaction"),
        at(1, "committed", "m_reaction"),
        at(0, "accepted", "m_dropped"),
        at(1, "committed", "m_dropped", "d_dropped"),
        at(2, "dropped", "d_dropped", why="handoff"),
        at(0, "accepted", "m_settled"),
        at(1, "committed", "m_settled", "d_settled"),
        at(2, "unknown", "d_settled"),
        at(5, "status", "d_settled", status="delivered"),
        at(0, "accepted", "m_chat", channel="chat"),
        at(1, "committed", "m_chat", "d_chat"),
    )
    assert set(found.unanswered_ids) == {"m_never", "m_slow", "m_given_up", "m_not_sent"}
    assert (found.unanswered, found.given_up, found.failed_replies) == (4, 1, 2)


def test_a_message_that_has_only_just_come_is_not_late_yet() -> None:
    waiting = [at(0, "accepted", "m_1"), at(500, "accepted", "m_2")]
    assert day_of(*waiting, until=NOON + dt.timedelta(seconds=700)).unanswered_ids == ("m_1",)


def test_at_most_twenty_ids_are_named_and_all_are_counted() -> None:
    found = day_of(*(at(n, "accepted", f"m_{n}") for n in range(30)))
    assert (found.unanswered, len(found.unanswered_ids)) == (30, 20)


def test_danger_is_answered_by_its_fixed_reply_before_or_after_the_commit() -> None:
    alarm = {"level": "emergencia", "told": True}
    commit = {"intent": "urgencia", "source": "safety", "action": "escalate"}
    found = day_of(
        # Sent before the turn is closed, with an earlier message in the turn
        at(0, "accepted", "m_a"),
        at(0.3, "accepted", "m_b"),
        at(0.5, "alarm", "m_b", "d_b", **alarm),
        at(1.3, "sent", "d_b"),
        at(2, "committed", "m_a", "m_b", **commit),
        # Sent after it
        at(10, "accepted", "m_c"),
        at(10.1, "alarm", "m_c", "d_c", **alarm),
        at(11, "committed", "m_c", **commit),
        at(12, "sent", "d_c"),
        # Nobody told, never sent
        at(20, "accepted", "m_d"),
        at(20.1, "alarm", "m_d", "d_d", level="mismo_dia", told=False),
        at(21, "committed", "m_d", **commit),
    )
    assert found.alarms == {"emergencia": 2, "mismo_dia": 1}
    assert (found.alarms_untold, found.acknowledged) == (1, 0)
    assert found.intents == {"urgencia": 3}
    assert found.danger_reply_p95_s == pytest.approx(2)
    assert found.unanswered_ids == ("m_d",)
    assert found.confidence_mean is None


def test_a_turn_that_is_repeated_books_once() -> None:
    done = {"call": "schedule", "outcome": "done"}
    found = day_of(
        at(0, "accepted", "m_1"),
        at(1, "backend", "m_1", **done),
        at(1.5, "waits", "m_1", why="RetryLater", wait_s=5),
        at(9, "backend", "m_1", **done),
        *turn(20, "m_2"),
        at(21.05, "backend", "m_2", call="cancel", outcome="refused"),
        at(21.06, "backend", "m_2", call="freeslots", outcome="free"),
    )
    assert found.visits == {"schedule": 1}
    assert found.visits_failed == {"refused": 1}


def test_waiting_turns_are_counted_once_with_their_whole_wait() -> None:
    found = day_of(
        at(0, "accepted", "m_1"),
        at(1, "waits", "m_1", why="model", wait_s=2),
        at(3, "waits", "m_1", why="model", wait_s=2),
        at(5, "committed", "m_1", "d_1"),
        at(6, "sent", "d_1"),
    )
    assert (found.waits, found.waited_longest_s) == ({"model": 1}, 4)


def test_reminders_are_followed_from_sending_on() -> None:
    found = day_of(
        *(at(n, "planned", f"r_{n}") for n in range(5)),
        *(at(60 + n, "sent", f"r_{n}") for n in range(4)),
        at(100, "status", "r_0", status="delivered"),
        at(200, "status", "r_0", status="read"),
        at(100, "status", "r_1", status="read"),
        at(100, "status", "r_2", status="failed", code="131026"),
        at(100, "call", "r_2", why="failed"),
        at(60, "unknown", "r_4"),
        at(60, "dropped", "r_5", why="cancelled"),
        at(100, "status", "r_4", status="delivered"),
        at(100, "status", "r_yesterday", status="read"),
    )
    assert found.reminders == {"planned": 5, "sent": 5, "delivered": 3, "read": 2, "failed": 1, "dropped": 1}
    assert found.reminder_calls == {"failed": 1}


def test_the_canary_is_left_out() -> None:
    found = day_of(at(0, "accepted", "m_1", patient="p_canary"), *turn(0, "m_2"), ignore=frozenset({"p_canary"}))
    assert (found.messages, found.patients, found.unanswered) == (1, 1, 0)


def test_figures_survive_being_kept() -> None:
    found = day_of(*turn(0, "m_1"), at(5, "accepted", "m_2"))
    assert DayFigures.from_json(found.to_json()) == found
    older = DayFigures.from_json('{"day": "2026-11-23", "messages": 4, "gone_since": 1, "moment": {"calls": 2}}')
    assert (older.messages, older.moment, older.intents) == (4, Moment(calls=2), {})
    with pytest.raises(ValueError, match="day"):
        DayFigures.from_json("[]")


def test_quantiles_are_values_that_were_measured() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [quantile(values, share) for share in (0.5, 0.95, 0.99, 1)] == [50, 95, 99, 100]
    assert quantile([3.0], 0.5) == 3
    assert quantile([], 0.5) is None


def test_a_hundred_thousand_events_take_seconds_and_little_memory() -> None:
    def busy_day() -> Iterator[Record]:
        for n in range(25_000):
            yield from turn(n * 1.2, f"m_{n:024x}")

    tracemalloc.start()
    begin = time.process_time()
    found = fold(busy_day(), MONDAY, ZONE, burst_ms=800)
    took_s = time.process_time() - begin
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.messages, found.replies, found.unanswered) == (25_000, 25_000, 0)
    assert peak < 4_000_000  # the records alone would be fifty times this
    assert took_s < 20  # of the processor, traced; a second or two else


def test_days_are_the_clinics() -> None:
    begin, end = bounds(MONDAY, ZONE)
    assert begin.astimezone(dt.UTC) == dt.datetime(2026, 11, 23, 4, tzinfo=dt.UTC)
    assert (end - begin, end < MORNING_AFTER) == (dt.timedelta(days=1), True)
