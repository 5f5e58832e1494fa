"""What reaches the webhook: bytes, signature, shapes, repetition, batches."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest

from simulator.incoming import KINDS
from simulator.webhooks import encode, sign
from tests.simulator.conftest import LUZ, ROSA, Hook, World

# Source of the vectors: whatsapp-cloud-api.md 1.2.
VECTORS = {
    "no entries": (
        b'{"object":"whatsapp_business_account","entry":[]}',
        "sha256=7684209d20e98f747cbaa9c37e9dbcf89184b73c4b7be662da88d486fab52681",
    ),
    "escaped": (
        rb'{"object":"whatsapp_business_account","entry":[],"nota":"\u00bfma\u00f1ana?"}',
        "sha256=1247fea601fb5e10dfee6ff4fa962e2376311c018c96453e8cf22fa4227752ef",
    ),
    "literal": (
        '{"object":"whatsapp_business_account","entry":[],"nota":"¿mañana?"}'.encode(),
        "sha256=533f818e6ebb6966cd2c3649e939a79dbcab1cde45677f7eb7dec5e53cae8a7b",
    ),
}


@pytest.mark.parametrize(("body", "signature"), VECTORS.values(), ids=VECTORS.keys())
def test_the_signature_is_over_the_exact_bytes(body: bytes, signature: str) -> None:
    assert sign("secreto-de-prueba", body) == signature


def test_our_encoding_gives_the_escaped_vector() -> None:
    value = {"object": "whatsapp_business_account", "entry": [], "nota": "¿mañana?"}
    assert encode(value) == VECTORS["escaped"][0]


def test_emoji_become_surrogate_pairs_and_slashes_are_escaped() -> None:
    assert encode({"a": "😀 1/2"}) == rb'{"a":"\ud83d\ude00 1\/2"}'


def test_a_text_arrives_signed_and_complete(world: World, hook: Hook) -> None:
    sent = world.control("messages", {"patient": ROSA, "text": "¿Mañana? ñ 😀", "timestamp": 1790416800})
    world.settle()
    body, signature = hook.posts[0]
    assert body.isascii()
    assert b"\\u00f1 \\ud83d\\ude00" in body
    assert signature == "sha256=" + hmac.new(b"demo-app-secret", body, hashlib.sha256).hexdigest()
    change = json.loads(body)["entry"][0]["changes"][0]
    assert change["field"] == "messages"
    value = change["value"]
    assert value["metadata"] == {"display_phone_number": "59122000000", "phone_number_id": "200000000000002"}
    assert value["contacts"][0]["profile"] == {"name": "Rosa Mamani"}
    message = value["messages"][0]
    assert message["from"] == value["contacts"][0]["wa_id"] == "59170000001"
    assert message["from_user_id"] == value["contacts"][0]["user_id"]
    assert message["id"] == sent["messages"][0]["wamid"]
    assert (message["timestamp"], message["text"]) == ("1790416800", {"body": "¿Mañana? ñ 😀"})
    assert world.control(f"messages/{message['id']}")["webhook"] == {
        "state": "accepted",
        "attempts": 1,
        "http_status": 200,
    }


def test_an_identity_that_is_not_shared_is_a_missing_key(world: World, hook: Hook) -> None:
    world.control("messages", {"patient": LUZ, "text": "Hola"})
    world.control("messages", {"patient": "+59170000002", "text": "Hola"})
    world.settle()
    by_id = {value["contacts"][0]["profile"]["name"]: value for value in hook.values()}
    luz, juan = by_id["Luz Vargas"], by_id["Juan Quispe"]
    assert "from" not in luz["messages"][0]
    assert "wa_id" not in luz["contacts"][0]
    assert luz["contacts"][0]["profile"]["username"] == "luz.vargas"
    assert "from_user_id" not in juan["messages"][0]
    assert "user_id" not in juan["contacts"][0]


WISHES: dict[str, dict[str, Any]] = {
    "text": {"text": "Hola"},
    "button_reply": {"id": "cita:1", "title": "Confirmar", "context": "wamid.A"},
    "list_reply": {"id": "hora:9", "title": "9:00", "description": "Control", "context": "wamid.A"},
    "button": {"id": "CONFIRMAR:42", "title": "Confirmo", "context": "wamid.A"},
    "image": {"caption": "mi receta"},
    "document": {"filename": "receta.pdf", "caption": "receta"},
    "location": {"latitude": -16.5, "longitude": -68.15, "name": "Casa"},
    "contacts": {"phone": ROSA, "contact_name": "Rosa"},
    "contact_request": {"phone": ROSA, "context": "wamid.A"},
    "reaction": {"message_id": "wamid.A", "emoji": "👍"},
    "edit": {"message_id": "wamid.A", "text": "mejor a las 9"},
    "revoke": {"message_id": "wamid.A"},
    "user_changed_number": {"new_number": "+59170000077"},
    "raw": {"message": {"type": "hologram", "hologram": 7}},
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_can_be_sent(world: World, hook: Hook, kind: str) -> None:
    world.control("messages", {"patient": ROSA, "kind": kind, **WISHES.get(kind, {})})
    world.settle()
    message = hook.messages()[0]
    assert message["id"].startswith("wamid.")
    own_content = set(message) - {"from", "from_user_id", "id", "timestamp", "type", "context"}
    assert message["type"] in own_content or message["type"] == "request_welcome"
    if "context" in WISHES.get(kind, {}):
        assert message["context"] == {"from": "59122000000", "id": "wamid.A"}


def test_media_contacts_and_taps_look_like_metas(world: World, hook: Hook) -> None:
    for kind in ("voice", "contact_request", "button_reply", "reaction"):
        wish = {"message_id": "wamid.A"} if kind == "reaction" else WISHES.get(kind, {})
        world.control("messages", {"patient": ROSA, "kind": kind, **wish})
    world.settle()
    voice, contact, tap, reaction = hook.messages()
    assert voice["audio"]["voice"] is True
    assert voice["audio"]["mime_type"] == "audio/ogg; codecs=opus"
    assert contact["contacts"][0]["origin"] == "contact_request"
    assert contact["contacts"][0]["phones"][0]["wa_id"] == "59170000001"
    assert tap["interactive"] == {"type": "button_reply", "button_reply": {"id": "cita:1", "title": "Confirmar"}}
    assert "emoji" not in reaction["reaction"], "a reaction taken back has no emoji"


def test_a_changed_number_leads_to_the_same_patient(world: World, hook: Hook) -> None:
    before = world.control(f"patients/{ROSA}")
    world.control("messages", {"patient": ROSA, "kind": "user_changed_number", "new_number": "+59170000077"})
    world.settle()
    value = hook.values()[0]
    assert "contacts" not in value
    assert value["messages"][0]["from"] == "59170000001"
    system = value["messages"][0]["system"]
    assert (system["wa_id"], system["previous_user_id"]) == ("59170000077", before["user_id"])
    after = world.control("patients/+59170000077")
    assert after["id"] == before["id"]
    assert after["user_id"] == system["user_id"] != before["user_id"]


def test_a_refused_webhook_comes_again_with_the_same_bytes(world: World, hook: Hook) -> None:
    hook.answers = [503, 500]
    wamid = world.control("messages", {"patient": ROSA, "text": "Hola"})["messages"][0]["wamid"]
    world.settle()
    assert len(hook.posts) == 3
    assert len(set(hook.posts)) == 1
    assert world.control(f"messages/{wamid}")["webhook"] == {"state": "accepted", "attempts": 3, "http_status": 200}


def test_only_200_counts_as_accepted_and_the_simulator_gives_up_in_the_end(world: World, hook: Hook) -> None:
    world.control("rules", {"webhook_max_attempts": 2})
    hook.answers = [204, 202]
    wamid = world.control("messages", {"patient": ROSA, "text": "Hola"})["messages"][0]["wamid"]
    world.settle()
    assert world.control(f"messages/{wamid}")["webhook"]["state"] == "gave_up"
    assert world.control("summary")["webhooks"]["gave_up"] == 1


def test_repeat_posts_the_same_bytes_again(world: World, hook: Hook) -> None:
    world.control("messages", {"patient": ROSA, "text": "Hola", "repeat": 3})
    world.settle()
    assert len(hook.posts) == 3
    assert len(set(hook.posts)) == 1
    assert len(world.control("messages")["messages"]) == 1


@pytest.mark.parametrize(("level", "shape"), [("messages", (1, 1, 6)), ("changes", (1, 6, 6)), ("entries", (6, 6, 6))])
def test_a_batch_stands_side_by_side_on_the_wanted_level(
    world: World, hook: Hook, level: str, shape: tuple[int, int, int]
) -> None:
    wishes = [{"patient": f"+5917000000{i % 3 + 1}", "text": str(i)} for i in range(6)]
    world.control("messages", {"messages": wishes, "batch": 6, "batch_as": level})
    world.settle()
    assert len(hook.posts) == 1
    entries = json.loads(hook.posts[0][0])["entry"]
    changes = [change for entry in entries for change in entry["changes"]]
    assert (len(entries), len(changes), len(hook.messages())) == shape
    assert [message["text"]["body"] for message in hook.messages()] == list("012345")


def test_a_burst_keeps_each_patients_order_unless_shuffled(world: World, hook: Hook) -> None:
    wishes = [{"patient": f"+591710001{i % 20:02d}", "text": str(i)} for i in range(200)]
    world.control("messages", {"messages": wishes})
    world.settle()
    for patient in {message["from"] for message in hook.messages()}:
        texts = [int(m["text"]["body"]) for m in hook.messages() if m["from"] == patient]
        assert texts == sorted(texts)
        assert len(texts) == 10


def test_a_raw_body_is_posted_as_it_is(world: World, hook: Hook) -> None:
    answer = world.control("webhook", {"hex": "ff00", "signature": "sha256=00"})
    assert (answer["http_status"], answer["bytes"]) == (200, 2)
    assert hook.posts == [(b"\xff\x00", "sha256=00")]


def test_a_wish_that_cannot_be_built_sends_nothing(world: World, hook: Hook) -> None:
    wishes = [{"patient": ROSA, "text": "Hola"}, {"patient": ROSA, "kind": "telepathy"}]
    problem = world.control("messages", {"messages": wishes}, expect=400)
    assert "telepathy" in problem["error"]
    world.settle()
    assert not hook.posts
    assert world.control("messages")["messages"] == []
