"""The stream: silent while nothing changes, short, and bounded; and the words that change once a minute."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from flask.testing import FlaskClient

from tests.ops_world import World
from webhook.ops import events, wording
from webhook.ops.pieces import Rendered


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def stream(*looks: list[Rendered] | Exception) -> list[str]:
    """All that a stream says when its looks find this, one after the other, the last again and again."""
    left = list(looks)
    clock = Clock()

    def look() -> list[Rendered]:
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return list(events.changes(look, sleep=clock.sleep, clock=clock))


def data(event: str) -> dict[str, Any]:
    return dict(json.loads(event.split("data: ")[1]))


ONE, TWO, TWO_NEW = (Rendered(key, digest, f"<p>{digest}</p>") for key, digest in (("a", "1"), ("b", "2"), ("b", "3")))


def test_only_what_changed_travels() -> None:
    told = [event for event in stream([ONE, TWO], [ONE, TWO], [ONE, TWO_NEW], [TWO_NEW]) if not event.startswith(":")]
    assert [list(data(event)["pieces"]) for event in told] == [["a", "b"], ["b"], []]
    assert [data(event)["order"] for event in told] == [["a", "b"], ["a", "b"], ["b"]]


def test_a_change_of_order_is_a_change() -> None:
    told = [event for event in stream([ONE, TWO], [TWO, ONE]) if not event.startswith(":")]
    assert [data(event)["order"] for event in told] == [["a", "b"], ["b", "a"]]


def test_a_quiet_stream_ends_after_five_minutes_and_says_that_it_lives() -> None:
    told = stream([ONE])
    assert told[0].startswith("event: change")
    assert told[1:] == [": \n\n"] * (len(told) - 1)
    assert 15 <= len(told) <= 20


def test_a_stream_ends_at_once_when_its_process_stops() -> None:
    clock = Clock()
    told = list(events.changes(lambda: [ONE], serving=lambda: clock.now < 1, sleep=clock.sleep, clock=clock))
    assert len(told) == 1
    assert clock.now == 1


def test_trouble_is_said_once_and_everything_is_told_again_after_it() -> None:
    down = redis.ConnectionError("gone")
    told = [event for event in stream([ONE], down, down, [ONE]) if not event.startswith(":")]
    assert [event.split("\n")[0] for event in told] == ["event: change", "event: trouble", "event: change"]


@pytest.mark.parametrize("page", ["estado", "alertas", "llamadas", "derivaciones", "bajas", "cartas", "paciente"])
def test_each_page_streams_what_it_shows(page: str, staff: FlaskClient, world: World, client: redis.Redis) -> None:
    patient = world.ids["elena"]
    with staff.get(f"/ops/events?page={page}&p={patient}") as answer:
        assert answer.mimetype == "text/event-stream"
        assert answer.headers["X-Accel-Buffering"] == "no"
        first = next(iter_text(answer))
    path = {"estado": "/ops", "paciente": f"/ops/paciente/{patient}"}.get(page, f"/ops/{page}")
    shown = staff.get(path).text
    for key in data(first)["order"]:
        assert f'data-piece="{key}"' in shown
    digests = [html.split('data-v="')[1][:12] for html in data(first)["pieces"].values()]
    assert all(f'data-v="{digest}"' in shown for digest in digests)  # forms' one-time ids change nothing


def iter_text(answer: Any) -> Iterator[str]:
    return (part.decode() if isinstance(part, bytes) else part for part in answer.response)


def test_an_unknown_page_has_no_stream(staff: FlaskClient) -> None:
    for query in ("page=nada", "page=paciente&p=handoffs", "page=paciente"):
        assert staff.get(f"/ops/events?{query}").status_code == 404


def test_too_many_streams_are_refused_and_a_closed_one_makes_room(
    staff: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = [staff.get("/ops/events") for _ in range(events.AT_ONCE)]
    assert staff.get("/ops/events").status_code == 503
    opened.pop().close()
    with staff.get("/ops/events") as answer:
        assert answer.status_code == 200
    for answer in opened:
        answer.close()


NOW = datetime(2026, 8, 5, 16, 0, tzinfo=UTC)
ZONE = ZoneInfo("America/La_Paz")


@pytest.mark.parametrize(
    ("minutes", "ago", "clock"),
    [
        (0, "hace menos de 1 min", "hoy 12:00"),
        (5.9, "hace 5 min", "hoy 11:54"),
        (125, "hace 2 h 5 min", "hoy 9:55"),
        (13 * 60, "hace 13 h", "ayer 23:00"),
        (3 * 1440, "hace 3 días", "domingo 2 de agosto, 12:00"),
    ],
)
def test_times_in_words(minutes: float, ago: str, clock: str) -> None:
    now_ms = NOW.timestamp() * 1000
    at = now_ms - minutes * 60_000
    assert (wording.ago(at, now_ms), wording.moment(at, now_ms, ZONE)) == (ago, clock)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("no_number", "Su cita no tiene un número que sirva"),
        ("PartnerRefused", "WhatsApp no pudo entregarle el mensaje"),
        ("nuevo", "Otro motivo (nuevo)"),
        ("", "Sin motivo anotado"),
    ],
)
def test_reasons_in_words(code: str, words: str) -> None:
    assert wording.why(code) == words


def test_a_visit_and_numbers_in_words() -> None:
    now_ms = NOW.timestamp() * 1000
    assert wording.visit("2026-08-06T10:30:00-04:00", now_ms, ZONE) == "mañana 10:30"
    assert wording.visit("2026-08-20T10:30:00", now_ms, ZONE) == "jueves 20 de agosto, 10:30"
    assert wording.visit("nunca", now_ms, ZONE) == ""
    assert [wording.number(digits) for digits in ("59170000001", "5491155550066", "", None)] == [
        "+591 7000 0001",
        "+5491155550066",
        "",
        "",
    ]
