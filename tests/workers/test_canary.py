"""The canary inside one worker: it takes the road of every message, and stops at our door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from scheduler.schedule import schedule
from shared import canary
from shared.identity import candidate_ids
from shared.messages import Identity
from shared.settings import Settings
from shared.state import audit
from shared.state.turns import handed_over
from tests.workers import fakes
from tests.workers.fakes import Clinic
from workers.canary import _may_start, begin, launch
from workers.safety.danger import find_danger

PERIOD_MS = 5 * 60_000


@pytest.fixture
def road(settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Clinic]:
    """A clinic whose patient is the canary."""
    monkeypatch.setattr(fakes, "NUMBER", canary.NUMBER)
    wanted = {"BURST_WAIT_MS": 0, "WHATSAPP_APP_SECRET": "secret", "CANARY_URL": "http://127.0.0.1:9"}
    clinic = Clinic(Settings(_env_file=None, **(settings.model_dump() | wanted)), client)
    assert clinic.patient == canary.canary_patient(clinic.settings)
    yield clinic
    clinic.services.background.shutdown()
    clinic.services.alarms.shutdown()


def fields(client: redis.Redis) -> dict[str, str]:
    return dict(client.hgetall(canary.KEY))


def test_it_comes_through_the_road_and_nothing_of_it_reaches_meta(road: Clinic, client: redis.Redis) -> None:
    assert _may_start(road.services, "m_1")
    road.says(canary.TEXT, wamid="wamid.canary")
    road.triage()
    assert road.answered() == []
    road.services.background.shutdown()  # read marks go out from there
    assert road.whatsapp.marked == []
    found = fields(client)
    assert int(found["good_ms"]) >= int(found["sent_ms"])
    assert 0 <= int(found["took_ms"]) < 60_000
    assert (found["period_s"], found["patient"]) == ("300.0", road.patient)
    assert [r.event for r in audit.read(client, "-")][-2:] == ["sending", "sent"]
    assert not client.exists(f"outbox:{road.patient}:normal", f"inbox:{road.patient}", "dead", "calls")
    assert road.alerts.incidents == []


def test_one_at_a_time_and_never_while_the_one_before_is_on_its_way(road: Clinic, client: redis.Redis) -> None:
    assert _may_start(road.services, "m_1")
    assert _may_start(road.services, "m_1")  # the same call, repeated by the client
    assert not _may_start(road.services, "m_2")  # a moment later
    client.hincrby(canary.KEY, "sent_ms", -PERIOD_MS)
    road.says(canary.TEXT)
    assert not _may_start(road.services, "m_3")  # in the inbox
    road.drain()
    assert not _may_start(road.services, "m_4")  # in the outbox
    road.deliver()
    assert _may_start(road.services, "m_5")


def test_each_begins_as_a_stranger_whatever_was_remembered(road: Clinic, client: redis.Redis) -> None:
    p = road.patient
    for key in ("conversation", "handoff", "optout", "delay"):
        client.set(f"{key}:{p}", "{}")
    client.zadd(f"rate:{p}", {"m_0": 1})
    client.zadd("handoffs", {p: 1})
    assert _may_start(road.services, "m_1")
    assert not client.exists(*(f"{key}:{p}" for key in ("conversation", "handoff", "optout", "delay", "rate")))
    assert client.zscore("handoffs", p) is None


def test_nobody_is_told_called_or_handed_over_whatever_it_says(road: Clinic, client: redis.Redis) -> None:
    assert _may_start(road.services, "m_1")
    for text in ("estoy tosiendo sangre", "quiero hablar con una persona", "asdf qwer", "zxcv", "qwop"):
        road.says(text)
        road.triage()
        road.answered()
    assert road.alerts.dangers == []
    assert road.alerts.incidents == []
    assert handed_over(client, road.patient) is None
    assert not client.exists("calls")
    assert not client.exists("alarms")
    assert road.whatsapp.bodies == []


def test_an_apology_is_not_a_good_canary(road: Clinic, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ValueError("our own fault")

    monkeypatch.setattr("workers.drain.answer", broken)
    _may_start(road.services, "m_1")
    road.says(canary.TEXT)
    for _ in range(3):
        road.end_delay()
        road.answered()
    assert client.llen("dead") == 1
    assert "good_ms" not in fields(client)


def test_its_text_is_no_danger_and_its_patient_is_found_by_number(settings: Settings) -> None:
    assert find_danger(canary.TEXT) is None
    [patient] = candidate_ids(settings.patient_id_key, Identity(number=canary.NUMBER))
    assert canary.is_canary(settings, patient)
    assert not canary.is_canary(settings, "p_other")


def test_late_is_older_than_two_periods_counted_from_the_first_launch_while_none_came_back() -> None:
    fields = {"period_s": "300.0", "started_ms": "1000"}
    assert not canary.is_late({}, 9e12)
    assert not canary.is_late(fields, 1000 + 2 * PERIOD_MS)
    assert canary.is_late(fields, 1001 + 2 * PERIOD_MS)
    assert not canary.is_late(fields | {"good_ms": str(1000 + PERIOD_MS)}, 1001 + 2 * PERIOD_MS)
    assert canary.is_late(fields | {"good_ms": str(1000 + PERIOD_MS)}, 1001 + 3 * PERIOD_MS)


def test_after_a_long_silence_lateness_is_counted_anew(road: Clinic, client: redis.Redis) -> None:
    client.hset(canary.KEY, mapping={"good_ms": 1, "started_ms": 1, "tried_ms": 1, "period_s": 300})
    begin(road.services)
    now_ms = client.time()[0] * 1000
    assert not canary.is_late(fields(client), now_ms)
    client.hset(canary.KEY, mapping={"started_ms": 1, "tried_ms": now_ms - PERIOD_MS})
    begin(road.services)  # it was rung a period ago and did not come back: a worker's start excuses nothing
    assert canary.is_late(fields(client), now_ms)


def test_without_secret_it_is_off_says_so_once_and_leaves_nothing_that_looks_late(
    clinic: Clinic, client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    client.hset(canary.KEY, mapping={"good_ms": 1, "period_s": 300})
    begin(clinic.services)
    assert not launch(clinic.services)
    assert not launch(clinic.services)
    assert [r.message for r in caplog.records if "canary" in r.message] == [
        "canary is off: WHATSAPP_APP_SECRET is not set, so its message cannot be signed"
    ]
    assert fields(client) == {}


def test_a_webhook_that_cannot_be_reached_leaves_the_launch_noted(road: Clinic, client: redis.Redis) -> None:
    assert road.settings.CANARY_URL.endswith(":9")
    assert not launch(road.services)
    assert "sent_ms" in fields(client)
    assert "good_ms" not in fields(client)


def test_beat_rings_it_as_often_as_the_settings_say(settings: Settings) -> None:
    entry = schedule(settings)["canary"]
    assert (entry["task"], entry["schedule"], entry["options"]["expires"]) == ("assistant.canary", 300, 300)
    assert "canary" not in schedule(settings.model_copy(update={"CANARY_MINUTES": 0}))
