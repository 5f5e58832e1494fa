"""The audit folded into one story: from a message to its statuses, and back from a reply to its messages."""

from __future__ import annotations

import datetime as dt

import redis

from shared.identity import message_id
from shared.state import trace
from shared.state.at_rest import sent_key
from shared.state.audit import Event, Record, note
from shared.timeline import WRITTEN, begins, timeline

START = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
WROTE_MS = round(START.timestamp() * 1000) - 2000


def record(after_ms: int, event: Event, *ids: str, patient: str = "p_1", **detail: object) -> Record:
    at = START + dt.timedelta(milliseconds=after_ms)
    return Record(at, event.value, patient, ids, detail, f"{round(at.timestamp() * 1000)}-0")


STORY = [
    record(0, Event.ACCEPTED, "m_1", kind="text", wrote_ms=WROTE_MS),
    record(100, Event.ACCEPTED, "m_2", kind="text", wrote_ms=WROTE_MS),
    record(150, Event.ACCEPTED, "m_3", patient="p_2", wrote_ms=WROTE_MS),
    record(900, Event.DRAINED, "m_1", "m_2", worker="first"),
    record(1000, Event.COMMITTED, "m_1", "m_2", "d_1", action="inform"),
    record(1010, Event.SENDING, "d_1", attempt=1),
    record(1200, Event.SENT, "d_1"),
    record(1250, Event.SENT, "d_7", patient="p_2"),
    record(2000, Event.STATUS, "d_1", status="delivered"),
]


def told(identifier: str, records: list[Record]) -> list[str]:
    return [step.what for step in timeline(records, identifier)]


def test_a_message_brings_the_reply_that_answers_it_and_nothing_of_others() -> None:
    steps = timeline(STORY, "m_1")
    assert [s.what for s in steps] == [
        WRITTEN,
        "accepted",
        "drained",
        "committed",
        "sending",
        "sent",
        "status",
    ]
    assert [s.after_ms for s in steps] == [None, 2000, 900, 100, 10, 190, 800]
    assert {s.patient for s in steps} == {"p_1"}
    assert begins(steps)


def test_a_delivery_leads_back_to_every_message_that_it_answers() -> None:
    assert told("d_1", STORY) == [
        WRITTEN,
        WRITTEN,
        "accepted",
        "accepted",
        "drained",
        "committed",
        "sending",
        "sent",
        "status",
    ]


def test_an_alarm_brings_its_message_the_fixed_reply_and_who_took_it() -> None:
    records = [
        record(0, Event.ACCEPTED, "m_1", wrote_ms=WROTE_MS),
        record(5, Event.ALARM, "m_1", "d_1", level="emergencia", alarm="a_1"),
        record(50, Event.SENT, "d_1"),
        record(60, Event.COMMITTED, "m_1", action="escalate"),
        record(9000, Event.ACKNOWLEDGED, "a_1", by="jefa"),
    ]
    story = [WRITTEN, "accepted", "alarm", "sent", "committed", "acknowledged"]
    assert told("a_1", records) == story
    assert told("m_1", records) == story
    assert told("d_1", records) == story


def test_nothing_known_is_an_empty_story() -> None:
    assert timeline(STORY, "m_404") == []
    assert not begins([])


def test_events_of_one_millisecond_keep_the_order_of_the_stream() -> None:
    at = START
    pair = [Record(at, e, "p_1", ("d_1",), {}, f"1-{n}") for n, e in ((10, "sent"), (9, "sending"))]
    assert told("d_1", pair) == ["sending", "sent"]


def test_meta_ids_of_both_directions_are_understood(client: redis.Redis) -> None:
    client.set(sent_key("wamid.OUT"), "d_1")
    assert trace.resolve(client, "wamid.OUT", b"k") == "d_1"
    assert trace.resolve(client, "wamid.IN", b"k") == message_id(b"k", "wamid.IN")
    assert trace.resolve(client, "a_1", b"k") == "a_1"
    assert trace.resolve(client, "Rosa", b"k") is None


def test_a_story_older_than_two_days_is_read_from_its_beginning(client: redis.Redis) -> None:
    now = dt.datetime.now(dt.UTC)
    days_ago = round((now - dt.timedelta(days=5)).timestamp() * 1000)
    for event, ids, offset in (("accepted", "m_1", 0), ("committed", "m_1 d_1", 500)):
        client.xadd("audit", {"e": event, "p": "p_1", "ids": ids, "d": "{}"}, id=f"{days_ago + offset}-0")
    note(client, Event.STATUS, "p_1", ["d_1"], status="read")  # inside the two days
    note(client, Event.SENT, "p_2", ["d_2"])
    assert [s.what for s in trace.steps_of(client, "d_1", now)] == ["accepted", "committed", "status"]
    assert trace.steps_of(client, "d_404", now) == []


def test_where_a_message_stands_is_read_beside_the_audit(client: redis.Redis) -> None:
    now = dt.datetime.now(dt.UTC)
    note(client, Event.ACCEPTED, "p_1", ["m_2"], wrote_ms=1)
    client.rpush("inbox:p_1", '1|{"id":"m_1"}', '2|{"id":"m_2"}')
    client.zadd("waiting", {"p_1": now.timestamp() * 1000 + 60_000})
    client.set("delay:p_1", "1", px=60_000)
    client.set("handoff:p_1", '{"reason":"person"}')
    found = trace.standing(client, "m_2", trace.steps_of(client, "m_2", now))
    assert (found.place, found.handoff, found.in_hand, found.letter) == (1, "person", False, "")
    assert found.due_in_s is not None
    assert 50 < found.due_in_s <= 60
    assert 50 < found.delayed_s <= 60
