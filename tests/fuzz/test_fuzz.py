"""A short run of every fuzz target by hypothesis, over the corpus too, and the largest inputs there can be."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import KEY, NOW, TARGETS
from webhook.app import MAX_BODY_BYTES
from webhook.intake import as_kept, read_body
from webhook.parsing import parse

CORPUS = Path(__file__).parent / "corpus"


@pytest.mark.parametrize("name", TARGETS)
def test_no_input_breaks_a_target(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=target.max_bytes))
    def run(data: bytes) -> None:
        target.bounded(data)

    target.run(b"")  # what is built once is not the first input's
    run()


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_passes(name: str) -> None:
    files = sorted((CORPUS / name).iterdir())
    assert files
    for file in files:
        TARGETS[name].bounded(file.read_bytes())


def _filled(item: bytes) -> bytes:
    """One of these again and again, up to the largest body that is taken."""
    return item * ((MAX_BODY_BYTES - 400) // len(item))


def _messages(items: bytes) -> bytes:
    value = b'{"metadata":{"phone_number_id":"200000000000002"},"messages":[' + items.rstrip(b",") + b"]}"
    return b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages","value":' + value + b"}]}]}"


_TEXT = b'{"from":"59170000001","id":"wamid.1","timestamp":"1795438800","type":"text","text":{"body":"hola"}},'
_ONE = b'{"from":"59170000001","id":"wamid.1","type":"text","text":{"body":"%s"}}'


@pytest.mark.parametrize(
    "body",
    [
        _messages(_filled(_TEXT)),
        _messages(_filled(b"{},")),
        _messages(_filled(b"1,")),
        _messages(_ONE % _filled(b"\\u0000")),
        _messages(_ONE % _filled(b"\\ud800")),
        _messages(b"[" * 1000 + b"]" * 1000),
        _filled(b"["),
        _filled(b'{"entry":['),
        _filled(b"\xff"),
        b"9" * (MAX_BODY_BYTES - 400),
        b'{"entry":[' + _filled(b"{},").rstrip(b",") + b"]}",
    ],
    ids=["messages", "empty", "numbers", "nul", "surrogates", "nested", "open", "entries", "bytes", "digits", "levels"],
)
def test_the_largest_body_is_read_in_bounded_time(body: bytes) -> None:
    began = time.thread_time()
    parsed = parse(read_body(body), None, KEY, NOW)
    kept = [as_kept(item, body) for item in parsed.unreadable]
    assert time.thread_time() - began < 5
    assert parsed.messages or kept or parsed.ignored
