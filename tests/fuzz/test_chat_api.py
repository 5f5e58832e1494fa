"""POST /chat and /reminders/claim keep to docs/openapi.yaml, whatever a program sends: schemathesis reads it and tries.

FUZZ_EXAMPLES=5000 tries more than the few of `make test`.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import redis
import schemathesis
import yaml
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzz.inputs import ROOT
from webhook import chat
from webhook.chat import ChatMessage, ChatRequest
from webhook.reminders_claim import ClaimRequest

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
HEADERS = {"Authorization": "Bearer chat-key"}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
OPENAPI = ROOT / "docs" / "openapi.yaml"


@pytest.fixture
def answering(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Answers each chat message as a worker's commit does."""
    monkeypatch.setattr(chat, "LIMITED_WAIT_S", 0.2)
    stop = threading.Event()
    reply = {"response": "eco", "intent": "saludo", "confidence": 1.0, "action": "greet", "params": {}, "buttons": []}

    def answer() -> None:
        answered = ""
        while not stop.wait(0.002):
            for position, fields in client.xrange("audit", f"({answered}" if answered else "-"):
                answered = position
                if fields["e"] == "accepted":
                    client.rpush(f"answer:{fields['ids']}", json.dumps(reply))

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["right", "wrong"])
@pytest.mark.parametrize("path", ["/chat", "/reminders/claim"])
def test_every_answer_is_one_that_the_description_promises(
    path: str,
    mode: GenerationMode,
    app: Flask,
    client: redis.Redis,
) -> None:
    schema = schemathesis.openapi.from_path(OPENAPI)
    seen: dict[int, int] = {}
    web = app.test_client()

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=schema[path]["POST"].as_strategy(generation_mode=mode))
    def run(case: schemathesis.Case) -> None:
        client.flushdb()  # a key that was used minutes ago has no answer any more: 504, as described
        response = case.call(app=app, base_url="http://webhook:8000", headers=HEADERS)
        seen[response.status_code] = seen.get(response.status_code, 0) + 1
        case.validate_response(response, checks=CHECKS)

    run()
    assert web.get("/health/live").status_code == 200
    assert seen.get(200 if mode is GenerationMode.POSITIVE else 422, 0) > 0, seen
    print(path, mode.value, seen)


def test_without_the_key_nothing_is_told(app: Flask) -> None:
    for path in ("/chat", "/reminders/claim"):
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": "chat-ke\u00f1"}):
            assert app.test_client().post(path, json={}, headers=headers).status_code == 401


def test_the_description_has_the_fields_and_limits_of_the_code() -> None:
    described = yaml.safe_load(OPENAPI.read_text(encoding="utf-8"))["components"]["schemas"]
    for model in (ChatRequest, ChatMessage, ClaimRequest):
        ours, theirs = model.model_json_schema(), described[model.__name__]
        assert set(ours["properties"]) == set(theirs["properties"])
        assert set(ours["required"]) == set(theirs["required"])
        for name, field in ours["properties"].items():
            limits = {key: value for key, value in _flat(field).items() if key.startswith(("min", "max"))}
            assert limits == {k: v for k, v in theirs["properties"][name].items() if k in limits}, name


def _flat(field: dict[str, Any]) -> dict[str, Any]:
    """`int | None` with its limits is a list of alternatives in pydantic's words."""
    return field | next((one for one in field.get("anyOf", []) if one.get("type") != "null"), {})
