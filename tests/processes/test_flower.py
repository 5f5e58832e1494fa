"""Flower behind its password: it lists tasks and queues, by opaque ids, and changes nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from demo import processes
from demo.redis_server import free_port
from shared.celery_app import QueueName, TaskName
from tests.processes.system import System, started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

LOGIN = ("operadora", "secreto")
PATIENT = "+59173111222"
WORD = "zanahoria"
OPAQUE = re.compile(r"^(p_\w+|urgent|normal|reminder|triage|turns|deliveries|reminders|ops|)$")


@pytest.fixture(scope="module")
def flower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[System, str]]:
    folder: Path = tmp_path_factory.mktemp("flower")
    with started(folder, FLOWER_BASIC_AUTH=":".join(LOGIN)) as system:
        port = free_port()
        system.start(processes.flower(system.environment, folder, port))
        url = f"http://127.0.0.1:{port}"
        system.wait_for(lambda: requests.get(f"{url}/healthcheck", timeout=2).ok)
        system.start_worker()
        yield system, url


@pytest.mark.parametrize(
    "path", ["/", "/tasks", "/broker", "/api/tasks", "/api/workers", "/api/queues/length", "/metrics"]
)
def test_nothing_is_shown_without_the_password(flower: tuple[System, str], path: str) -> None:
    _, url = flower
    assert requests.get(url + path, timeout=5).status_code == 401
    assert requests.get(url + path, auth=(LOGIN[0], "otra"), timeout=5).status_code == 401
    assert requests.get(url + path, auth=LOGIN, timeout=10).status_code == 200


def test_a_message_shows_as_tasks_with_opaque_ids_only(flower: tuple[System, str]) -> None:
    system, url = flower

    def named() -> dict[str, dict[str, str]]:
        tasks = requests.get(f"{url}/api/tasks", auth=LOGIN, timeout=5).json()
        return {task["name"]: task for task in tasks.values() if task["name"] and task["state"] == "SUCCESS"}

    system.wait_for(lambda: TaskName.PULSE in named())  # events are on: Flower asked the worker for them
    system.says(PATIENT, f"hola {WORD}, me llamo {WORD}")
    system.reply(PATIENT)
    wanted = {TaskName.TRIAGE, TaskName.DRAIN_INBOX}
    system.wait_for(lambda: wanted <= set(named()))
    for task in named().values():
        for argument in re.split(r"[\s,()\[\]'\"]+", task["args"]):
            assert OPAQUE.match(argument), f"{task['name']} was given {task['args']}"
    shown = requests.get(f"{url}/api/tasks", auth=LOGIN, timeout=5).text
    for task_id in re.findall(r'"uuid": "([\w-]+)"', shown)[:3]:
        shown += requests.get(f"{url}/task/{task_id}", auth=LOGIN, timeout=5).text
    shown += requests.get(f"{url}/metrics", auth=LOGIN, timeout=5).text
    assert PATIENT[1:] not in shown
    assert PATIENT[4:] not in shown
    assert WORD not in shown


def test_queues_are_shown_and_nothing_can_be_changed(flower: tuple[System, str]) -> None:
    _, url = flower
    queues = requests.get(f"{url}/api/queues/length", auth=LOGIN, timeout=10).json()["active_queues"]
    assert {queue["name"] for queue in queues} == {queue.value for queue in QueueName}
    worker = next(iter(requests.get(f"{url}/api/workers", params={"refresh": 1}, auth=LOGIN, timeout=10).json()))
    for action in (f"worker/shutdown/{worker}", f"task/send-task/{TaskName.SWEEP}"):
        assert requests.post(f"{url}/api/{action}", auth=LOGIN, json={}, timeout=5).status_code == 403
