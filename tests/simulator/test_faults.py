"""Scripted misfortune on both APIs."""

from __future__ import annotations

import pytest
import requests

from tests.simulator.conftest import LUZ, ROSA, World

LATER = "2026-11-24T10:00:00-04:00"


def test_a_fault_answers_with_status_code_and_headers_and_then_is_spent(world: World) -> None:
    fault = {"status": 429, "code": 130429, "headers": {"Retry-After": "7"}, "transient": True, "times": 2}
    world.control("faults", fault)
    answers = [world.say() for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 429, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].json()["error"]["code"] == 130429
    assert answers[0].json()["error"]["is_transient"] is True
    assert world.control("faults")["faults"][0]["used"] == 2
    assert len(world.control("messages?direction=to_patient")["messages"]) == 1


def test_a_fault_can_wait_for_its_call_patient_and_kind(world: World) -> None:
    world.control("faults", {"code": 131026, "call": 3})
    world.control("faults", {"code": 131056, "patient": LUZ, "times": 0})
    world.control("faults", {"code": 132015, "kind": "template"})
    assert [world.say().status_code for _ in range(4)] == [200, 200, 400, 200]
    to_luz = {"recipient": LUZ, "type": "text", "text": {"body": "Hola"}}
    assert [world.send(to_luz).json()["error"]["code"] for _ in range(3)] == [131056] * 3
    template = {"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}}
    assert world.send(template).json()["error"]["code"] == 132015


def test_read_marks_do_not_spend_a_fault_meant_for_messages(world: World) -> None:
    world.control("faults", {"status": 500})
    wamid = world.control("messages", {"patient": ROSA, "text": "Hola"})["messages"][0]["wamid"]
    assert world.send({"status": "read", "message_id": wamid}).status_code == 200
    assert world.say().status_code == 500
    world.control("faults", {"status": 500, "kind": "read"})
    assert world.send({"status": "read", "message_id": wamid}).status_code == 500


def test_an_answer_need_not_be_json(world: World) -> None:
    world.control("faults", {"status": 502, "raw_body": "<html>Bad Gateway</html>"})
    answer = world.say()
    assert (answer.status_code, answer.text) == (502, "<html>Bad Gateway</html>")
    assert answer.headers["Content-Type"].startswith("text/html")


@pytest.mark.parametrize(("drop", "recorded"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_before_or_after_accepting(world: World, drop: str, recorded: int) -> None:
    world.control("faults", {"drop": drop})
    with pytest.raises(requests.ConnectionError):
        world.say()
    world.settle()
    kept = world.control("messages?direction=to_patient")["messages"]
    assert len(kept) == recorded
    assert all(len(message["statuses"]) == 3 for message in kept)
    assert world.say().status_code == 200


def test_an_error_can_hide_that_the_message_went_out(world: World) -> None:
    world.control("faults", {"code": 131000, "commit": True})
    assert world.say().status_code == 500
    world.settle()
    kept = world.control("messages?direction=to_patient")["messages"]
    assert [status["status"] for status in kept[0]["statuses"]] == ["sent", "delivered", "read"]


def test_a_slow_answer_outlasts_the_clients_patience_but_the_message_is_out(world: World) -> None:
    world.control("faults", {"delay_answer_s": 5})
    with pytest.raises(requests.ReadTimeout):
        world.http.post(
            f"{world.url}/v26.0/200000000000002/messages",
            json={"messaging_product": "whatsapp", "to": ROSA, "type": "text", "text": {"body": "Hola"}},
            headers={"Authorization": "Bearer demo-token"},
            timeout=0.3,
        )
    assert len(world.control("messages?direction=to_patient")["messages"]) == 1
    world.settle()


def test_a_backend_error_can_hide_in_http_200(world: World) -> None:
    world.control("faults", {"target": "backend", "kind": "patient", "body_status": 404})
    answer = world.http.get(f"{world.backend}/patients/{ROSA}", timeout=5)
    assert (answer.status_code, answer.json()["statusCode"]) == (200, 404)
    assert world.http.get(f"{world.backend}/patients/{ROSA}", timeout=5).json()["name"] == "Rosa Mamani"


def test_a_write_that_timed_out_may_have_happened(world: World) -> None:
    world.control("clock", {"which": "backend", "at": "2026-11-23T09:00:00-04:00"})
    world.control("reset", {"seed": False})
    world.control("clock", {"which": "backend", "at": "2026-11-23T09:00:00-04:00"})
    world.control("faults", {"target": "backend", "kind": "schedule", "drop": "after"})
    booking = {"phone": ROSA, "datetime": LATER}
    headers = {"Idempotency-Key": "k1"}
    with pytest.raises(requests.ConnectionError):
        world.http.post(f"{world.backend}/appointments/schedule", json=booking, headers=headers, timeout=5)
    listed = world.http.get(f"{world.backend}/appointments", params={"phone": ROSA}, timeout=5).json()
    assert [one["datetime"] for one in listed] == [LATER]
    again = world.http.post(f"{world.backend}/appointments/schedule", json=booking, headers=headers, timeout=5)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")


def test_backend_faults_match_the_patient_of_an_appointment(world: World) -> None:
    (one,) = world.http.get(f"{world.backend}/appointments", params={"phone": ROSA}, timeout=5).json()
    world.control("faults", {"target": "backend", "patient": ROSA, "kind": "cancel", "status": 503})
    cancel = {"appointment_id": one["appointment_id"]}
    answers = [world.http.post(f"{world.backend}/appointments/cancel", json=cancel, timeout=5) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]


def test_faults_can_be_cleared_and_wrong_ones_are_refused(world: World) -> None:
    fault = world.control("faults", {"status": 500, "times": 0})
    world.http.delete(f"{world.url}/control/faults/{fault['id']}", timeout=5)
    assert world.control("faults")["faults"] == []
    world.control("faults", {"explode": True}, expect=400)
    assert world.say().status_code == 200
