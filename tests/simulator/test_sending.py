"""What the played Graph API accepts and refuses, with Meta's codes."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.limits import check_common, check_content
from simulator.meta_errors import MetaError
from tests.simulator.conftest import LUZ, ROSA, World


def _button(id: str = "a", title: str = "Sí") -> dict[str, Any]:
    return {"type": "reply", "reply": {"id": id, "title": title}}


def _buttons(*buttons: dict[str, Any], text: str = "¿Confirma?") -> dict[str, Any]:
    interactive = {"type": "button", "body": {"text": text}, "action": {"buttons": list(buttons)}}
    return {"type": "interactive", "interactive": interactive}


def _list(
    rows: int, title: str = "9:00", per_section: int = 10, text: str = "Elija", label: str = "Ver"
) -> dict[str, Any]:
    made = [{"id": f"h{i}", "title": title} for i in range(rows)]
    sections = [{"title": f"S{i}", "rows": made[i : i + per_section]} for i in range(0, rows, per_section)]
    action = {"button": label, "sections": sections}
    return {"type": "interactive", "interactive": {"type": "list", "body": {"text": text}, "action": action}}


def _reminder(**changes: Any) -> dict[str, Any]:
    parameters = [
        {"type": "text", "parameter_name": "nombre", "text": "Rosa"},
        {"type": "text", "parameter_name": "fecha", "text": "martes 24, 10:00"},
    ]
    template = {"name": "recordatorio_cita", "language": {"code": "es"}}
    return {
        "type": "template",
        "template": template | {"components": [{"type": "body", "parameters": parameters}]} | changes,
    }


def _text(length: int) -> dict[str, Any]:
    return {"type": "text", "text": {"body": "á" * length}}


def _image(**image: Any) -> dict[str, Any]:
    return {"type": "image", "image": image}


ACCEPTED = {
    "a text of 4096 characters": (_text(4096), "text"),
    "three buttons with titles of 20": (_buttons(*(_button(str(i), f"{i}" + "x" * 19) for i in range(3))), "button"),
    "a button id of 256": (_buttons(_button("i" * 256)), "button"),
    "a body of 1024 over buttons": (_buttons(_button(), text="x" * 1024), "button"),
    "a list of ten rows in two sections": (_list(10, per_section=5), "list"),
    "a list body of 4096": (_list(1, text="x" * 4096), "list"),
    "a location": ({"type": "location", "location": {"latitude": -17.78, "longitude": -63.18}}, "location"),
    "an image by link": (_image(link="https://example.org/a.png", caption="x" * 1024), "image"),
    "a request for the number": (
        {
            "type": "interactive",
            "interactive": {
                "type": "request_contact_info",
                "body": {"text": "¿Su número?"},
                "action": {"name": "request_contact_info"},
            },
        },
        "request_contact_info",
    ),
}


@pytest.mark.parametrize(("content", "kind"), ACCEPTED.values(), ids=ACCEPTED.keys())
def test_content_within_metas_limits_is_accepted(content: dict[str, Any], kind: str) -> None:
    assert check_content(content) == kind


REFUSED = {
    "an empty text": (_text(0), 100),
    "a blank text": ({"type": "text", "text": {"body": "  \n"}}, 100),
    "a text of 4097 characters": (_text(4097), 100),
    "no text at all": ({"type": "text"}, 131008),
    "an unknown type": ({"type": "poll"}, 100),
    "four buttons": (_buttons(*(_button(str(i), str(i)) for i in range(4))), 131009),
    "no button": (_buttons(), 131009),
    "a button title of 21": (_buttons(_button(title="x" * 21)), 131009),
    "an empty button title": (_buttons(_button(title="")), 131009),
    "two buttons with one title": (_buttons(_button("a"), _button("b")), 131009),
    "two buttons with one id": (_buttons(_button("a", "Sí"), _button("a", "No")), 131009),
    "a button id of 257": (_buttons(_button("i" * 257)), 131009),
    "a body of 1025 over buttons": (_buttons(_button(), text="x" * 1025), 131009),
    "eleven rows": (_list(11), 131009),
    "eleven rows in three sections": (_list(11, per_section=4), 131009),
    "a row title of 25": (_list(1, title="x" * 25), 131009),
    "a list label of 21": (_list(1, label="x" * 21), 131009),
    "a list body of 4097": (_list(1, text="x" * 4097), 131009),
    "a latitude of 91": ({"type": "location", "location": {"latitude": 91, "longitude": 0}}, 131009),
    "a location without longitude": ({"type": "location", "location": {"latitude": 1}}, 131008),
    "an image with id and link": (_image(id="1", link="https://example.org/a.png"), 131009),
    "an image with neither": (_image(caption="x"), 131009),
    "a caption of 1025": (_image(id="1", caption="x" * 1025), 131009),
    "a template without language": ({"type": "template", "template": {"name": "recordatorio_cita"}}, 131008),
}


@pytest.mark.parametrize(("content", "code"), REFUSED.values(), ids=REFUSED.keys())
def test_content_beyond_metas_limits_is_refused(content: dict[str, Any], code: int) -> None:
    with pytest.raises(MetaError) as refusal:
        check_content(content)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        pytest.param({"to": "59170000001"}, 131009, id="a number without plus"),
        pytest.param({"to": "+591-7"}, 131009, id="a malformed number"),
        pytest.param({}, 100, id="no recipient"),
        pytest.param({"recipient": "rosa"}, 131009, id="a malformed user id"),
        pytest.param({"to": "+59122000000"}, 131021, id="our own number"),
        pytest.param({"to": ROSA, "biz_opaque_callback_data": "x" * 513}, 131009, id="513 characters of callback data"),
        pytest.param({"to": ROSA, "recipient_type": "herd"}, 100, id="an unknown recipient type"),
    ],
)
def test_a_wrong_envelope_is_refused(fields: dict[str, Any], code: int) -> None:
    with pytest.raises(MetaError) as refusal:
        check_common({"messaging_product": "whatsapp", **fields}, "59122000000")
    assert refusal.value.code == code


def test_an_accepted_send_answers_with_contact_and_wamid(world: World) -> None:
    answer = world.say("Su cita es el martes.", biz_opaque_callback_data="out:7f3c")
    assert answer.status_code == 200
    body = answer.json()
    assert body["contacts"] == [{"input": ROSA, "wa_id": "59170000001"}]
    wamid = body["messages"][0]["id"]
    kept = world.control(f"messages/{wamid}")
    assert (kept["text"], kept["delivery_id"], kept["patient"]) == ("Su cita es el martes.", "out:7f3c", "59170000001")


def test_a_patient_without_number_is_reached_by_user_id(world: World) -> None:
    body = world.send({"recipient": LUZ, "type": "text", "text": {"body": "Hola"}}).json()
    assert body["contacts"] == [{"input": LUZ, "user_id": LUZ}]
    world.settle()


def test_the_wrong_token_and_the_wrong_number_are_refused_in_metas_shape(world: World) -> None:
    wrong_token = world.send({"type": "text", "text": {"body": "x"}}, token="other")
    assert (wrong_token.status_code, wrong_token.json()["error"]["code"]) == (401, 190)
    wrong_number = world.send({"type": "text", "text": {"body": "x"}}, number="1")
    error = wrong_number.json()["error"]
    assert (wrong_number.status_code, error["code"], error["error_subcode"]) == (400, 100, 33)
    too_long = world.send(_buttons(_button(title="x" * 21))).json()["error"]
    assert too_long["type"] == "OAuthException"
    assert too_long["error_data"]["messaging_product"] == "whatsapp"
    assert "title" in too_long["error_data"]["details"]
    assert too_long["fbtrace_id"]
    assert [call["code"] for call in world.control("calls")["calls"]] == [190, 100, 131009]


TEMPLATES = {
    "a fitting one": (_reminder(), None),
    "an unknown name": (_reminder(name="oferta"), 132001),
    "an unknown language": (_reminder(language={"code": "es_MX"}), 132001),
    "too few parameters": (_reminder(components=[]), 132000),
    "positional parameters": (
        _reminder(components=[{"type": "body", "parameters": [{"type": "text", "text": "Rosa"}] * 2}]),
        132012,
    ),
    "a new line in a parameter": (
        _reminder(
            components=[{"type": "body", "parameters": [{"type": "text", "parameter_name": "nombre", "text": "a\nb"}]}]
        ),
        132018,
    ),
    "a button that is not there": (
        _reminder(components=[{"type": "button", "sub_type": "quick_reply", "index": "7", "parameters": []}]),
        132018,
    ),
}


@pytest.mark.parametrize(("body", "code"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_template_must_be_known_and_fit(world: World, body: dict[str, Any], code: int | None) -> None:
    answer = world.send(body)
    assert answer.json().get("error", {}).get("code") == code
    if code is None:
        text = world.control(f"messages/{answer.json()['messages'][0]['id']}")["text"]
        assert text == "Hola Rosa, le recordamos su cita en el centro: martes 24, 10:00. ¿Podrá venir?"
    world.settle()


def test_a_read_mark_reads_this_and_earlier_messages_and_shows_typing(world: World) -> None:
    sent = world.control("messages", {"messages": [{"patient": ROSA, "text": str(i)} for i in range(3)]})["messages"]
    mark = {"status": "read", "message_id": sent[1]["wamid"], "typing_indicator": {"type": "text"}}
    assert world.send(mark).json() == {"success": True}
    read = [message["read"] for message in world.control("messages?direction=to_clinic")["messages"]]
    assert read == [True, True, False]
    state = world.http.get(f"{world.url}/page/state?patient=59170000001", timeout=5).json()
    assert state["patients"][0]["typing"] is True
    assert world.send({"status": "read", "message_id": "wamid.other"}).json()["error"]["code"] == 131009
