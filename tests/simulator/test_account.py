"""The management half of the Graph API: phone number, subscription, templates; and what spoils them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from simulator.options import from_environment
from tests.simulator.conftest import ROSA, World

NUMBER, ACCOUNT = "200000000000002", "100000000000001"
NUMBER_FIELDS = "display_phone_number,verified_name,quality_rating,code_verification_status,throughput"
REMINDER = {
    "name": "recordatorio_cita",
    "language": {"code": "es"},
    "components": [
        {
            "type": "body",
            "parameters": [
                {"type": "text", "parameter_name": "nombre", "text": "Rosa"},
                {"type": "text", "parameter_name": "fecha", "text": "martes a las 10:00"},
            ],
        }
    ],
}


def ask(world: World, path: str, token: str = "demo-token", **query: str) -> Any:
    headers = {"Authorization": f"Bearer {token}"}
    return world.http.get(f"{world.url}/v26.0/{path}", params=query, headers=headers, timeout=5)


def change(world: World, path: str, body: dict[str, Any], expect: int = 200) -> Any:
    answer = world.http.patch(f"{world.url}/control/{path}", json=body, timeout=5)
    assert answer.status_code == expect, answer.text
    return answer.json()


def error_of(answer: Any) -> tuple[int, int, int | None]:
    error = answer.json()["error"]
    return answer.status_code, error["code"], error.get("error_subcode")


def test_the_number_shows_the_fields_that_are_asked_for(world: World) -> None:
    whole = ask(world, NUMBER, fields=NUMBER_FIELDS).json()
    assert whole == {
        "display_phone_number": "+59122000000",
        "verified_name": "Centro Médico Cañada del Carmen",
        "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED",
        "throughput": {"level": "STANDARD"},
        "id": NUMBER,
    }
    assert ask(world, NUMBER, fields="verified_name").json().keys() == {"verified_name", "id"}
    assert error_of(ask(world, NUMBER, fields="shoe_size")) == (400, 100, None)
    assert error_of(ask(world, "999", fields="id")) == (400, 100, 33)
    assert error_of(ask(world, NUMBER, token="wrong")) == (401, 190, None)
    assert requests.get(f"{world.url}/control/nowhere", timeout=5).status_code == 404


def test_an_account_may_lose_its_listener(world: World) -> None:
    [app] = ask(world, f"{ACCOUNT}/subscribed_apps").json()["data"]
    assert app["whatsapp_business_api_data"]["name"] == "Asistente"
    change(world, "account", {"subscribed": False})
    assert ask(world, f"{ACCOUNT}/subscribed_apps").json() == {"data": []}
    world.control("reset", {})
    assert world.control("account")["subscribed"] is True


def test_a_template_stands_in_metas_form(world: World) -> None:
    fields = "name,language,status,category,quality_score,parameter_format,components"
    listed = ask(world, f"{ACCOUNT}/message_templates", fields=fields, name="recordatorio_cita").json()["data"]
    [template] = listed
    assert (template["status"], template["category"], template["parameter_format"]) == ("APPROVED", "UTILITY", "NAMED")
    body, buttons = template["components"]
    assert body["type"] == "BODY"
    assert "{{nombre}}" in body["text"]
    assert [button["type"] for button in buttons["buttons"]] == ["QUICK_REPLY"] * 3
    assert template["id"].isdigit()
    assert "quality_score" not in ask(world, f"{ACCOUNT}/message_templates").json()["data"][0]  # only when asked for


def test_templates_are_found_by_a_part_of_their_name_and_by_their_state(world: World) -> None:
    def names(**query: str) -> list[str]:
        return sorted(row["name"] for row in ask(world, f"{ACCOUNT}/message_templates", **query).json()["data"])

    assert names(name="cita") == ["cita_perdida", "recordatorio_cita"]
    assert names(language="en_US") == ["hello_world"]
    assert names(status="PAUSED") == []
    assert len(names(limit="2")) == 2


@pytest.mark.parametrize(("status", "code"), [("PAUSED", 132015), ("DISABLED", 132016), ("PENDING", 132001)])
def test_a_template_that_is_not_approved_cannot_be_sent(world: World, status: str, code: int) -> None:
    assert world.send({"type": "template", "template": REMINDER}).status_code == 200
    change(world, "templates/recordatorio_cita", {"status": status, "quality": "RED"})
    assert error_of(world.send({"type": "template", "template": REMINDER}))[1] == code
    change(world, "templates/recordatorio_cita", {"status": "APPROVED"})
    assert world.send({"type": "template", "template": REMINDER}).status_code == 200
    world.settle()


def test_a_template_can_be_removed(world: World) -> None:
    assert world.http.delete(f"{world.url}/control/templates/cita_perdida", timeout=5).status_code == 204
    assert world.http.delete(f"{world.url}/control/templates/cita_perdida", timeout=5).status_code == 404
    assert ask(world, f"{ACCOUNT}/message_templates", name="cita_perdida").json()["data"] == []
    change(world, "templates/cita_perdida", {"status": "PAUSED"}, expect=404)


@pytest.mark.parametrize(("state", "subcode"), [("expired", 463), ("revoked", 460)])
def test_a_token_that_ended_opens_nothing(world: World, state: str, subcode: int) -> None:
    change(world, "account", {"token": state})
    assert error_of(ask(world, NUMBER)) == (401, 190, subcode)
    assert error_of(world.say()) == (401, 190, subcode)
    assert world.control(f"messages?patient=%2B{ROSA[1:]}&direction=to_patient")["messages"] == []


def test_a_token_for_messages_only_may_send_and_not_look(world: World) -> None:
    change(world, "account", {"token": "messaging_only"})
    assert error_of(ask(world, f"{ACCOUNT}/message_templates")) == (403, 200, None)
    assert world.say().status_code == 200
    world.settle()


def test_a_fault_meets_a_management_read_only_by_name(world: World) -> None:
    world.control("faults", {"times": 1, "code": 131000}, expect=201)
    assert ask(world, NUMBER).status_code == 200
    world.control("faults", {"kind": "number", "raw_body": "<html>", "status": 502}, expect=201)
    assert ask(world, NUMBER).text == "<html>"
    assert ask(world, NUMBER).status_code == 200
    assert world.say().status_code == 500  # the first fault was still waiting for a send


def test_the_account_id_can_be_set() -> None:
    assert from_environment({"WHATSAPP_BUSINESS_ACCOUNT_ID": "42"}).account_id == "42"
