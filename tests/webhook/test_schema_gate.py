"""An older store: what the scripts would break on is refused until it is migrated, everything else is taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from demo import processes
from shared.settings import CONFIG_ERROR, Settings
from shared.state import schema
from tests.webhook.conftest import SECRET, envelope, sign, text_message
from webhook import schema_gate
from webhook.app import create_app

BODY = envelope(text_message(1))


@pytest.fixture
def gate_settings(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(schema_gate, "LOOK_S", 0.0)
    return app_settings


def post(http: object) -> int:
    answer = http.post("/webhook/whatsapp", data=BODY, headers=sign(BODY, SECRET))  # type: ignore[attr-defined]
    return int(answer.status_code)


def test_a_call_list_in_the_former_shape_keeps_messages_at_meta_until_it_is_migrated(
    client: redis.Redis, gate_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    client.lpush("calls", json.dumps({"patient": "p_1", "delivery": "d_1", "kind": "reply", "why": "unknown", "at": 1}))
    http = create_app(gate_settings).test_client()
    assert post(http) == 503
    refused = http.get("/health")
    assert refused.status_code == 503
    assert "waits for schema 2 (the call list becomes a hash" in refused.json["problems"][0]
    assert "python -m workers.migrate" in refused.json["problems"][0]
    assert http.get("/health/ready").status_code == 503
    assert http.get("/health/live").status_code == 200
    assert not list(client.scan_iter("inbox:*"))
    assert "nothing is taken: The store has schema 1" in caplog.text

    schema.migrate(client)

    assert post(http) == 200
    assert len(list(client.scan_iter("inbox:*"))) == 1


def test_an_older_store_without_what_would_break_is_served(client: redis.Redis, gate_settings: Settings) -> None:
    client.set("optout:p_1", 1)
    client.hset("metrics", "messages_total", 1)
    http = create_app(gate_settings).test_client()
    assert post(http) == 200
    assert not client.exists(schema.KEY)  # the indexes are a worker's matter
    schema.migrate(client)
    assert client.zscore("optouts", "p_1") == 1
    assert post(http) == 200


def test_a_present_store_is_never_asked_again(client: redis.Redis, gate_settings: Settings) -> None:
    client.set(schema.KEY, schema.CURRENT)
    gate = schema_gate.Gate(client)
    assert gate.closed() == ""
    client.set(schema.KEY, 99)
    assert gate.closed() == ""


def test_a_newer_store_is_not_touched(client: redis.Redis, gate_settings: Settings) -> None:
    client.set(schema.KEY, 99)
    http = create_app(gate_settings).test_client()
    assert post(http) == 503
    assert not list(client.scan_iter("inbox:*"))


def test_without_redis_the_request_itself_finds_out(gate_settings: Settings) -> None:
    gate = schema_gate.Gate(redis.Redis(port=1, retry=Retry(NoBackoff(), 0)))
    assert gate.closed() == ""


def test_a_webhook_process_ends_with_a_sentence_on_a_newer_store(client: redis.Redis, app_settings: Settings) -> None:
    client.set(schema.KEY, 99)
    environment = {"REDIS_URL": app_settings.redis_url, "PORT": "18999", "DEMO": "true"}
    process = processes.webhook(environment, Path("/dev"))
    done = subprocess.run(
        [sys.executable, *process.arguments],
        cwd=processes.ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == CONFIG_ERROR, done.stderr
    assert "The store has schema 99" in done.stderr


def test_a_worker_ends_with_a_sentence_on_a_newer_store(client: redis.Redis, app_settings: Settings) -> None:
    client.set(schema.KEY, 99)
    environment = {"REDIS_URL": app_settings.redis_url, "DEMO": "true", "MODEL_NAME": "/nonexistent"}
    process = processes.worker(environment, Path("/dev"))
    done = subprocess.run(
        [sys.executable, *process.arguments],
        cwd=processes.ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == CONFIG_ERROR, done.stderr
    assert "The store has schema 99" in done.stderr
    assert client.get(schema.KEY) == "99"
    assert not client.exists("workers", f"lease:{schema.LEASE}")
