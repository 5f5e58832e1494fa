"""The appointments backend's contract, kept and broken; nothing is ever written there."""

from __future__ import annotations

from typing import Any

import pytest

from shared.settings import Settings
from simulator.app import Simulator
from simulator.options import Options
from tests.workers.doctor.conftest import Outside, one, plain, told
from tests.workers.http_server import Answer, closed_port, serving
from workers.doctor.backend_checks import MISSED, SLOTS, UPCOMING, groups
from workers.doctor.check import Check, State
from workers.doctor.runner import run_all


def check(settings: Settings) -> list[Check]:
    return list(run_all(groups(settings)))


def test_all_is_well_and_nothing_is_written(outside: Outside) -> None:
    checks = check(outside.settings())
    assert [c.name for c in checks] == [UPCOMING, SLOTS, MISSED]
    told(one(checks, UPCOMING), State.OK, "in the next 48 hours")
    told(one(checks, SLOTS), State.OK, " on 20")
    told(one(checks, MISSED), State.OK, " on 20")
    assert outside.control("GET", "writes")["writes"] == []


def test_a_backend_that_does_not_know_who_came(outside: Outside) -> None:
    outside.control("POST", "rules", knows_missed=False)
    checks = check(outside.settings())
    told(one(checks, MISSED), State.WARNING, "messages after a missed visit are off", "GET /appointments/missed")
    told(one(checks, SLOTS), State.OK, "on")


def test_a_refused_token() -> None:
    with Simulator(Options(port=0, backend_token="right-token")) as simulator:
        for found in check(plain(SEGUIMIENTO_SERVICE_URL=simulator.backend_url, SEGUIMIENTO_TOKEN="wrong-token")):
            told(found, State.FAILED, "HTTP 401: the token is refused", "correct SEGUIMIENTO_TOKEN")


@pytest.mark.parametrize(
    ("fault", "part", "advice"),
    [
        ({"body": {"data": []}}, "another shape than the contract's", "SEGUIMIENTO_SERVICE_URL is right"),
        ({"status": 500}, "HTTP 500", "read the log of the backend"),
        ({"body_status": 400}, "HTTP 400: no such route", "the root of the contract's routes"),
        ({"drop": "before", "times": 2}, "the connection was closed", "start the backend"),
    ],
)
def test_an_answer_that_is_none(outside: Outside, fault: dict[str, Any], part: str, advice: str) -> None:
    outside.control("POST", "faults", target="backend", kind="slots", **fault)
    checks = check(outside.settings())
    told(one(checks, SLOTS), State.FAILED, part, advice)
    told(one(checks, UPCOMING), State.OK, "hours")


def test_entries_that_cannot_be_read_are_counted_and_not_shown() -> None:
    good = {"appointment_id": "1", "datetime": "2026-11-27T10:00:00-04:00", "phone": "+59170000001", "name": "Rosa"}
    with serving(lambda _: Answer(200, [good, {**good, "datetime": "mañana"}])) as server:
        found = one(check(plain(SEGUIMIENTO_SERVICE_URL=server.url)), UPCOMING)
    told(found, State.WARNING, "1 entries cannot be read", "datetime with offset")
    assert "Rosa" not in found.found


def test_a_wrong_address_and_nobody_there() -> None:
    with serving(lambda _: Answer(404, b"<html>not here</html>")) as server:
        told(one(check(plain(SEGUIMIENTO_SERVICE_URL=server.url)), SLOTS), State.FAILED, "HTTP 404: no such route")
    nobody = check(plain(SEGUIMIENTO_SERVICE_URL=f"http://127.0.0.1:{closed_port()}"))
    for found in nobody:
        told(found, State.FAILED, "the connection is refused: no visit can be booked", "start the backend")


def test_a_backend_that_hangs_is_given_up() -> None:
    with serving(lambda _: Answer(then="never")) as server:
        found = one(check(plain(SEGUIMIENTO_SERVICE_URL=server.url, SEGUIMIENTO_TIMEOUT=0.2)), UPCOMING)
    told(found, State.FAILED, "no answer in time", "start the backend")
