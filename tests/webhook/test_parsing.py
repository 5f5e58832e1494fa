"""Each recorded webhook body in tests/data/webhooks is read as its row here says; no JSON of any shape raises."""

from __future__ import annotations

import datetime as dt
import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.identity import message_id
from shared.messages import Identity, Message, MessageKind
from webhook.contents import _READERS, MAX_TEXT_BYTES
from webhook.parsing import Parsed, parse

BODIES = Path(__file__).parent.parent / "data" / "webhooks"
KEY = b"clave de prueba"
OURS = "200000000000002"
NOW = dt.datetime(2026, 9, 26, 12, 0, 0, tzinfo=dt.UTC)
WRITTEN = dt.datetime.fromtimestamp(1790416800, dt.UTC)

ANA = Identity(number="59170000001", user_id="BO.1000000001")
TEXT, CHOICE, MEDIA, UNSUPPORTED = MessageKind.TEXT, MessageKind.CHOICE, MessageKind.MEDIA, MessageKind.UNSUPPORTED


def read(name: str, phone_number_id: str | None = OURS) -> Parsed:
    return parse(json.loads((BODIES / f"{name}.json").read_text(encoding="utf-8")), phone_number_id, KEY, NOW)


# One message by Ana, and nothing else in the body. The file's name -> what its message must hold.
ONE_MESSAGE: dict[str, dict[str, Any]] = {
    "text": {"text": "Quiero una cita mañana a las 10"},
    "text_forwarded": {"text": "Remedio casero", "forwarded": True},
    "text_frequently_forwarded": {"text": "Cadena", "forwarded": True},
    "text_with_referral": {"text": "Hola"},
    "text_in_group": {"text": "Hola a todos"},
    "text_with_nul": {"text": "Me duele el pecho"},
    "text_with_unknown_keys": {"text": "Hola"},
    "image_with_caption": {"kind": MEDIA, "media": "image", "text": "Así salió la flema con sangre"},
    "image_without_url": {"kind": MEDIA, "media": "image", "text": ""},
    "image_not_downloadable": {"kind": MEDIA, "media": "image", "text": ""},
    "video_with_caption": {"kind": MEDIA, "media": "video", "text": "Mi papá no respira bien"},
    "audio_file": {"kind": MEDIA, "media": "audio", "text": ""},
    "voice_note": {"kind": MEDIA, "media": "voice", "text": ""},
    "document_with_filename": {"kind": MEDIA, "media": "document", "text": "Mi receta\nreceta.pdf"},
    "sticker": {"kind": MEDIA, "media": "sticker", "text": ""},
    "location": {"kind": MessageKind.LOCATION, "text": "Mi casa\nCalle 3, El Alto"},
    "location_bare": {"kind": MessageKind.LOCATION, "text": ""},
    "contacts_other_person": {"kind": MessageKind.CONTACTS, "text": "Luis Mamani", "contact_phone": None},
    "contacts_own_card": {"kind": MessageKind.CONTACTS, "text": "Ana", "contact_phone": "59170000001"},
    "contacts_request_without_wa_id": {"kind": MessageKind.CONTACTS, "contact_phone": "59170000001"},
    "button_reply": {"kind": CHOICE, "choice_id": "cita:confirmar:42", "text": "Confirmar"},
    "list_reply": {"kind": CHOICE, "choice_id": "hora:0900", "text": "9:00\nDra. Rojas"},
    "interactive_without_key": {"kind": UNSUPPORTED, "text": ""},
    "button_reply_without_id": {"kind": TEXT, "text": "Confirmar", "choice_id": None},
    "nfm_reply": {"kind": UNSUPPORTED, "text": "x\ntoso sangre"},
    "nfm_reply_not_an_object": {"kind": UNSUPPORTED, "text": "toso sangre"},
    "nfm_reply_not_json": {"kind": UNSUPPORTED, "text": "toso {sangre"},
    "call_permission_reply": {"kind": UNSUPPORTED, "text": ""},
    "template_button": {"kind": CHOICE, "choice_id": "CONFIRMAR:42", "text": "Confirmo"},
    "template_button_without_payload": {"kind": TEXT, "text": "Confirmo", "choice_id": None},
    "reaction": {"kind": MessageKind.REACTION, "text": ""},
    "reaction_removed": {"kind": MessageKind.REACTION, "text": ""},
    "order": {"kind": UNSUPPORTED, "text": "Quiero esto"},
    "unknown_old_version": {"kind": UNSUPPORTED, "text": ""},
    "type_of_the_future": {"kind": UNSUPPORTED, "text": "vomito sangre"},
    "type_missing": {"text": "Hola"},
    "edit": {"kind": TEXT, "text": "Quise decir: escupo sangre"},
    "edit_of_caption": {"kind": TEXT, "text": "con sangre", "media": None},
    "edit_without_content": {"kind": UNSUPPORTED, "text": ""},
    "bsuid_from_contacts": {"text": "Hola"},
    "number_from_contacts": {"text": "Hola"},
    "sender_from_lone_contact": {"text": "Hola"},
    "timestamp_integer": {"at": WRITTEN},
    "timestamp_garbage": {"at": NOW},
    "timestamp_missing": {"at": NOW},
    "timestamp_in_milliseconds": {"at": NOW},
}

