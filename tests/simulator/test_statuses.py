"""The ladder of delivery statuses, and how faults disturb it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.simulator.conftest import LUZ, ROSA, Hook, World


def _climbed(world: World, hook: Hook, **fault: Any) -> list[str]:
    if fault:
        world.control("faults", fault)
    assert world.say(biz_opaque_callback_data="out:1").status_code == 200
    world.settle()
    return [status["status"] for status in hook.statuses()]


def test_statuses_climb_and_carry_our_delivery_id(world: World, hook: Hook) -> None:
    assert _climbed(world, hook) == ["sent", "delivered", "read"]
    sent, _, read = hook.statuses()
    assert {status["biz_opaque_callback_data"] for status in hook.statuses()} == {"out:1"}
    assert sent["recipient_id"] == "59170000001"
    assert sent["recipient_user_id"].startswith("BO.")
    assert sent["pricing"] == {"billable": True, "pricing_model": "PMP", "type": "regular", "category": "service"}
    assert "pricing" not in read
    assert all(value["contacts"][0]["wa_id"] == "59170000001" for value in hook.values())
    assert isinstance(sent["timestamp"], str)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", []),
        ("repeated", ["sent", "sent", "delivered", "delivered", "read", "read"]),
        ("reversed", ["read", "delivered", "sent"]),
        ("before_answer", ["sent", "delivered", "read"]),
        ("failed", ["failed"]),
    ],
)
def test_a_fault_disturbs_the_ladder(world: World, hook: Hook, mode: str, expected: list[str]) -> None:
    assert _climbed(world, hook, statuses=mode) == expected


def test_late_statuses_come_after_their_delay(world: World, hook: Hook) -> None:
    world.control("faults", {"statuses": "late", "status_delay_s": 3600})
    wamid = world.say().json()["messages"][0]["id"]
    assert world.control(f"messages/{wamid}")["statuses"] == []
    assert world.control("summary")["timers"] == 3
    world.control("reset", {})
    assert world.control("summary")["timers"] == 0


def test_a_status_can_come_before_the_answer(world: World, hook: Hook) -> None:
    world.control("rules", {"delivered_after_ms": 60_000, "read_after_ms": 60_000})
    world.control("faults", {"statuses": "before_answer"})
    wamid = world.say().json()["messages"][0]["id"]
    assert [(status["id"], status["status"]) for status in hook.statuses()] == [(wamid, "sent")]


def test_a_failed_status_has_errors_and_no_contacts(world: World, hook: Hook) -> None:
    _climbed(world, hook, statuses="failed", failed_code=131047)
    value = hook.values()[0]
    assert "contacts" not in value
    assert value["statuses"][0]["errors"][0]["code"] == 131047
    assert value["statuses"][0]["errors"][0]["error_data"]["details"]
    assert "recipient_user_id" not in value["statuses"][0]


def test_a_message_to_a_user_id_names_no_number(world: World, hook: Hook) -> None:
    world.send({"recipient": LUZ, "type": "text", "text": {"body": "Hola"}})
    world.settle()
    sent, delivered, _ = hook.values()
    assert "recipient_id" not in sent["statuses"][0]
    assert sent["statuses"][0]["recipient_user_id"] == LUZ
    assert "username" not in sent["contacts"][0]["profile"]
    assert delivered["contacts"][0]["profile"]["username"] == "luz.vargas"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"phone_on": False}, ["sent"]),
        ({"read_receipts": False}, ["sent", "delivered"]),
        ({"on_whatsapp": False}, ["failed"]),
    ],
)
def test_a_patients_phone_decides_how_far_it_goes(
    world: World, hook: Hook, change: dict[str, bool], expected: list[str]
) -> None:
    answer = world.http.patch(f"{world.url}/control/patients/{ROSA}", json=change, timeout=5)
    assert answer.status_code == 200
    assert _climbed(world, hook) == expected


def test_waiting_statuses_share_a_post(world: World, hook: Hook) -> None:
    world.control("rules", {"sent_after_ms": 40, "delivered_after_ms": 40, "read_after_ms": 40})
    for _ in range(20):
        world.say()
    world.settle()
    assert len(hook.statuses()) == 60
    assert len(hook.posts) < 60


def test_any_status_can_be_sent_by_hand(world: World, hook: Hook) -> None:
    world.control("faults", {"statuses": "none"})
    wamid = world.say().json()["messages"][0]["id"]
    world.control("statuses", {"wamid": wamid, "status": "played", "repeat": 2})
    world.settle()
    assert [status["status"] for status in hook.statuses()] == ["played", "played"]


def test_a_status_says_when_the_webhook_acknowledged_it(world: World, hook: Hook) -> None:
    hook.answers = [503]
    wamid = world.say().json()["messages"][0]["id"]
    world.settle()
    statuses = world.control(f"messages/{wamid}")["statuses"]
    bodies = [body for body, _ in hook.posts]
    assert bodies.count(bodies[0]) == 2  # the first one had to be posted again
    assert all(status["acknowledged_at"] >= status["at"] for status in statuses)
