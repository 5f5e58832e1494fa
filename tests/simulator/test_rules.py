"""The 24 h window, the pair rate and the throughput."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from simulator.rules import PairRate, window_is_open
from tests.simulator.conftest import ROSA, World

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("mode", "age_h", "by_wall_clock", "is_open"),
    [
        pytest.param("lenient", 23.9, True, True, id="within a day"),
        pytest.param("lenient", 24, True, False, id="a day old"),
        pytest.param("lenient", 9000, False, True, id="a test's own timestamp"),
        pytest.param("lenient", None, True, True, id="never wrote"),
        pytest.param("strict", 25, False, False, id="strict judges a test's timestamp"),
        pytest.param("strict", None, True, False, id="strict and never wrote"),
        pytest.param("off", 25, True, True, id="off"),
    ],
)
def test_the_window_is_judged_by_the_last_timestamp(
    mode: str, age_h: float | None, by_wall_clock: bool, is_open: bool
) -> None:
    wrote_at = NOON - timedelta(hours=age_h) if age_h is not None else None
    assert window_is_open(mode, wrote_at, by_wall_clock, NOON) is is_open


def test_outside_the_window_only_a_template_goes(world: World) -> None:
    world.control("rules", {"window": "strict"})
    world.control("messages", {"patient": ROSA, "text": "Hola", "timestamp": int(time.time()) - 86_500})
    refused = world.say()
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 131047)
    template = {"name": "hello_world", "language": {"code": "en_US"}}
    assert world.send({"type": "template", "template": template}).status_code == 200
    world.control("messages", {"patient": ROSA, "text": "Sigo aquí"})
    assert world.say().status_code == 200
    world.settle()


def test_the_simulators_clock_decides_when_it_is_set(world: World) -> None:
    world.control("clock", {"which": "cloud", "at": "2026-11-23T09:00:00-04:00"})
    world.control("messages", {"patient": ROSA, "text": "Hola"})
    assert world.say().status_code == 200
    world.control("clock", {"which": "cloud", "advance_s": 86_401})
    assert world.say().json()["error"]["code"] == 131047
    world.settle()


def test_a_burst_to_one_user_is_lent_and_paid_back() -> None:
    rate = PairRate()
    assert all(rate.allow("rosa", i * 0.1) for i in range(20))
    assert not rate.allow("rosa", 60), "twenty at once cost two minutes"
    assert rate.allow("juan", 60), "other users are not affected"
    assert rate.allow("rosa", 120)


def test_more_than_45_within_six_seconds_are_refused() -> None:
    rate = PairRate()
    assert [rate.allow("rosa", 1.0) for _ in range(46)] == [True] * 45 + [False]


def test_a_steady_message_every_six_seconds_never_fails() -> None:
    rate = PairRate()
    assert all(rate.allow("rosa", i * 6) for i in range(500))


def test_pair_rate_and_throughput_are_enforced_when_switched_on(world: World) -> None:
    world.control("rules", {"pair_rate": True, "throughput": True, "throughput_per_s": 10_000})
    codes = [world.say().json().get("error", {}).get("code") for _ in range(46)]
    assert codes == [None] * 45 + [131056]
    world.control("rules", {"pair_rate": False, "throughput_per_s": 1})
    codes = [world.say().json().get("error", {}).get("code") for _ in range(20)]
    assert 130429 in codes
    world.settle()


def test_a_wrong_rule_is_refused_and_nothing_changes(world: World) -> None:
    before = world.control("rules")
    world.control("rules", {"window": "wide"}, expect=400)
    world.control("rules", {"windoww": "off"}, expect=400)
    assert world.control("rules") == before
