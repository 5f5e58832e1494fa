"""Replies become the Cloud API bodies that Meta documents, within its limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import PartnerRefused
from shared.messages import Button, Identity, ListRow, Location, Media, Reply, Template
from workers.whatsapp.lengths import length
from workers.whatsapp.payloads import ASK_CONTACT, CHOOSE, OPEN_LIST, build, read_mark

ANA = Identity(number="59170000001", user_id="BO.1000000001")


def content(reply: Reply) -> dict[str, Any]:
    body = build(reply, ANA, "d_1")
    common = ("messaging_product", "recipient_type", "to", "biz_opaque_callback_data")
    return {key: value for key, value in body.items() if key not in common}


def buttons(*titles: str) -> tuple[Button, ...]:
    return tuple(Button(id=f"b:{index}", title=title) for index, title in enumerate(titles))


def test_a_text_is_the_documented_body() -> None:
    assert build(Reply(text="Su cita es el martes a las 9:00."), ANA, "d_7f3c") == {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": "+59170000001",
        "type": "text",
        "text": {"preview_url": False, "body": "Su cita es el martes a las 9:00."},
        "biz_opaque_callback_data": "d_7f3c",
    }


def test_a_patient_without_number_is_reached_by_user_id() -> None:
    body = build(Reply(text="Hola"), Identity(user_id="BO.1000000001"), "d_1")
    assert body["recipient"] == "BO.1000000001"
    assert "to" not in body


def test_nobody_to_send_to_is_refused() -> None:
    with pytest.raises(PartnerRefused, match="no number"):
        build(Reply(text="Hola"), Identity(), "d_1")


def test_up_to_three_buttons_are_reply_buttons() -> None:
    reply = Reply(text="¿Confirma su cita?", buttons=buttons("Confirmar", "Cambiar fecha"))
    assert content(reply) == {
        "type": "interactive",
        "interactive": {
            "type": "button",
            "body": {"text": "¿Confirma su cita?"},
            "action": {
                "buttons": [
                    {"type": "reply", "reply": {"id": "b:0", "title": "Confirmar"}},
                    {"type": "reply", "reply": {"id": "b:1", "title": "Cambiar fecha"}},
                ]
            },
        },
    }


def test_more_than_three_buttons_become_a_list() -> None:
    interactive = content(Reply(text="Elija", buttons=buttons("Uno", "Dos", "Tres", "Cuatro")))["interactive"]
    assert interactive["type"] == "list"
    assert interactive["action"] == {
        "button": OPEN_LIST,
        "sections": [{"rows": [{"id": f"b:{i}", "title": t} for i, t in enumerate(("Uno", "Dos", "Tres", "Cuatro"))]}],
    }


def test_a_list_keeps_its_label_descriptions_and_at_most_ten_rows() -> None:
    rows = tuple(
        ListRow(id=f"hora:{i}", title=f"{i}:00", description="Dra. Rojas" if i == 0 else "") for i in range(12)
    )
    action = content(Reply(text="Elija un horario", rows=rows, rows_label="Ver horarios"))["interactive"]["action"]
    assert action["button"] == "Ver horarios"
    [section] = action["sections"]
    assert section["rows"][0] == {"id": "hora:0", "title": "0:00", "description": "Dra. Rojas"}
    assert section["rows"][1] == {"id": "hora:1", "title": "1:00"}
    assert len(section["rows"]) == 10


def test_long_titles_are_cut_and_stay_different() -> None:
    titles = ("Hablar con una persona del centro", "Hablar con una persona ahora", "No")
    built = content(Reply(text="?", buttons=buttons(*titles)))["interactive"]["action"]["buttons"]
    shown = [button["reply"]["title"] for button in built]
    assert shown == ["Hablar con una…", "Hablar con una… 2", "No"]
    assert all(length(title) <= 20 for title in shown)


def test_a_button_that_cannot_be_sent_costs_only_itself() -> None:
    unusable = (Button(id="x" * 257, title="Largo"), Button(id="a", title=" \u200b"), Button(id="", title="Sin id"))
    good = (Button(id="a", title="Sí"), Button(id="a", title="Repetido"))
    built = content(Reply(text="?", buttons=(*unusable[:1], *good)))["interactive"]["action"]["buttons"]
    assert [button["reply"]["title"] for button in built] == ["Sí"]
    assert content(Reply(text="Hola", buttons=unusable)) == content(Reply(text="Hola"))


def test_an_over_long_text_with_buttons_is_cut_at_a_sentence() -> None:
    text = "Tome su tratamiento todos los días. " * 40
    body = content(Reply(text=text, buttons=buttons("Entendido")))["interactive"]["body"]["text"]
    assert body.endswith("todos los días. …")
    assert 900 < length(body) <= 1024


def test_an_over_long_plain_text_is_cut_at_a_sentence() -> None:
    body = content(Reply(text="Una frase. " * 600))["text"]["body"]
    assert body.endswith("Una frase. …")
    assert length(body) <= 4096


@pytest.mark.parametrize("text", ["", "  \n", "\u200b", "\x00"])
def test_an_empty_text_is_never_sent(text: str) -> None:
    with pytest.raises(PartnerRefused, match="no text"):
        build(Reply(text=text), ANA, "d_1")
    assert content(Reply(text=text, buttons=buttons("Sí")))["interactive"]["body"]["text"] == CHOOSE


def test_a_template_with_named_parameters_and_payloads() -> None:
    template = Template(
        name="recordatorio_cita",
        language="es",
        parameters={"nombre": "Ana\nMaría", "fecha": "martes 3 de marzo,    9:00"},
        payloads=("cita:confirmar:42",),
    )
    assert content(Reply(template=template)) == {
        "type": "template",
        "template": {
            "name": "recordatorio_cita",
            "language": {"code": "es"},
            "components": [
                {
                    "type": "body",
                    "parameters": [
                        {"type": "text", "parameter_name": "nombre", "text": "Ana María"},
                        {"type": "text", "parameter_name": "fecha", "text": "martes 3 de marzo, 9:00"},
                    ],
                },
                {
                    "type": "button",
                    "sub_type": "quick_reply",
                    "index": "0",
                    "parameters": [{"type": "payload", "payload": "cita:confirmar:42"}],
                },
            ],
        },
    }


def test_numbered_parameters_are_positional_and_in_order() -> None:
    template = Template(name="t", language="es", parameters={"2": "dos", "1": ""})
    [body] = content(Reply(template=template))["template"]["components"]
    assert body["parameters"] == [{"type": "text", "text": "-"}, {"type": "text", "text": "dos"}]


def test_a_template_without_variables_has_no_components() -> None:
    assert content(Reply(template=Template(name="hola", language="es")))["template"] == {
        "name": "hola",
        "language": {"code": "es"},
    }


def test_a_location_takes_the_text_as_its_name() -> None:
    reply = Reply(text="Centro Médico", location=Location(latitude=-17.8, longitude=-63.1, address="Calle 1"))
    assert content(reply) == {
        "type": "location",
        "location": {"latitude": -17.8, "longitude": -63.1, "name": "Centro Médico", "address": "Calle 1"},
    }


@pytest.mark.parametrize(
    ("media", "body"),
    [
        (
            Media(kind="document", media_id="900", filename="a/b.pdf", caption="Indicaciones"),
            {"id": "900", "caption": "Indicaciones", "filename": "a-b.pdf"},
        ),
        (Media(kind="image", link="https://ejemplo.bo/mapa.png"), {"link": "https://ejemplo.bo/mapa.png"}),
    ],
)
def test_a_picture_or_document_goes_by_link_or_id(media: Media, body: dict[str, str]) -> None:
    assert content(Reply(media=media)) == {"type": media.kind, media.kind: body}


@pytest.mark.parametrize(
    "reply",
    [
        Reply(media=Media(kind="image")),
        Reply(media=Media(kind="image", link="https://a.bo/x", media_id="1")),
        Reply(media=Media(kind="sticker", media_id="1")),
        Reply(location=Location(latitude=float("nan"), longitude=0)),
        Reply(location=Location(latitude=0, longitude=200)),
    ],
)
def test_what_meta_would_refuse_is_not_sent(reply: Reply) -> None:
    with pytest.raises(PartnerRefused):
        build(reply, ANA, "d_1")


def test_a_contact_request_always_says_why() -> None:
    assert content(Reply(asks_contact=True)) == {
        "type": "interactive",
        "interactive": {
            "type": "request_contact_info",
            "body": {"text": ASK_CONTACT},
            "action": {"name": "request_contact_info"},
        },
    }


def test_the_read_mark_shows_typing_only_when_a_reply_follows() -> None:
    mark = {"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.A"}
    assert read_mark("wamid.A", typing=False) == mark
    assert read_mark("wamid.A", typing=True) == mark | {"typing_indicator": {"type": "text"}}


_words = st.text(st.characters(categories=None, exclude_categories=[]), max_size=60) | st.text(max_size=30).map(
    lambda text: text * 200
)


@given(text=_words, titles=st.lists(_words, max_size=12), label=_words, as_rows=st.booleans())
def test_no_reply_of_any_text_breaks_a_limit(text: str, titles: list[str], label: str, as_rows: bool) -> None:
    if as_rows:
        rows = tuple(ListRow(id=f"r{i}", title=title, description=text) for i, title in enumerate(titles))
        reply = Reply.model_construct(text=text, rows=rows, rows_label=label)
    else:
        reply = Reply.model_construct(text=text, buttons=buttons(*titles))
    try:
        body = build(reply, ANA, "d_1")
    except PartnerRefused:
        return
    assert "\\u0000" not in json.dumps(body)
    json.dumps(body, ensure_ascii=False).encode("utf-8")
    if body["type"] == "text":
        assert 1 <= length(body["text"]["body"]) <= 4096
        return
    interactive = body["interactive"]
    is_list = interactive["type"] == "list"
    assert 1 <= length(interactive["body"]["text"]) <= (4096 if is_list else 1024)
    action = interactive["action"]
    items = action["sections"][0]["rows"] if is_list else [button["reply"] for button in action["buttons"]]
    assert 1 <= len(items) <= (10 if is_list else 3)
    assert all(item["title"].strip() and length(item["title"]) <= (24 if is_list else 20) for item in items)
    assert all(length(item.get("description", "")) <= 72 for item in items)
    assert is_list or len({item["title"] for item in items}) == len(items)
    assert length(action.get("button", "")) <= 20
