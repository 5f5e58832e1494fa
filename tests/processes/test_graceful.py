"""SIGTERM of any process under load loses nothing and ends inside the container's stop time, read from its files.

Patients write all the while; what was acknowledged is answered once and in order afterwards. `pytest -s` prints the
seconds that each took.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from demo import processes
from demo.processes import Process
from demo.redis_server import RedisServer, free_port
from shared.celery_app import KEY_PREFIX, QueueName
from shared.settings import BUNDLED_MODEL
from tests.processes.graceful import are_answered_once_and_in_order, end, in_hand, patients_writing, stop_time_s
from tests.processes.system import System, started
from tests.processes.test_reminders import ring_remind, tomorrow
from workers import stopping

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    settings = {
        "QUIET_HOURS": "0-0",
        "REMINDER_SPREAD_MINUTES": "0",
        "RATE_LIMIT_PER_MINUTE": "10000",
        "SETTLE_S": "30",
    }
    with started(tmp_path, **settings) as running:
        running.control("rules", {"check_wamids": False})  # the simulator did not send these messages itself
        yield running


def webhook_of(system: System) -> Process:
    return [process for process in system.running if process.name == "webhook"][-1]


def spooled(system: System) -> int:
    return len(os.listdir(Path(system.environment["SPOOL_DIR"]) / "bodies"))


def start_scripted(system: System, app: str, **settings: str) -> Process:
    """A worker of tests.chaos.worker or of another module that is built on it."""
    process = processes.worker(system.environment | {"CHAOS_MODEL": "scripted"} | settings, system.folder, "scripted")
    process.arguments[process.arguments.index("workers.app")] = app
    system.start(process)
    system.wait_for(lambda: system.store.zcard("workers") or not process.is_running())
    return process


def test_the_webhook_ends_while_patients_write(system: System) -> None:
    system.start_worker()
    with patients_writing(system) as written:
        system.wait_for(lambda: written.total() > 40)
        end(webhook_of(system), "webhook")
        system.start_webhook()
        before = written.total()
        system.wait_for(lambda: written.total() > before + 40)
    are_answered_once_and_in_order(system, written)
    assert written.refused  # nobody listened for a moment


def test_the_webhook_ends_when_the_caller_of_post_chat_has_the_reply(system: System) -> None:
    answers: list[requests.Response] = []

    def ask() -> None:
        asked = {"user_id": "+59171110001", "messages": [{"role": "user", "content": "hola"}]}
        key = {"Authorization": "Bearer chat-key"}
        answers.append(requests.post(f"{system.url}/chat", json=asked, headers=key, timeout=60))

    caller = threading.Thread(target=ask)
    caller.start()
    system.wait_for(lambda: list(system.store.scan_iter("inbox:*")))
    ending = threading.Thread(target=end, args=(webhook_of(system), "webhook"))
    ending.start()
    system.start_worker()
    caller.join()
    ending.join()
    assert answers[0].status_code == 200
    assert answers[0].json()["response"]
    assert webhook_of(system).process.poll() == 0  # type: ignore[union-attr]


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_the_webhook_ends_with_bodies_in_its_spool(system: System, how: str) -> None:
    server = system.redis_server
    system.start_worker()
    with patients_writing(system) as written:
        system.wait_for(lambda: written.total() > 20)
        assert server.process is not None
        server.process.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        system.wait_for(lambda: spooled(system) > 20)
        end(webhook_of(system), "webhook")
        assert spooled(system) > 20
        if how == "killed":
            server.process.wait()
            server.start()
        else:
            server.process.send_signal(signal.SIGCONT)
        system.start_webhook()
        system.wait_for(lambda: spooled(system) == 0)
    if not system.running[-2].is_running():  # kombu may break when its broker goes during an acknowledgement
        system.start_worker("again")
    are_answered_once_and_in_order(system, written)


def test_a_worker_finishes_the_turns_that_wait_for_a_slow_model(system: System) -> None:
    fault = system.folder / "model_fault"
    fault.write_text("hang", encoding="utf-8")
    worker = start_scripted(system, "tests.chaos.worker", CHAOS_MODEL_FAULT=str(fault))
    with patients_writing(system) as written:
        system.wait_for(lambda: in_hand(system) > 2)
        threading.Timer(3, fault.unlink).start()
        assert end(worker, "worker") > 2
        system.start_worker("next")
    are_answered_once_and_in_order(system, written)
    assert "turn committed" in worker.log().partition("Warm shutdown")[2]


def test_a_worker_whose_model_never_answers_leaves_it_to_another(system: System) -> None:
    worker = start_scripted(system, "tests.processes.hung_worker")
    with patients_writing(system) as written:
        system.wait_for(lambda: in_hand(system) > 2)
        assert end(worker, "worker", stopping.LEFT_BEHIND) > 5
        system.start_worker("next")
    are_answered_once_and_in_order(system, written)
    assert "left to its leases" in worker.log()


def test_a_worker_has_time_enough_for_what_it_leaves_behind() -> None:
    assert stop_time_s("worker") >= stopping.WITHIN_S + 10


def test_a_worker_ends_the_sends_that_meta_is_slow_to_take(system: System) -> None:
    worker = system.start_worker()
    system.control("faults", {"delay_s": 4, "times": 0})
    with patients_writing(system) as written:
        system.wait_for(lambda: in_hand(system, lane=True) > 2)
        assert end(worker, "worker") > 1
        system.control("faults", method="DELETE", body={})
        system.start_worker("next")
    are_answered_once_and_in_order(system, written)


@pytest.mark.parametrize("after_s", [0.0, 0.7, 2.0])
def test_a_worker_ends_while_its_model_loads(system: System, after_s: float) -> None:
    worker = system.start_worker("loading", MODEL_NAME=str(BUNDLED_MODEL), MODEL_THREADS="1")
    with patients_writing(system) as written:
        system.wait_for(lambda: written.total() > 5)
        time.sleep(after_s)  # somewhere in the imports, the weights, the gate
        end(worker, "worker")
        system.start_worker("next")
    are_answered_once_and_in_order(system, written)


def test_a_worker_ends_in_the_middle_of_the_reminders(system: System) -> None:
    phones = [f"+5917222{n:04d}" for n in range(40)]  # the simulator has some visits of its own
    for phone in phones:
        tomorrow(system, phone)
    worker = system.start_worker()
    system.control("faults", {"delay_s": 1, "times": 0})

    def reminded() -> list[dict[str, Any]]:
        received = system.control("messages", direction="to_patient", limit=1000)["messages"]
        return [m for m in received if m["body"]["type"] == "template" and f"+{m['patient']}" in phones]

    ring_remind(system)
    ring_remind(system)
    system.wait_for(lambda: len(reminded()) > 3)
    end(worker, "worker")
    assert len(reminded()) < len(phones)
    system.control("faults", method="DELETE", body={})
    system.start_worker("next")
    system.wait_for(
        lambda: len(reminded()) >= len(phones) and not system.store.zcount("reminders", 0, time.time() * 1000)
    )
    assert sorted(message["patient"] for message in reminded()) == sorted(phone.lstrip("+") for phone in phones)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_worker_and_beat_end_while_redis_is_away(system: System, how: signal.Signals) -> None:
    """Celery's heartbeat may wait for a hung Redis, deaf to SIGTERM: then the worker's last resort ends it."""
    worker = start_scripted(system, "tests.processes.hung_worker")
    beat = system.start(processes.beat(system.environment, system.folder))
    system.wait_for(lambda: system.store.hget("pulse", "beat"))  # it rang, and the worker heard it
    assert system.redis_server.process is not None
    system.redis_server.process.send_signal(how)
    try:
        time.sleep(2)
        end(beat, "beat")
        end(worker, "worker", 0, stopping.LEFT_BEHIND)
    finally:
        system.redis_server.process.send_signal(signal.SIGCONT)


def test_beat_and_flower_end(system: System) -> None:
    beat = system.start(processes.beat(system.environment, system.folder))
    port = free_port()
    flower = system.start(processes.flower(system.environment, system.folder, port))
    system.wait_for(lambda: requests.get(f"http://127.0.0.1:{port}/healthcheck", timeout=2).ok)
    system.wait_for(lambda: system.store.llen(f"{KEY_PREFIX}{QueueName.OPS}"))  # it rang
    end(beat, "beat")
    end(flower, "flower")


def test_redis_ends_while_patients_write(system: System) -> None:
    system.start_worker()
    with patients_writing(system) as written:
        system.wait_for(lambda: written.total() > 40)
        assert isinstance(system.redis_server, RedisServer)
        end(system.redis_server, "redis")
        system.wait_for(lambda: spooled(system) > 20)
        system.redis_server.start()
        system.wait_for(lambda: spooled(system) == 0)
    if not system.running[-1].is_running():
        system.start_worker("again")
    are_answered_once_and_in_order(system, written)
