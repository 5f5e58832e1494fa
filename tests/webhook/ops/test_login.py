"""Who gets in: password, cookie, form token, guessing, headers."""

from __future__ import annotations

import json
import logging
import time
from typing import Any

import pytest
import redis
from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from flask.testing import FlaskClient

from shared.settings import Settings
from tests.ops_world import World
from tests.webhook.ops.conftest import PASSWORD, USER, log_in, token
from webhook.app import create_app

PAGES = ("", "/alertas", "/llamadas", "/derivaciones", "/bajas", "/fichas", "/recorrido", "/cartas", "/paciente/p_1")
POSTS = (
    "/alertas/atendido",
    "/llamadas/hecho",
    "/derivaciones/devolver",
    "/derivaciones/escribir",
    "/bajas/reactivar",
    "/cartas/reintentar",
    "/salir",
)


@pytest.mark.parametrize("path", PAGES)
def test_without_login_every_page_leads_to_the_form(path: str, web: FlaskClient, world: World) -> None:
    answer = web.get(f"/ops{path}")
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/ops/entrar?a=")


@pytest.mark.parametrize("path", ["/events", "/llamadas.csv"])
def test_without_login_nothing_streams_and_nothing_is_downloaded(path: str, web: FlaskClient, world: World) -> None:
    answer = web.get(f"/ops{path}")
    assert answer.status_code == 401
    assert b"7222" not in answer.data


@pytest.mark.parametrize("path", POSTS)
def test_without_login_or_token_nothing_is_done(path: str, web: FlaskClient, client: redis.Redis, world: World) -> None:
    patient = world.ids["elena"]
    fields = {"patient": patient, "call": f"h:{patient}", "alarm": world.ids["open_alarm"], "letter": "all"}
    fields |= {"text": "hola", "form_id": "a" * 24, "asked": "yes"}
    before = state(client)
    assert web.post(f"/ops{path}", data=fields).status_code == 401
    log_in(web)
    assert web.post(f"/ops{path}", data=fields).status_code == 400
    assert web.post(f"/ops{path}", data=fields | {"csrf": "ñ"}).status_code == 400
    assert state(client) == before


def state(client: redis.Redis) -> dict[str, Any]:
    """All that an action could change."""
    found = {key: client.dump(key) for key in client.scan_iter("*") if not key.startswith(("ops_failed", "metrics"))}
    return {key: value for key, value in found.items() if key.split(":")[0] not in ("worker", "incident")}


def test_a_stranger_s_token_is_refused(staff: FlaskClient, other: FlaskClient, world: World) -> None:
    log_in(other)
    foreign = token(other.get("/ops").text)
    call = next(iter(world.client.hkeys("calls")))
    assert staff.post("/ops/llamadas/hecho", data={"csrf": foreign, "call": call}).status_code == 400
    assert world.client.hexists("calls", call)


@pytest.mark.parametrize(
    ("user", "password"), [(USER, "no"), ("otra", PASSWORD), ("", ""), (f"{USER}:una", "x"), (USER, PASSWORD + " ")]
)
def test_a_wrong_user_or_password_is_refused(user: str, password: str, web: FlaskClient) -> None:
    answer = log_in(web, user, password)
    assert answer.status_code == 403
    assert "no son correctos" in answer.text
    assert web.get("/ops").status_code == 303


def test_after_the_login_one_stands_where_one_wanted_to_be_and_never_elsewhere(web: FlaskClient) -> None:
    csrf = token(web.get("/ops/entrar?a=/ops/llamadas").text)
    fields = {"csrf": csrf, "user": USER, "password": PASSWORD}
    assert web.post("/ops/entrar", data=fields | {"a": "/ops/llamadas"}).headers["Location"] == "/ops/llamadas"
    for elsewhere in ("//evil.example", "https://evil.example/ops", "/ops/../x", "/ops\\evil"):
        assert web.get("/ops/entrar", query_string={"a": elsewhere}).headers["Location"] == "/ops"


def test_five_wrong_passwords_a_minute_and_address(web: FlaskClient, client: redis.Redis) -> None:
    mine, yours = {"REMOTE_ADDR": "8.8.4.4"}, {"REMOTE_ADDR": "8.8.8.8"}
    for _ in range(5):
        assert log_in(web, password="no", environ_overrides=mine).status_code == 403
    blocked = log_in(web, environ_overrides=mine)
    assert blocked.status_code == 429
    assert "Espere un minuto" in blocked.text
    spoofed = log_in(web, environ_overrides=mine, headers={"X-Forwarded-For": "203.0.113.9"})
    assert spoofed.status_code == 429  # only our own proxy may say who asks
    [key] = client.scan_iter("ops_failed:*")
    assert 0 < client.ttl(key) <= 60
    assert log_in(web, environ_overrides=yours).status_code == 303
    client.delete(key)
    web.delete_cookie("ops", path="/ops")
    assert log_in(web, environ_overrides=mine).status_code == 303


