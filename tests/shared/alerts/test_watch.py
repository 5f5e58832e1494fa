"""The watch opens what it sees and closes what is over, for all processes together."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from demo.redis_server import RedisServer
from shared.alerts.kinds import title_of
from shared.alerts.watch import Watch
from shared.celery_app import QueueName, Role, create_celery
from shared.judgement import JUDGED
from shared.state import health
from shared.state.incidents import RedisIncidents
from shared.state.store import connect
from tests.shared.alerts.conftest import Office
from tests.shared.alerts.mail import nothing
from workers.services import broker_probe

WELL = {"name": "w1", "consuming": True, "model_state": "ready", "danger_rules": "ok"}


def all_is_well(client: redis.Redis, **worker: Any) -> None:
    """One healthy worker, and nothing late."""
    client.delete("fresh", "waiting", "outgoing", "canary")
    health.publish_heartbeat(client, "w1", WELL | worker)
    for queue in QueueName:
        health.note_pulse(client, queue)


def late(key: str) -> Callable[[redis.Redis], object]:
    def break_it(client: redis.Redis) -> None:
        all_is_well(client)
        client.zadd(key, {"p_1": (time.time() - 600) * 1000})

    return break_it


def late_canary(client: redis.Redis) -> None:
    all_is_well(client)
    client.hset("canary", mapping={"good_ms": round((time.time() - 601) * 1000), "period_s": 300})


def no_worker(client: redis.Redis) -> None:
    client.delete("workers")


def no_pulse(client: redis.Redis) -> None:
    all_is_well(client)
    client.hdel("pulse", QueueName.TURNS.value)


BROKEN: dict[str, Callable[[redis.Redis], object]] = {
    "no_worker": no_worker,
    "queue_stuck": no_pulse,
    "triage_late": late("fresh"),
    "turns_late": late("waiting"),
    "deliveries_late": late("outgoing"),
    "canary_late": late_canary,
    "model_failed": lambda client: all_is_well(client, model_state="failed", model_error="refused by the gate"),
    "danger_rules_broken": lambda client: all_is_well(client, danger_rules="no file"),
}


def test_every_condition_that_is_judged_is_provoked_here() -> None:
    assert set(BROKEN) == JUDGED


@pytest.mark.parametrize("kind", BROKEN)
def test_what_health_shows_is_told_once_and_closed_once(office: Office, kind: str) -> None:
    watches = [office.watch(office.process()) for _ in range(2)]
    BROKEN[kind](office.client)
    for _ in range(20):  # a minute
        for watch in watches:
            office.tick(watch)
        office.pass_(seconds=3)
    assert office.subjects() == [f"incidente abierto: {title_of(kind)}"]
    all_is_well(office.client)
    for _ in range(20):
        for watch in watches:
            office.tick(watch)
        office.pass_(seconds=3)
    assert office.subjects() == [f"incidente cerrado: {title_of(kind)}"]
    assert RedisIncidents(office.client).listed() == []


def test_a_restart_is_no_incident(office: Office) -> None:
    watch = office.watch(office.process())
    for pause in (1, 9, 1, 9):
        office.client.delete("workers")
        for _ in range(pause):
            office.tick(watch)
            office.pass_(seconds=3)
        all_is_well(office.client)
        office.tick(watch)
    assert office.read() == []


def test_no_canary_yet_is_not_late_and_a_good_one_neither(office: Office) -> None:
    watch = office.watch(office.process())
    all_is_well(office.client)
    office.tick(watch)
    office.client.hset("canary", mapping={"good_ms": round((time.time() - 599) * 1000), "period_s": 300})
    office.tick(watch)
    assert office.read() == []


def test_one_watch_acts_at_a_time(office: Office) -> None:
    one, two = office.watch(office.process()), office.watch(office.process())
    office.tick(one)
    BROKEN["turns_late"](office.client)
    two.tick()  # not its turn
    assert RedisIncidents(office.client).kinds() == set()
    office.tick(two)
    assert RedisIncidents(office.client).kinds() == {"turns_late"}


def test_a_lost_redis_is_told_by_workers_only_and_closed_when_it_answers(office: Office, tmp_path: Path) -> None:
    server = RedisServer(tmp_path).start()
    client = connect(nothing().model_copy(update={"REDIS_PORT": server.port}), timeout_s=0.5)
    all_is_well(client)
    worker = office.watch(office.process(client), client)
    webhook = office.watch(office.process(client), client, tells_redis_down=False)

    def three_seconds() -> None:
        for watch in (worker, webhook):
            watch.tick()
        office.pass_(seconds=3)

    three_seconds()
    server.kill()
    three_seconds()
    assert office.read() == []  # a restart of Redis takes a moment
    for _ in range(5):
        three_seconds()
    assert office.subjects() == [f"incidente abierto: {title_of('redis_down')}"]
    server.start()
    all_is_well(client)
    for _ in range(12):
        three_seconds()
    assert office.subjects() == [f"incidente cerrado: {title_of('redis_down')}"]
    client.close()
    server.stop()


def test_a_lost_broker_is_told_once_and_closed_once(office: Office, tmp_path: Path) -> None:
    broker = RedisServer(tmp_path).start()
    celery = create_celery(nothing().model_copy(update={"REDIS_PORT": broker.port}), Role.WORKER)
    probes = {"broker_down": broker_probe(celery)}
    watches = [office.watch(office.process(), probes=probes) for _ in range(2)]
    all_is_well(office.client)

    def minute() -> None:
        for _ in range(3):
            for watch in watches:
                office.tick(watch)
            office.pass_(seconds=20)

    minute()
    assert office.read() == []
    broker.kill()
    minute()
    assert office.subjects() == [f"incidente abierto: {title_of('broker_down')}"]
    broker.start()
    minute()
    assert office.subjects() == [f"incidente cerrado: {title_of('broker_down')}"]
    celery.close()
    broker.stop()


def test_the_thread_ticks_and_ends(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.alerts.watch.WATCH_S", 0.01)
    BROKEN["turns_late"](office.client)
    watch: Watch = office.watch(office.process())
    watch.start()
    deadline = time.monotonic() + 5
    while not RedisIncidents(office.client).kinds() and time.monotonic() < deadline:
        time.sleep(0.01)
    watch.close()
    assert RedisIncidents(office.client).kinds() == {"turns_late"}