# The same for other senders.
ONE_SENDER: dict[str, Identity] = {
    "bsuid_only": Identity(user_id="BO.1349120865530274"),
    "bsuid_in_from": Identity(user_id="US.ENT.12345"),
    "unsupported_poll": Identity(number="59170000001"),
    "contacts_request_answer": Identity(user_id="BO.1000000001"),
}

# Bodies with nothing for a patient: (identity changes, unreadable, ignored).
NO_MESSAGE: dict[str, tuple[int, int, int]] = {
    "revoke": (0, 0, 1),
    "request_welcome": (0, 0, 1),
    "message_without_id": (0, 1, 0),
    "message_without_sender": (0, 1, 0),
    "text_without_body": (0, 1, 0),
    "messages_wrong_type": (0, 1, 0),
    "system_changed_number": (1, 0, 0),
    "system_changed_number_old_version": (1, 0, 0),
    "system_changed_user_id": (1, 0, 0),
    "system_security_code": (0, 0, 1),
    "system_without_previous": (0, 1, 0),
    "account_errors": (0, 0, 1),
    "template_status_update": (0, 0, 0),
    "another_phone_number": (0, 0, 1),
    "empty_entry": (0, 0, 0),
}

OTHERS = {
    "text_long",
    "status_delivered",
    "status_failed",
    "status_failed_odd_errors",
    "status_without_recipient",
    "one_odd_item_among_good_ones",
    "batch_of_four_levels",
    "odd_levels",
}


def test_every_recorded_body_has_its_row() -> None:
    rows = [*ONE_MESSAGE, *ONE_SENDER, *NO_MESSAGE, *OTHERS]
    assert sorted(rows) == sorted(path.stem for path in BODIES.glob("*.json"))


@pytest.mark.parametrize("name", ONE_MESSAGE)
def test_a_message_becomes_one_of_ours(name: str) -> None:
    parsed = read(name)
    [(identity, message)] = parsed.messages
    assert identity == ANA
    assert (parsed.statuses, parsed.changes, parsed.unreadable, parsed.ignored) == ([], [], [], 0)
    expected = {"kind": TEXT, "at": NOW if name.startswith("timestamp") else WRITTEN} | ONE_MESSAGE[name]
    assert {key: getattr(message, key) for key in expected} == expected
    assert message.id == message_id(KEY, "wamid.AAA")
    assert message.wamid == "wamid.AAA"
    assert message.received_at == NOW
    assert Message.from_json(message.to_json()) == message


@pytest.mark.parametrize("name", ONE_SENDER)
def test_a_sender_without_number_or_without_user_id_is_served(name: str) -> None:
    [(identity, _)] = read(name).messages
    assert identity == ONE_SENDER[name]