def test_behind_our_proxy_each_browser_is_counted_alone(web: FlaskClient) -> None:
    for _ in range(5):
        log_in(web, password="no", headers={"X-Forwarded-For": "10.0.0.1, 198.51.100.1"})
    assert log_in(web, headers={"X-Forwarded-For": "10.0.0.1, 198.51.100.1"}).status_code == 429
    assert log_in(web, headers={"X-Forwarded-For": "198.51.100.1, 198.51.100.2"}).status_code == 303


def test_a_right_password_forgives_the_wrong_ones(web: FlaskClient) -> None:
    for _ in range(3):
        for _ in range(4):
            log_in(web, password="no")
        assert log_in(web).status_code == 303
        web.delete_cookie("ops", path="/ops")


@pytest.mark.parametrize(("headers", "secure"), [({}, False), ({"X-Forwarded-Proto": "https"}, True)])
def test_the_cookie_is_for_us_alone(headers: dict[str, str], secure: bool, web: FlaskClient) -> None:
    cookie = log_in(web, headers=headers).headers["Set-Cookie"]
    for part in ("ops=", "HttpOnly", "SameSite=Strict", "Path=/ops", "Expires="):
        assert part in cookie
    assert ("Secure" in cookie) is secure
    assert "Set-Cookie" not in web.get("/health/live").headers


def test_a_session_ends_after_twelve_hours_whatever_is_done(
    staff: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.time()
    monkeypatch.setattr("webhook.ops.login.time.time", lambda: began + 12 * 3600 - 5)
    assert staff.get("/ops").status_code == 200
    monkeypatch.setattr("webhook.ops.login.time.time", lambda: began + 12 * 3600 + 5)
    assert staff.get("/ops").status_code == 303


def test_leaving_ends_the_session(staff: FlaskClient) -> None:
    csrf = token(staff.get("/ops").text)
    assert staff.post("/ops/salir", data={"csrf": csrf}).status_code == 303
    assert staff.get("/ops").status_code == 303


def test_a_cookie_signed_with_another_key_is_nobody_s(app: Flask, web: FlaskClient, app_settings: Settings) -> None:
    for changed in ({"OPS_BASIC_AUTH": f"{USER}:old"}, {"PATIENT_ID_KEY": "old-key"}):
        former = create_app(Settings(**{**app_settings.model_dump(), **changed, "_env_file": None}))
        signer = SecureCookieSessionInterface().get_signing_serializer(former)
        assert signer is not None
        forged = str(signer.dumps({"user": USER, "until": time.time() + 1000}))
        web.set_cookie("ops", forged, path="/ops")
        assert web.get("/ops").status_code == 303


def test_without_a_password_in_the_settings_the_page_is_off(app_settings: Settings, client: redis.Redis) -> None:
    settings = Settings(**{**app_settings.model_dump(), "OPS_BASIC_AUTH": None, "_env_file": None})
    web = create_app(settings).test_client()
    for path in ("", "/entrar", "/alertas", "/events"):
        answer = web.get(f"/ops{path}")
        assert answer.status_code == 503
        assert "falta la contraseña" in answer.text
    assert web.post("/ops/entrar", data={"user": "", "password": ""}).status_code == 503


def test_every_answer_forbids_scripts_frames_and_copies(staff: FlaskClient, world: World) -> None:
    for path in ("/ops", "/ops/entrar", "/ops/llamadas.csv", "/ops/static/ops.js", "/ops/paciente/p_0"):
        with staff.get(path) as answer:
            headers = answer.headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"
    html = staff.get("/ops").text
    assert "style=" not in html
    assert "onclick" not in html


def test_with_redis_down_the_page_says_so_in_words(app_settings: Settings) -> None:
    gone = Settings(**{**app_settings.model_dump(), "REDIS_URL": None, "REDIS_PORT": 9, "_env_file": None})
    web = create_app(gone).test_client()
    with web.session_transaction("/ops") as session:
        session.update(user=USER, until=time.time() + 100, csrf="x")
    for answer in (web.get("/ops"), web.post("/ops/llamadas/hecho", data={"csrf": "x", "call": "1"})):
        assert answer.status_code == 503
        assert "Redis no responde" in answer.text


def test_nothing_of_a_patient_is_logged(
    staff: FlaskClient, world: World, caplog: pytest.LogCaptureFixture, client: redis.Redis
) -> None:
    csrf, patient = token(staff.get("/ops").text), world.ids["elena"]
    with caplog.at_level(logging.DEBUG):
        staff.get(f"/ops/paciente/{patient}")
        fields = {"csrf": csrf, "patient": patient, "text": "palabrasecreta", "form_id": "b" * 24}
        staff.post("/ops/derivaciones/escribir", data=fields)
        staff.post("/ops/derivaciones/devolver", data={"csrf": csrf, "patient": patient})
    logged = json.dumps([vars(record) for record in caplog.records], default=str)
    assert patient in logged
    for secret in ("palabrasecreta", "59176543210", "7654 3210"):
        assert secret not in logged
