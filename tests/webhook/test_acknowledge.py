"""Staff acknowledge a danger alert by its link: the button does it, once; reading the page does not."""

from __future__ import annotations

import datetime as dt

import pytest
import redis
from flask.testing import FlaskClient

from shared.alerts import links
from shared.messages import Delivery, Reply
from shared.settings import Settings
from shared.state import alarms, inbox
from shared.state.alarms import NewAlarm
from shared.state.inbox import Outgoing
from webhook.app import create_app

AT = dt.datetime(2026, 11, 23, 14, 5, tzinfo=dt.UTC)
BOSS = "jefa@ejemplo.bo"


@pytest.fixture
def alarm_id(client: redis.Redis) -> str:
    alarm = NewAlarm(alarms.alarm_id("m_1"), "dolor_pecho", "emergencia", AT.isoformat(), 1, 600_000)
    delivery = Delivery(id="d_1", reply=Reply(text="Llame AHORA al 168"), created_at=AT)
    client.hset("address:p_1", "number", "59170000001")
    inbox.raise_alarm(client, "p_1", "m_1", Outgoing(delivery), handoff="{}", alarm=alarm)
    return alarm.id


@pytest.fixture
def page(app_settings: Settings, alarm_id: str) -> str:
    return f"/avisos/{links.token(app_settings, alarm_id, BOSS)}"


def test_the_page_shows_what_staff_need_and_acknowledges_nothing(
    web: FlaskClient, client: redis.Redis, page: str
) -> None:
    for _ in range(2):  # a mail scanner, then a person
        shown = web.get(page)
        assert shown.status_code == 200
    for words in ("dolor pecho", "EMERGENCIA", "23/11/2026 10:05", "p_1", "Me ocupo de este aviso"):
        assert words in shown.text
    assert "70000001" not in shown.text
    assert "Llame AHORA" not in shown.text
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert shown.headers["Cache-Control"] == "no-store"
    assert len(alarms.waiting(client)) == 1


def test_the_button_acknowledges_once_and_then_says_who_did(
    web: FlaskClient, client: redis.Redis, app_settings: Settings, alarm_id: str, page: str
) -> None:
    done = web.post(page)
    assert done.status_code == 200
    assert "Gracias" in done.text
    assert alarms.waiting(client) == []
    kept = alarms.read(client, alarm_id)
    assert kept is not None
    assert kept.by == BOSS
    again = web.post(f"/avisos/{links.token(app_settings, alarm_id, 'slack')}")
    assert "ya estaba confirmado" in again.text
    assert f"desde {BOSS}" in again.text
    shown = web.get(page)
    assert "Me ocupo" not in shown.text
    assert "Confirmado el" in shown.text
    assert sum(row["e"] == "acknowledged" for _, row in client.xrange("audit")) == 1


@pytest.mark.parametrize("ask", ["get", "post"])
def test_a_wrong_link_and_an_old_alarm_are_not_found(
    web: FlaskClient, client: redis.Redis, alarm_id: str, page: str, ask: str
) -> None:
    for wrong in (page[:-1], "/avisos/x", "/avisos/%3Cscript%3E"):
        answer = getattr(web, ask)(wrong)
        assert answer.status_code == 404
        assert "Aviso no encontrado" in answer.text
        assert "<script>" not in answer.text
    client.delete(f"alarm:{alarm_id}")
    assert getattr(web, ask)(page).status_code == 404


def test_without_redis_the_page_says_so(app_settings: Settings) -> None:
    app = create_app(app_settings.model_copy(update={"REDIS_URL": None, "REDIS_PORT": 9}))
    token = links.token(app_settings, "a_1", BOSS)
    for ask in (app.test_client().get, app.test_client().post):
        answer = ask(f"/avisos/{token}")
        assert answer.status_code == 503
        assert "no responde" in answer.text
    services = app.extensions["services"]
    for closing in (services.watch, services.doorbell, services.metrics):
        closing.close()