@pytest.mark.parametrize("name", NO_MESSAGE)
def test_what_is_no_message_is_counted_kept_or_changed(name: str) -> None:
    parsed = read(name)
    assert parsed.messages == []
    assert (len(parsed.changes), len(parsed.unreadable), parsed.ignored) == NO_MESSAGE[name]


def test_a_text_longer_than_whatsapp_allows_is_kept_to_its_last_word() -> None:
    [(_, message)] = read("text_long").messages
    assert len(message.text) > 4096
    assert message.text.endswith("Estoy escupiendo sangre.")


def test_a_giant_text_is_cut_at_32_kilobytes_of_whole_characters() -> None:
    [(_, message)] = parse(_text_body("ñ" * 40_000), OURS, KEY, NOW).messages
    assert message.text == "ñ" * (MAX_TEXT_BYTES // 2)


def test_lone_surrogates_and_nul_never_reach_the_inbox() -> None:
    [(_, message)] = parse(_text_body("a\ud83d b\x00c 😷", wamid="wamid.\udc00"), OURS, KEY, NOW).messages
    assert message.text == "a\ufffd bc 😷"
    assert message.to_json().encode("utf-8")


def test_the_answer_to_our_contact_request_gives_the_number() -> None:
    [(_, message)] = read("contacts_request_answer").messages
    assert message.contact_phone == "59170000001"


def test_a_delivery_status_carries_our_delivery_id() -> None:
    [status] = read("status_delivered").statuses
    assert (status.wamid, status.status, status.delivery_id, status.error_code) == (
        "wamid.OUT",
        "delivered",
        "d_7f3c",
        None,
    )
    assert status.at == dt.datetime.fromtimestamp(1790416832, dt.UTC)


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("status_failed", "failed", 131047),
        ("status_failed_odd_errors", "failed", 131026),
        ("status_without_recipient", "played", None),
    ],
)
def test_a_status_says_why_it_failed(name: str, status: str, code: int | None) -> None:
    [update] = read(name).statuses
    assert (update.status, update.error_code) == (status, code)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (
            "system_changed_number",
            Identity(number="59170000001", user_id="BO.1000000001"),
            Identity(number="59170000002", user_id="BO.1000000002"),
        ),
        ("system_changed_number_old_version", Identity(number="59170000001"), Identity(number="59170000002")),
        ("system_changed_user_id", Identity(user_id="BO.1000000001"), Identity(user_id="BO.1000000002")),
    ],
)
def test_a_changed_number_or_user_id_is_told_apart_from_a_message(name: str, before: Identity, after: Identity) -> None:
    [change] = read(name).changes
    assert (change.before, change.after) == (before, after)


def test_all_four_levels_of_a_batch_are_read_in_order() -> None:
    parsed = read("batch_of_four_levels")
    assert [message.text for _, message in parsed.messages] == ["Uno", "Dos", "Tres"]
    assert [status.status for status in parsed.statuses] == ["sent", "delivered"]
    assert parsed.ignored == 1


def test_an_odd_item_costs_only_itself() -> None:
    parsed = read("one_odd_item_among_good_ones")
    assert [message.text for _, message in parsed.messages] == ["Primero", "Último"]
    assert [status.status for status in parsed.statuses] == ["read"]
    assert len(parsed.unreadable) == 7


def test_wrong_types_at_each_level_cost_only_that_level() -> None:
    parsed = read("odd_levels")
    assert [message.text for _, message in parsed.messages] == ["Sigo aquí"]
    assert len(parsed.unreadable) == 9


@pytest.mark.parametrize("body", [None, True, 7, "x", [], {}, {"entry": None}, {"entry": {}}, [{"entry": []}]])
def test_a_body_of_another_shape_is_kept_whole(body: object) -> None:
    assert parse(body, OURS, KEY, NOW) == Parsed(unreadable=[body])


