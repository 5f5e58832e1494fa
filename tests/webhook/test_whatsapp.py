"""What Meta may send, and the answer each time; what was good in a body is kept."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from tests.webhook.conftest import OLD_SECRET, envelope, sign, text_message
from webhook.app import MAX_BODY_BYTES
from webhook.whatsapp import is_signed

Post = Callable[..., int]


def kept(client: redis.Redis) -> int:
    return sum(client.llen(key) for key in client.scan_iter("inbox:*"))


@pytest.mark.parametrize(
    ("body", "digest"),
    [
        (
            b'{"object":"whatsapp_business_account","entry":[]}',
            "7684209d20e98f747cbaa9c37e9dbcf89184b73c4b7be662da88d486fab52681",
        ),
        (
            rb'{"object":"whatsapp_business_account","entry":[],"nota":"\u00bfma\u00f1ana?"}',
            "1247fea601fb5e10dfee6ff4fa962e2376311c018c96453e8cf22fa4227752ef",
        ),
        (
            '{"object":"whatsapp_business_account","entry":[],"nota":"¿mañana?"}'.encode(),
            "533f818e6ebb6966cd2c3649e939a79dbcab1cde45677f7eb7dec5e53cae8a7b",
        ),
    ],
)
def test_the_signature_is_over_the_exact_bytes(body: bytes, digest: str) -> None:
    assert is_signed(body, f"sha256={digest}", (b"secreto-de-prueba",))
    assert not is_signed(body + b" ", f"sha256={digest}", (b"secreto-de-prueba",))


@pytest.mark.parametrize("header", [None, "", "sha1=abc", "sha256=", "sha256=" + "0" * 64, "sha256=" + "é" * 64])
def test_a_wrong_or_missing_signature_is_refused_and_nothing_is_kept(
    header: str | None, web: FlaskClient, client: redis.Redis
) -> None:
    headers = {} if header is None else {"X-Hub-Signature-256": header.encode("utf-8").decode("latin-1")}
    assert web.post("/webhook/whatsapp", data=envelope(text_message(1)), headers=headers).status_code == 401
    assert kept(client) == 0


def test_during_a_rotation_both_secrets_are_accepted(post: Post, client: redis.Redis) -> None:
    assert post(envelope(text_message(1))) == 200
    assert post(envelope(text_message(2)), OLD_SECRET) == 200
    assert post(envelope(text_message(3)), "stale") == 401
    assert kept(client) == 2


def test_the_challenge_is_answered_only_with_the_right_token(web: FlaskClient) -> None:
    query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": "verify"}
    answered = web.get("/webhook/whatsapp", query_string=query)
    assert (answered.status_code, answered.text, answered.mimetype) == (200, "1158201444", "text/plain")
    assert web.get("/webhook/whatsapp", query_string=query | {"hub.verify_token": "no"}).status_code == 403
    assert web.get("/webhook/whatsapp", query_string=query | {"hub.mode": "x"}).status_code == 403
    assert web.get("/webhook/whatsapp").status_code == 403


def padded(size: int) -> bytes:
    body = envelope(text_message(1))
    return body[:-1] + b" " * (size - len(body)) + body[-1:]


def test_three_mebibytes_are_taken_and_one_byte_more_is_not(post: Post, client: redis.Redis) -> None:
    assert post(padded(MAX_BODY_BYTES + 1)) == 413
    assert kept(client) == 0
    assert post(padded(MAX_BODY_BYTES)) == 200
    assert kept(client) == 1


def test_every_message_of_a_body_is_kept_once_even_when_it_comes_twice(post: Post, client: redis.Redis) -> None:
    body = envelope(*(text_message(n, sender=f"5917000{n % 7:04d}") for n in range(1000)))
    assert post(body) == 200
    assert post(body) == 200
    assert kept(client) == 1000


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe\x00",
        b"[1, 2]",
        b'"text"',
        b"null",
        b"[" * 100_000,
        b'{"object": "whatsapp_business_account", "entry": "x"}',
        b'{"object": "whatsapp_business_account", "entry": [{"changes": 5}]}',
        b'{"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": []}]}]}',
        b'{"object": "whatsapp_business_account", "entry": []}',
        b"{}",
    ],
    ids=["empty", "words", "bytes", "list", "string", "null", "deep", "entry", "changes", "value", "none", "bare"],
)
def test_signed_content_that_cannot_be_read_is_acknowledged(body: bytes, post: Post) -> None:
    assert post(body) == 200


@pytest.mark.parametrize("body", [b"not json", b"\xff\xfe", b"[1]"])
def test_an_unreadable_body_is_kept_for_replay(body: bytes, post: Post, client: redis.Redis) -> None:
    post(body)
    assert client.llen("unreadable") == 1
    assert set(json.loads(client.lindex("unreadable", 0))) == {"at", "why", "zlib"}


@pytest.mark.parametrize(
    "odd",
    [
        5,
        "x",
        None,
        [],
        {},
        {"id": 5},
        {"id": "wamid.x", "type": "text", "text": "not an object", "from": "59170000001", "timestamp": "1"},
        {"id": "wamid.y", "type": 7, "from": {"a": 1}},
        {"id": "wamid.z", "type": "text", "text": {"body": 9}, "from": "59170000001", "timestamp": []},
        {"id": "wamid.w", "type": "interactive", "from": "59170000001", "errors": [{"code": 1}]},
    ],
    ids=str,
)
def test_one_odd_item_never_costs_the_others(odd: object, post: Post, client: redis.Redis) -> None:
    assert post(envelope(text_message(1), odd, text_message(2))) == 200
    messages = [row for key in client.scan_iter("inbox:*") for row in client.lrange(key, 0, -1)]
    assert sum("hola" in row for row in messages) == 2


@pytest.mark.parametrize("text", ["\\ud83d solo", "\\u0000nulo", "\\u202eal reves", "a" * 40_000])
def test_strange_characters_do_not_lose_the_message(text: str, post: Post, client: redis.Redis) -> None:
    body = envelope(text_message(1, "TEXT")).replace(b"TEXT", text.encode())
    assert post(body) == 200
    assert kept(client) == 1


def test_a_patient_without_a_number_is_served(post: Post, client: redis.Redis) -> None:
    message = text_message(1) | {"from_user_id": "BO.1349120865530274"}
    del message["from"]
    assert post(envelope(message)) == 200
    assert kept(client) == 1


def test_no_phone_number_reaches_the_doorbell(app: Flask, web: FlaskClient, client: redis.Redis) -> None:
    body = envelope(text_message(1, "mi secreto"))
    web.post("/webhook/whatsapp", data=body, headers=sign(body))
    app.extensions["services"].doorbell.close()
    queued = [
        row for key in client.scan_iter("wa:q:*") if client.type(key) == "list" for row in client.lrange(key, 0, -1)
    ]
    assert len(queued) == 1
    assert "59170000001" not in queued[0]
    assert "secreto" not in queued[0]
