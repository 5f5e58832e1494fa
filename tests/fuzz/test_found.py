"""What the fuzzers and the search for slow patterns found, each with the input that broke it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from shared.prompt import strip_control
from tests.fuzz.targets import NOW, STATES
from webhook.intake import as_kept, read_body
from webhook.parsing import parse
from workers.language.dates import resolve
from workers.safety.hostile import is_injection
from workers.understanding import understand

BOUND_S = 1.0


def test_a_body_nested_deeper_than_python_writes_is_kept_whole() -> None:
    body = b'{"entry":[{"changes":' + b"[" * 1018 + b"]" * 1018 + b"}]}"
    [item] = parse(read_body(body), None, b"key", NOW).unreadable
    assert as_kept(item, body) == body


def _turn(text: str) -> object:
    return understand(text, NOW, STATES[1], lambda _: None)


# Each took seconds or never ended, on a text that a patient can send.
@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("en vez de" + " la" * 100 + " x lunes", lambda text: resolve(text, NOW)),
        ("en vez de " + "ir mi la cita " * 300 + "lunes", _turn),
        ("para " + "a" * 190 + "!", _turn),
        ("cita " + "del " * 2000 + "lunes", _turn),
        ("<" * 5400 + "USER>" * 5400, strip_control),
        ("hola" + " " * 32_000 + "chau", _turn),
        ("actua como si fueras" + " " * 32_000, is_injection),
    ],
    ids=[
        "twice the same word",
        "many visits",
        "one long word",
        "del del del",
        "nested tokens",
        "spaces",
        "spaces again",
    ],
)
def test_no_text_of_a_patient_takes_long(text: str, read: Callable[[str], object]) -> None:
    read("hola")
    began = time.thread_time()
    read(text)
    assert time.thread_time() - began < BOUND_S


def test_nested_tokens_leave_none_behind() -> None:
    assert strip_control("<<USER>USER> hola") == "hola"
    assert strip_control("<|endoftext|> 2 < 3 <USER>: hola") == "2 < 3 hola"
    deep = strip_control("<" * 50 + "USER>" * 50 + " hola <SYS>")
    assert "<" not in deep
    assert strip_control(deep) == deep


def test_a_body_of_a_million_odd_items_is_kept_once_and_its_message_is_read() -> None:
    message = {"from": "59170000001", "id": "wamid.1", "type": "text", "text": {"body": "hola"}}
    body = {"entry": [{"changes": [{"field": "messages", "value": {"messages": [*[{}] * 1000, message]}}]}]}
    parsed = parse(body, None, b"key", NOW)
    assert parsed.unreadable == [body]
    assert [one.text for _, one in parsed.messages] == ["hola"]
