"""The control API: patients, waiting for replies, clocks, reset; and the process itself."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
import requests

from simulator.options import from_environment
from tests.simulator.conftest import ROSA, World


def test_a_reply_can_be_waited_for(world: World) -> None:
    got: list[list[str]] = []

    def wait() -> None:
        answer = requests.get(f"{world.url}/control/replies?patient=%2B59170000001&count=2&timeout=10", timeout=15)
        got.append([message["text"] for message in answer.json()["messages"]])

    waiter = threading.Thread(target=wait)
    waiter.start()
    world.say("uno")
    world.say("dos")
    waiter.join(5)
    assert got == [["uno", "dos"]]
    seq = world.control("messages?direction=to_patient")["messages"][-1]["seq"]
    assert world.control(f"replies?patient=59170000001&after={seq}&timeout=0") == {"messages": [], "timed_out": True}
    world.settle()


def test_patients_can_be_added_with_and_without_number(world: World) -> None:
    both = world.control("patients", {"number": "+591 7000 0088", "name": "Ana"})
    assert both["number"] == "+59170000088"
    assert both["user_id"].startswith("BO.")
    hidden = world.control("patients", {"name": "Eva", "identity": "user_id"})
    assert hidden["number"] is None
    numbered = world.control("patients", {"number": "+59170000089", "identity": "number"})
    assert numbered["user_id"] is None
    world.control("patients", {"number": "+59170000088"}, expect=400)
    world.control("patients", {"number": "soon"}, expect=400)
    world.control("patients/+59179999999", expect=404)


def test_the_backends_clock_can_stand_still(world: World) -> None:
    world.control("clock", {"which": "backend", "at": "2030-01-07T08:00:00-04:00"})
    body = {"phone": ROSA, "datetime": "2029-01-08T10:00:00-04:00"}
    assert requests.post(f"{world.backend}/appointments", json=body, timeout=5).json()["error"] == "past"
    assert world.control("clock", {})["backend"] < "2030"


def test_another_sites_form_cannot_post_to_the_control_api(world: World) -> None:
    answer = requests.post(f"{world.url}/control/messages", data='{"patient": "+59170000001"}', timeout=5)
    assert answer.status_code == 415


def test_reset_forgets_everything(world: World) -> None:
    world.say()
    world.control("faults", {"status": 500})
    world.control("reset", {})
    assert world.control("messages")["messages"] == []
    assert world.control("faults")["faults"] == []
    assert len(world.control("patients")["patients"]) == 6
    assert world.say().status_code == 200
    world.settle()


def test_a_connection_serves_many_requests(world: World) -> None:
    connection = http.client.HTTPConnection(world.url.removeprefix("http://"), timeout=5)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.request("POST", "/control/reset", b"{}", {"Content-Type": "application/json"})
        assert connection.getresponse().read() == b'{"reset":true}\n'
    assert connection.sock is first
    connection.close()


def test_wrong_requests_get_a_sentence_not_a_trace(world: World) -> None:
    assert "limit" in world.control("messages?limit=many", expect=400)["error"]
    world.control("messages", {"kind": "text"}, expect=400)
    world.control("messages", {"patient": ROSA, "kind": "text"}, expect=400)
    assert requests.get(f"{world.url}/control/nowhere", timeout=5).status_code == 404


def test_an_empty_variable_counts_as_absent_and_the_first_secret_signs() -> None:
    options = from_environment({"SIMULATOR_PORT": "9", "WEBHOOK_URL": "", "WHATSAPP_APP_SECRET": "new, old"})
    assert (options.port, options.app_secret) == (9, "new")
    assert options.webhook_url == "http://127.0.0.1:8000/webhook/whatsapp"
    with pytest.raises(ValueError):
        from_environment({"SIMULATOR_PORT": "eight"})


@pytest.mark.processes
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_says_where_it_is_and_ends_at_once(number: int) -> None:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--backend-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"SIMULATOR_DB": ""}) as process:
        try:
            assert process.stdout is not None
            name, url = process.stdout.readline().split()
            assert name == "simulator"
            backend = process.stdout.readline().split()[1]
            assert requests.get(f"{backend}/health", timeout=5).json() == {"status": "ok"}
            stream = requests.get(f"{url}/page/events", stream=True, timeout=5)  # an open page must not hold it up
            asked = time.monotonic()
            process.send_signal(number)
            assert process.wait(5) == 0
            assert time.monotonic() - asked < 3
            stream.close()
        finally:
            process.kill()
