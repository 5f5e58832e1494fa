"""A webhook application on a real Redis, and signed bodies."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from demo.redis_server import RedisServer
from shared.settings import Settings
from webhook.app import Services, build_services, create_app

SECRET = "app-secret"
OLD_SECRET = "old-secret"


def sign(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"X-Hub-Signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}


def text_message(number: int, body: str = "hola", sender: str = "59170000001") -> dict[str, object]:
    return {
        "from": sender,
        "id": f"wamid.{number}",
        "timestamp": "1795438800",
        "type": "text",
        "text": {"body": body},
    }


def envelope(*messages: object, statuses: list[object] | None = None) -> bytes:
    value: dict[str, object] = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "59122000000", "phone_number_id": "200000000000002"},
        "messages": list(messages),
    }
    if statuses is not None:
        value["statuses"] = statuses
    change = {"field": "messages", "value": value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()


@pytest.fixture(autouse=True)
def _keep_the_logging_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """create_app() configures the whole process; here that process is the test run."""
    monkeypatch.setattr("webhook.app.logs.setup", lambda *_: None)


@pytest.fixture
def app_settings(redis_server: RedisServer, tmp_path: Path) -> Settings:
    return Settings(
        _env_file=None,
        DEMO=True,
        REDIS_URL=redis_server.url,
        WHATSAPP_APP_SECRET=f"{SECRET},{OLD_SECRET}",
        WHATSAPP_VERIFY_TOKEN="verify",
        CHAT_API_KEY="chat-key",
        PATIENT_ID_KEY="test-key",
        LOG_LEVEL="ERROR",
        SPOOL_DIR=tmp_path / "spool",
    )


@pytest.fixture(autouse=True)
def _every_application_ends(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The threads of an application, its watch above all, must not go on beside the tests that follow."""
    built: list[Services] = []

    def building(settings: Settings) -> Services:
        built.append(build_services(settings))
        return built[-1]

    monkeypatch.setattr("webhook.app.build_services", building)
    yield
    for services in built:
        services.watch.close()
        services.replay.close()
        services.doorbell.close()
        services.metrics.close()
        services.client.close()
        services.patient_client.close()


@pytest.fixture
def app(app_settings: Settings, client: redis.Redis) -> Flask:
    return create_app(app_settings)


@pytest.fixture
def web(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def post(web: FlaskClient) -> Callable[..., int]:
    """Send a signed body; returns the status."""

    def send(body: bytes, secret: str = SECRET) -> int:
        return web.post("/webhook/whatsapp", data=body, headers=sign(body, secret)).status_code

    return send
