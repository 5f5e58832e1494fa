"""The operators' page on a real Redis, and a browser that is logged in."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from shared.settings import Settings
from tests.ops_world import World, fill

AUTH = "enfermera:una clave con : dos puntos"
USER, _, PASSWORD = AUTH.partition(":")


@pytest.fixture
def app_settings(app_settings: Settings) -> Settings:
    return Settings(**{**app_settings.model_dump(), "OPS_BASIC_AUTH": AUTH, "_env_file": None})


@pytest.fixture
def world(client: redis.Redis, app_settings: Settings) -> World:
    return fill(client, app_settings.patient_id_key)


def token(html: str) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found, "the page has no form"
    return found[1]


def log_in(web: FlaskClient, user: str = USER, password: str = PASSWORD, **options: Any) -> Any:
    csrf = token(web.get("/ops/entrar", **options).text)
    return web.post("/ops/entrar", data={"csrf": csrf, "user": user, "password": password}, **options)


@pytest.fixture
def staff(web: FlaskClient) -> FlaskClient:
    """Logged in."""
    assert log_in(web).status_code == 303
    return web


@pytest.fixture
def press(staff: FlaskClient) -> Callable[..., Any]:
    """Submit a form of the page as a browser does, and read the page that follows."""

    def submit(path: str, **fields: str) -> Any:
        csrf = token(staff.get("/ops").text)
        return staff.post(f"/ops{path}", data={"csrf": csrf, **fields}, follow_redirects=True)

    return submit


@pytest.fixture
def other(app: Flask) -> FlaskClient:
    """A second browser."""
    return app.test_client()
