"""The reference backend: the contract of docs/architecture.md, section 5, over real HTTP. Its clock stands still."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from simulator.app import Simulator
from simulator.options import Options
from tests.simulator.conftest import ROSA, World

NOW = "2026-11-23T09:10:00-04:00"  # a Monday
TOMORROW_10 = "2026-11-24T10:00:00-04:00"


@pytest.fixture
def backend(world: World) -> World:
    world.control("reset", {"seed": False})
    world.control("clock", {"which": "backend", "at": NOW})
    return world


def _post(world: World, path: str, body: dict[str, Any], key: str | None = None) -> requests.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return world.http.post(f"{world.backend}/{path}", json=body, headers=headers, timeout=5)


def _get(world: World, path: str, **query: str) -> requests.Response:
    return world.http.get(f"{world.backend}/{path}", params=query, timeout=5)


def _book(world: World, at: str = TOMORROW_10, phone: str = ROSA, **more: str) -> requests.Response:
    return _post(world, "appointments/schedule", {"phone": phone, "datetime": at, **more})


def test_an_appointment_lives_from_booking_to_cancelling(backend: World) -> None:
    booked = _book(backend, reason="Recoger pastillas", name="Rosa Mamani")
    assert booked.status_code == 201
    body = booked.json()
    assert body["ref"] == "CC-0401"
    assert (body["datetime"], body["status"]) == (TOMORROW_10, "scheduled")
    own = {"appointment_id": body["appointment_id"]}
    assert _get(backend, "appointments", phone=ROSA).json() == [
        body | {"phone": ROSA, "name": "Rosa Mamani", "reason": "Recoger pastillas"}
    ]

    moved = _post(backend, "appointments/reschedule", own | {"datetime": "2026-11-25T15:30:00-04:00"})
    assert moved.json() == body | {"datetime": "2026-11-25T15:30:00-04:00", "status": "rescheduled"}
    assert _post(backend, "appointments/confirm", own).json() == own | {"status": "confirmed"}
    assert _post(backend, "appointments/cancel", own).json() == own | {"status": "cancelled"}
    assert _post(backend, "appointments/cancel", own).status_code == 200
    assert _get(backend, "appointments", phone=ROSA).json() == []
    assert _post(backend, "appointments/confirm", own).status_code == 404
    assert _post(backend, "appointments/reschedule", own | {"datetime": TOMORROW_10}).status_code == 404


def test_the_alias_books_too(backend: World) -> None:
    assert _post(backend, "appointments", {"phone": ROSA, "datetime": TOMORROW_10}).status_code == 201


@pytest.mark.parametrize("route", ["cancel", "confirm"])
@pytest.mark.parametrize("unknown", ["apt-999", "abc", "", 7])
def test_an_unknown_appointment_is_not_found(backend: World, route: str, unknown: object) -> None:
    assert _post(backend, f"appointments/{route}", {"appointment_id": unknown}).status_code == 404


REFUSED = {
    "taken": (TOMORROW_10, "slot_taken", ["2026-11-24T09:00", "2026-11-24T09:30", "2026-11-24T10:30"]),
    "lunch": ("2026-11-24T12:30:00-04:00", "closed", ["2026-11-24T11:00", "2026-11-24T11:30", "2026-11-24T14:00"]),
    "closing time": (
        "2026-11-24T18:00:00-04:00",
        "closed",
        ["2026-11-24T16:30", "2026-11-24T17:00", "2026-11-24T17:30"],
    ),
    "between slots": (
        "2026-11-24T15:10:00-04:00",
        "closed",
        ["2026-11-24T14:30", "2026-11-24T15:00", "2026-11-24T15:30"],
    ),
    "Sunday": ("2026-11-29T10:00:00-04:00", "closed", ["2026-11-28T11:30", "2026-11-30T08:00", "2026-11-30T08:30"]),
    "yesterday": ("2026-11-22T10:00:00-04:00", "past", ["2026-11-23T09:30", "2026-11-23T10:00", "2026-11-23T10:30"]),
    "ten minutes ago": (
        "2026-11-23T09:00:00-04:00",
        "past",
        ["2026-11-23T09:30", "2026-11-23T10:00", "2026-11-23T10:30"],
    ),
}


@pytest.mark.parametrize(("at", "error", "alternatives"), REFUSED.values(), ids=REFUSED.keys())
def test_a_refused_time_comes_with_the_three_nearest_free_ones(
    backend: World, at: str, error: str, alternatives: list[str]
) -> None:
    assert _book(backend, phone="+59170000009").status_code == 201
    refusal = _book(backend, at)
    assert refusal.status_code == 409
    body = refusal.json()
    # Of two that are equally far, the sooner one.
    assert body == {"error": error, "alternatives": [f"{time}:00-04:00" for time in alternatives]}
    assert all(
        _book(backend, free, f"+5917000001{i}").status_code == 201 for i, free in enumerate(body["alternatives"])
    )


def test_another_offset_names_the_same_moment(backend: World) -> None:
    assert _book(backend, "2026-11-24T14:00:00+00:00").json()["datetime"] == TOMORROW_10
    assert _book(backend, TOMORROW_10, "+59170000009").json()["error"] == "slot_taken"


def test_moving_to_its_own_place_is_allowed_and_frees_the_old_one(backend: World) -> None:
    own = {"appointment_id": _book(backend).json()["appointment_id"]}
    assert _post(backend, "appointments/reschedule", own | {"datetime": TOMORROW_10}).status_code == 200
    _post(backend, "appointments/reschedule", own | {"datetime": "2026-11-24T11:00:00-04:00"})
    assert _book(backend, phone="+59170000009").status_code == 201


def test_the_free_slots_of_a_day(backend: World) -> None:
    _book(backend)
    morning = ["08:00", "08:30", "09:00", "09:30", "10:30", "11:00", "11:30"]
    afternoon = [f"{hour}:{minute}" for hour in (14, 15, 16, 17) for minute in ("00", "30")]
    answer = _get(backend, "appointments/slots", date="2026-11-24").json()
    assert answer == {"date": "2026-11-24", "free": morning + afternoon}
    assert _get(backend, "appointments/slots", date="2026-11-28").json()["free"][-1] == "11:30"
    assert _get(backend, "appointments/slots", date="2026-11-29").json()["free"] == []
    assert _get(backend, "appointments/slots", date="2026-11-23").json()["free"][0] == "09:30"
    assert _get(backend, "appointments/slots", date="2026-11-20").json()["free"] == []
    backend.control("rules", {"closed_days": ["2026-11-24"], "slot_capacity": 2})
    assert _get(backend, "appointments/slots", date="2026-11-24").json()["free"] == []
    assert _book(backend, "2026-11-24T11:00:00-04:00").json()["error"] == "closed"


def test_capacity_is_how_many_share_a_slot(backend: World) -> None:
    backend.control("rules", {"slot_capacity": 2})
    assert [_book(backend, phone=f"+5917000000{i}").status_code for i in range(3)] == [201, 201, 409]


def test_upcoming_looks_ahead_so_many_hours(backend: World) -> None:
    _book(backend, "2026-11-25T11:00:00-04:00", "+59170000002")
    _book(backend)
    near = _get(backend, "appointments/upcoming").json()
    assert [one["datetime"] for one in near] == [TOMORROW_10]
    assert len(_get(backend, "appointments/upcoming", hours="50").json()) == 2
    assert _get(backend, "appointments/upcoming", hours="soon").status_code == 400


def test_missed_visits_are_listed_by_day_or_not_known(backend: World) -> None:
    backend.control(
        "agenda", {"phone": ROSA, "name": "Rosa", "datetime": "2026-11-20T09:00:00-04:00", "status": "missed"}
    )
    missed = _get(backend, "appointments/missed", date="2026-11-20").json()
    assert [(one["phone"], one["status"]) for one in missed] == [(ROSA, "missed")]
    assert _get(backend, "appointments/missed", date="2026-11-19").json() == []
    backend.control("rules", {"knows_missed": False})
    assert _get(backend, "appointments/missed", date="2026-11-20").status_code == 404


def test_the_same_key_gives_the_same_answer_and_books_once(backend: World) -> None:
    body = {"phone": ROSA, "datetime": TOMORROW_10}
    first, second = (_post(backend, "appointments/schedule", body, "key-1") for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert second.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    other = _post(backend, "appointments/schedule", body | {"reason": "otra"}, "key-1")
    assert other.status_code == 422
    assert _post(backend, "appointments/confirm", {"appointment_id": "apt-401"}, "key-1").status_code == 422
    assert len(_get(backend, "appointments", phone=ROSA).json()) == 1


def test_every_write_honours_the_key(backend: World) -> None:
    own = {"appointment_id": _book(backend).json()["appointment_id"]}
    alert = {"phone": ROSA, "category": "hemoptisis", "level": "emergencia", "at": NOW}
    writes = {
        "appointments/reschedule": own | {"datetime": "2026-11-24T11:00:00-04:00"},
        "appointments/confirm": own,
        "appointments/cancel": own,
        "alerts": alert,
    }
    for path, body in writes.items():
        answers = [_post(backend, path, body, f"key:{path}") for _ in range(2)]
        assert answers[0].status_code == answers[1].status_code < 300
        assert answers[1].headers["Idempotent-Replayed"] == "true"
    alerts = backend.control("alerts")["alerts"]
    assert len(alerts) == 1
    assert alerts[0]["category"] == "hemoptisis"


def test_a_missing_key_is_refused_only_when_the_rule_says_so(backend: World) -> None:
    backend.control("rules", {"require_idempotency_key": True})
    assert _book(backend).status_code == 400
    assert _post(backend, "appointments", {"phone": ROSA, "datetime": TOMORROW_10}, "k").status_code == 201


def test_two_patients_never_get_the_same_place(backend: World) -> None:
    answers: list[int] = []

    def book(number: int) -> None:
        body = {"phone": f"+591700001{number:02d}", "datetime": TOMORROW_10}
        answers.append(requests.post(f"{backend.backend}/appointments", json=body, timeout=5).status_code)

    threads = [threading.Thread(target=book, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201] + [409] * 11


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"datetime": TOMORROW_10}, id="no phone"),
        pytest.param({"phone": "Rosa", "datetime": TOMORROW_10}, id="a phone that is none"),
        pytest.param({"phone": ROSA}, id="no time"),
        pytest.param({"phone": ROSA, "datetime": "2026-11-24T10:00:00"}, id="a time without offset"),
        pytest.param({"phone": ROSA, "datetime": "mañana"}, id="a time that is none"),
    ],
)
def test_an_unreadable_booking_is_a_bad_request(backend: World, body: dict[str, Any]) -> None:
    assert _post(backend, "appointments/schedule", body).status_code == 400


def test_an_alert_needs_its_facts(backend: World) -> None:
    assert _post(backend, "alerts", {"phone": ROSA}).status_code == 400
    body = {"user_id": "BO.1", "category": "vision", "level": "mismo_dia", "at": NOW}
    assert _post(backend, "alerts", body).status_code == 202


def test_the_seed_has_patients_with_and_without_appointments(world: World) -> None:
    counts = [len(_get(world, "appointments", phone=f"+5917000000{i}").json()) for i in (1, 2, 3)]
    assert counts == [1, 2, 0]
    assert _get(world, "patients/+59170000003").json() == {
        "name": "Carla Flores",
        "registered": True,
        "last_visit": None,
    }
    assert set(_get(world, "patients/+59170000004").json()["whatsapp_consent"]) == {"date", "source"}
    assert _get(world, "patients/+59170000005").status_code == 404


@pytest.fixture
def guarded() -> Iterator[Simulator]:
    with Simulator(Options(port=0, backend_port=0, backend_token="s3cret", seed=False)) as simulator:
        yield simulator


def test_with_a_token_nobody_else_gets_in_on_either_port(guarded: Simulator) -> None:
    for base in (guarded.backend_url, f"{guarded.url}/backend"):
        url = f"{base}/appointments/slots?date=2099-01-05"
        assert requests.get(url, timeout=5).status_code == 401
        assert requests.get(url, headers={"Authorization": "Bearer wrong"}, timeout=5).status_code == 401
        assert requests.get(url, headers={"Authorization": "Bearer s3cret"}, timeout=5).status_code == 200


def test_every_write_can_be_looked_at(backend: World) -> None:
    booked = _post(backend, "appointments", {"phone": ROSA, "datetime": TOMORROW_10}, key="k1").json()
    _post(backend, "appointments", {"phone": ROSA, "datetime": TOMORROW_10}, key="k1")
    _book(backend)
    _post(backend, "appointments/cancel", {"appointment_id": booked["appointment_id"]})
    writes = backend.control("writes")["writes"]
    assert [(w["kind"], w["status"], w["replayed"]) for w in writes] == [
        ("schedule", 201, False),
        ("schedule", 201, True),
        ("schedule", 409, False),
        ("cancel", 200, False),
    ]
    assert writes[0]["body"] == {"phone": ROSA, "datetime": TOMORROW_10}
    backend.control("reset", {"seed": False})
    assert backend.control("writes") == {"writes": []}