def test_what_was_kept_can_be_replayed_after_a_fix() -> None:
    [kept] = read("text_without_body").unreadable
    assert isinstance(kept, dict)
    kept["entry"][0]["changes"][0]["value"]["messages"][0]["text"] = {"body": "ya se puede leer"}
    [(identity, message)] = parse(kept, OURS, KEY, NOW).messages
    assert (identity, message.text) == (ANA, "ya se puede leer")


def test_without_a_configured_number_every_number_is_ours() -> None:
    assert len(read("another_phone_number", phone_number_id=None).messages) == 1


def test_the_same_wamid_gives_the_same_id_and_another_key_another() -> None:
    first, again = (read("text").messages[0][1].id for _ in range(2))
    other = parse(_text_body("Hola", wamid="wamid.AAA"), OURS, b"otra clave", NOW).messages[0][1].id
    assert first == again != other


def _text_body(text: str, wamid: str = "wamid.X") -> dict[str, Any]:
    body: dict[str, Any] = json.loads((BODIES / "text.json").read_text(encoding="utf-8"))
    body["entry"][0]["changes"][0]["value"]["messages"][0] |= {"id": wamid, "text": {"body": text}}
    return body


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.characters(categories=["Cs"])
_JSON = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
_WORDS = st.sampled_from(sorted({"from", "from_user_id", "id", "timestamp", "type", "errors", "context", "edit"}))
_TYPES = st.sampled_from([*_READERS, "edit", "revoke", "system"])


_KEYS = ["body", "caption", "name", "phones", "payload", "text", "message", "user_id", "wa_id", "nfm_reply", "type"]


@st.composite
def _almost_messages(draw: st.DrawFn) -> dict[str, Any]:
    """A message that looks right from afar: known keys, any JSON inside."""
    kind = draw(_TYPES)
    message: dict[str, Any] = {"id": "wamid.A", "from": "59170000001", "timestamp": "1790416800", "type": kind}
    message[kind] = draw(
        _JSON
        | st.dictionaries(
            st.sampled_from(
                [
                    "body",
                    "caption",
                    "name",
                    "phones",
                    "payload",
                    "text",
                    "message",
                    "type",
                    "user_id",
                    "wa_id",
                    "nfm_reply",
                ]
            ),
            _JSON,
        )
    )
    return message | draw(st.dictionaries(_WORDS, _JSON, max_size=2))


@settings(max_examples=200, deadline=None)
@given(body=_JSON, message=_almost_messages(), contacts=_JSON, status=_JSON)
def test_no_json_of_any_shape_raises_or_costs_its_neighbours(
    body: object, message: dict[str, Any], contacts: object, status: object
) -> None:
    parse(body, OURS, KEY, NOW)
    good = _text_body("sigo aquí")["entry"][0]["changes"][0]["value"]["messages"][0]
    value = {"contacts": contacts, "messages": [message, good], "statuses": [status]}
    parsed = parse({"entry": [body, {"changes": [body, {"field": "messages", "value": value}]}]}, OURS, KEY, NOW)
    assert "sigo aquí" in [ours.text for _, ours in parsed.messages]
    for _, ours in parsed.messages:
        ours.to_json().encode("utf-8")


def test_a_batch_of_a_thousand_senders_takes_time_in_proportion() -> None:
    """1,000 half-known senders and as many contacts: an index, not a search of all contacts for each."""
    body = _text_body("Hola")
    value = body["entry"][0]["changes"][0]["value"]
    value["contacts"] = [{"wa_id": str(59170000000 + i), "user_id": f"BO.{i}"} for i in range(1000)]
    value["messages"] = [
        {"from": str(59170000000 + i), "id": f"w{i}", "timestamp": "1790416800", "type": "text", "text": {"body": "x"}}
        for i in range(1000)
    ]
    begin = time.process_time()
    parsed = parse(body, OURS, KEY, NOW)
    assert time.process_time() - begin < 0.5
    assert [identity.user_id for identity, _ in parsed.messages] == [f"BO.{i}" for i in range(1000)]
