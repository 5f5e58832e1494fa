"""Secrets are compared in constant time, hidden where they are kept, and stand in no log."""

from __future__ import annotations

import ast
import logging
import re

import pytest
from flask.testing import FlaskClient

from shared.settings import Settings
from tests.security.patterns import modules
from tests.webhook.conftest import envelope, sign, text_message
from webhook.app import create_app

SECRET = re.compile(r"(?:^|_)(?:secrets?|passwords?|tokens?|signatures?|digest|hmac|csrf|auth|api_?key)(?:_|$)", re.I)
# Comparisons that look like it and are none: what stands there is no secret, or is compared with something of our own.
HARMLESS = {
    ("shared.state.leases", "token"): "a lease's token, compared with what Redis holds under its key",
    ("workers.model.reader", "eos_token_id"): "a token of the model's vocabulary",
    ("shared.grammar", "token"): "a token of the model's vocabulary",
    ("shared.state.reseal", "token"): "a ciphertext of ours and the same under another key",
    ("webhook.ops.events", "digest"): "tells whether a piece of the page changed",
    ("workers.language.numbers", "token"): "a word of the message",
}


def _names(node: ast.expr) -> set[str]:
    """The names in one side of a comparison; what is only counted or asked for being there is no comparison."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("len", "bool", "type"):
        return set()
    found = {one.id for one in ast.walk(node) if isinstance(one, ast.Name)}
    return found | {one.attr for one in ast.walk(node) if isinstance(one, ast.Attribute)}


def compared() -> set[tuple[str, str]]:
    """(module, name) of every `==` and `!=` whose side is named like a secret and whose other side is no constant."""
    found = set()
    for module, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                sides = [node.left, *node.comparators]
                if not any(isinstance(side, ast.Constant) for side in sides):
                    found |= {(module, name) for side in sides for name in _names(side) if SECRET.search(name)}
    return found


def test_no_secret_is_compared_by_its_first_different_sign() -> None:
    assert compared() <= set(HARMLESS), "use hmac.compare_digest"


def test_what_comes_from_outside_is_compared_in_constant_time() -> None:
    users = {
        module
        for module, tree in modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "compare_digest"
    }
    assert users >= {"webhook.whatsapp", "webhook.chat", "webhook.ops.login"}
    assert set(HARMLESS) == compared()  # what is excused must be there


def test_every_setting_named_like_a_secret_hides_itself() -> None:
    for name, field in Settings.model_fields.items():
        if SECRET.search(name) or name.endswith(("_KEY", "_KEYS")):
            assert "SecretStr" in str(field.annotation), name


@pytest.mark.usefixtures("client")
def test_no_secret_stands_in_a_log(redis_server: object, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    values = {
        name: f"geheim-{number:02d}-{name.lower()}"
        for number, (name, field) in enumerate(Settings.model_fields.items())
        if "SecretStr" in str(field.annotation) and not name.endswith("_URL") and name != "ENCRYPTION_KEYS"
    }
    values["OPS_BASIC_AUTH"] = f"ana:{values['OPS_BASIC_AUTH']}"
    values["FLOWER_BASIC_AUTH"] = f"ana:{values['FLOWER_BASIC_AUTH']}"
    del values["REDIS_PASSWORD"]  # tried for real in test_redis_login
    given = Settings(_env_file=None, DEMO=True, REDIS_URL=settings.redis_url, LOG_LEVEL="DEBUG", **values)
    with caplog.at_level(logging.DEBUG):
        web = create_app(given).test_client()
        _knock(web, values)
    assert caplog.text
    said = caplog.text + "".join(str(record.__dict__) for record in caplog.records) + repr(given)
    for name, value in values.items():
        assert value.partition(":")[2] or value not in said, name
        assert value.rpartition(":")[2] not in said, name


def _knock(web: FlaskClient, values: dict[str, str]) -> None:
    """Right and wrong at every door."""
    body = envelope(text_message(1))
    assert (
        web.post("/webhook/whatsapp", data=body, headers=sign(body, values["WHATSAPP_APP_SECRET"])).status_code == 200
    )
    assert web.post("/webhook/whatsapp", data=body, headers=sign(body, "other")).status_code == 401
    query = {"hub.mode": "subscribe", "hub.challenge": "1", "hub.verify_token": values["WHATSAPP_VERIFY_TOKEN"]}
    assert web.get("/webhook/whatsapp", query_string=query).status_code == 200
    for key in (values["CHAT_API_KEY"], "x" + values["CHAT_API_KEY"]):
        web.post("/chat", json={}, headers={"Authorization": f"Bearer {key}"})
    page = web.get("/ops/entrar").text
    [csrf] = re.findall(r'name="csrf" value="([^"]+)"', page)[:1]
    user, _, password = values["OPS_BASIC_AUTH"].partition(":")
    for given in (password, password + "x"):
        web.post("/ops/entrar", data={"csrf": csrf, "user": user, "password": given})
