"""The canary through real processes: a good one shows in /health, and a consumer that stands still is found by it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from celery import Celery

from shared.canary import canary_patient
from shared.celery_app import QueueName, Role, TaskName, create_celery
from shared.settings import Settings
from tests.processes.system import PATIENT_ID_KEY, System, started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PERIOD_S = 3


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("canary"), CANARY_MINUTES=str(PERIOD_S / 60)) as system:
        system.start_worker()
        yield system


@pytest.fixture(scope="module")
def beat(system: System) -> Iterator[Celery]:
    """Rings in Beat's place, so that the test knows when."""
    celery = create_celery(Settings(_env_file=None, DEMO=True, REDIS_URL=system.redis_server.url), Role.BEAT)
    yield celery
    celery.close()


def ring(beat: Celery) -> None:
    beat.send_task(TaskName.CANARY, queue=QueueName.OPS, expires=PERIOD_S)


def health(system: System) -> tuple[int, dict[str, Any]]:
    answer = requests.get(f"{system.url}/health", timeout=5)
    return answer.status_code, answer.json()


def comes_through(system: System, beat: Celery) -> dict[str, str]:
    """Ring until a canary that was launched after this call is good."""
    seconds, micros = system.store.time()
    began_ms = seconds * 1000 + micros // 1000

    def good() -> dict[str, str] | None:
        ring(beat)
        found = system.store.hgetall("canary")
        newer = int(found.get("sent_ms", 0)) > began_ms and int(found.get("good_ms", 0)) > int(found["sent_ms"])
        return found if newer else None

    return dict(system.wait_for(good, 30))


def test_a_good_canary_shows_in_health_and_nothing_of_it_reaches_meta(system: System, beat: Celery) -> None:
    comes_through(system, beat)
    found = comes_through(system, beat)  # and again: the first left nothing that stands in the way
    assert 0 < int(found["took_ms"]) < 10_000
    system.wait_for(lambda: health(system)[0] == 200)  # a new worker has to be seen at every queue
    found = comes_through(system, beat)
    told = health(system)[1]
    assert not told["canary"]["late"]
    assert told["canary"]["age_s"] < 10
    assert told["canary"]["period_s"] == PERIOD_S
    assert system.control("calls")["calls"] == []  # no send, no read mark
    assert system.control("alerts")["alerts"] == []
    system.wait_for(system.everything_is_answered)
    settings = Settings(_env_file=None, DEMO=True, PATIENT_ID_KEY=PATIENT_ID_KEY)
    assert found["patient"] == canary_patient(settings)


def test_a_consumer_that_stands_still_while_the_worker_beats_is_found_within_two_periods(
    system: System, beat: Celery
) -> None:
    comes_through(system, beat)
    assert beat.control.cancel_consumer(QueueName.TURNS.value, reply=True, timeout=5)
    good_at = int(system.store.hget("canary", "good_ms")) / 1000
    try:

        def found() -> dict[str, Any] | None:
            ring(beat)
            status, told = health(system)
            return told if status == 503 and any("canary late" in p for p in told["problems"]) else None

        told = system.wait_for(found, 20)
        assert time.time() - good_at < 2 * PERIOD_S + 2  # two periods, and the test's own look
        assert told["canary"]["late"]
        assert told["workers_alive"] == 1  # its heartbeat says that all is well
        assert told["workers"][0]["consuming"]
        assert not any("not consumed" in p for p in told["problems"])  # the pulses take longer to be sure
    finally:
        assert beat.control.add_consumer(QueueName.TURNS.value, reply=True, timeout=5)
    comes_through(system, beat)
    assert health(system)[0] == 200
    assert system.control("calls")["calls"] == []
