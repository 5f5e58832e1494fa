"""Meta's news about templates, number and account open and close incidents; nobody's number is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from flask import Flask

from shared.messages import AccountNews, NewsKind
from shared.settings import Settings
from shared.state.incidents import RedisIncidents
from tests.shared.alerts.conftest import subject_of
from tests.shared.alerts.mail import mail_server
from tests.webhook.conftest import sign
from webhook.app import create_app
from webhook.news import Effect, effects, read_news
from webhook.parsing import parse

TEMPLATE = {"message_template_id": 1, "message_template_name": "aviso", "message_template_language": "es"}


def body(field: str, value: object) -> dict[str, Any]:
    changes = [{"field": field, "value": value}]
    return {"object": "whatsapp_business_account", "entry": [{"id": "1", "time": 1, "changes": changes}]}


def status(event: str, **more: object) -> tuple[str, dict[str, object]]:
    return "message_template_status_update", {"event": event, "reason": None} | TEMPLATE | more


def number(event: str) -> tuple[str, dict[str, object]]:
    return "phone_number_quality_update", {
        "display_phone_number": "59122000067",
        "event": event,
        "max_daily_conversations_per_business": "TIER_250",
    }


def account(event: str, **more: object) -> tuple[str, dict[str, object]]:
    return "account_update", {"event": event} | more


def category(new: str) -> tuple[str, dict[str, object]]:
    return "template_category_update", {"previous_category": "X", "new_category": new} | TEMPLATE


def quality(new: str) -> tuple[str, dict[str, object]]:
    return "message_template_quality_update", {"previous_quality_score": "X", "new_quality_score": new} | TEMPLATE


def critical(severity: str) -> tuple[str, dict[str, object]]:
    info = {"alert_severity": severity, "alert_status": "ACTIVE", "alert_type": "ACCOUNT_ISSUE"}
    return "account_alerts", {"entity_type": "WABA", "entity_id": 59170000001, "alert_info": info}


OPENS = [
    (status("PAUSED"), "template_paused:aviso"),
    (status("DISABLED"), "template_paused:aviso"),
    (status("REJECTED"), "template_paused:aviso"),
    (status("FLAGGED"), "template_paused:aviso"),
    (quality("RED"), "template_quality:aviso"),
    (category("MARKETING"), "template_category:aviso"),
    (number("FLAGGED"), "number_quality"),
    (number("DOWNGRADE"), "number_quality"),
    (account("ACCOUNT_VIOLATION", violation_info={"violation_type": "X"}), "account_restricted"),
    (account("ACCOUNT_RESTRICTION", restriction_info=[{"restriction_type": "X"}]), "account_restricted"),
    (account("DISABLED_UPDATE", ban_info={"waba_ban_state": "DISABLE"}), "account_restricted"),
    (critical("CRITICAL"), "account_alert"),
]
CLOSES = [
    (status("APPROVED"), "template_paused:aviso"),
    (status("REINSTATED"), "template_paused:aviso"),
    (status("PAUSED", other_info={"title": "UNPAUSE"}), "template_paused:aviso"),
    (quality("GREEN"), "template_quality:aviso"),
    (category("UTILITY"), "template_category:aviso"),
    (number("UNFLAGGED"), "number_quality"),
    (number("UPGRADE"), "number_quality"),
    (account("ACCOUNT_RECONNECTED"), "account_restricted"),
    (account("DISABLED_UPDATE", ban_info={"waba_ban_state": "REINSTATE"}), "account_restricted"),
]
PASS_BY = [status("PENDING"), quality("YELLOW"), number("ONBOARDING"), account("PARTNER_ADDED")]
PASS_BY += [
    ("business_capability_update", {"max_daily_conversations_per_business": limit}) for limit in ("TIER_1K", 2000)
]


@pytest.mark.parametrize(("news", "kind"), [*OPENS, *CLOSES], ids=str)
def test_news_open_or_close_their_incident(news: tuple[str, object], kind: str) -> None:
    read = read_news(*news)
    assert read is not None
    [effect] = effects(read)
    assert (effect.incident, effect.opens) == (kind, (news, kind) in OPENS)
    assert "59122" not in effect.detail
    assert "59170" not in effect.detail


@pytest.mark.parametrize("news", PASS_BY, ids=str)
def test_other_news_are_read_and_need_nothing(news: tuple[str, object]) -> None:
    read = read_news(*news)
    assert read is not None
    assert list(effects(read)) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        critical("WARNING"),
        ("message_template_status_update", {}),
        ("message_template_status_update", {"event": ["PAUSED"], "other_info": "x"}),
        ("account_update", [1]),
        ("phone_number_quality_update", None),
        ("security", {"event": "PIN_CHANGED"}),
    ],
    ids=str,
)
def test_odd_or_harmless_news_are_counted(field: str, value: object) -> None:
    parsed = parse(body(field, value), "200000000000002", b"k", datetime.now(UTC))
    assert (parsed.news, parsed.ignored, parsed.unreadable) == ([], 1, [])


def test_the_record_says_which_template_and_masks_our_number() -> None:
    parsed = parse(body(*number("FLAGGED")), None, b"k", datetime.now(UTC))
    assert parsed.news == [AccountNews(kind=NewsKind.NUMBER_QUALITY, subject="…67", state="FLAGGED TIER_250")]
    assert list(effects(parsed.news[0])) == [Effect("number_quality", True, "number_quality …67 FLAGGED TIER_250")]


@pytest.mark.parametrize(
    ("bad", "good", "title"),
    [
        (status("PAUSED"), status("APPROVED"), "Una plantilla no se puede usar (aviso)"),
        (quality("RED"), quality("GREEN"), "Una plantilla recibe quejas (aviso)"),
        (category("MARKETING"), category("UTILITY"), "Una plantilla pasó a la categoría de publicidad (aviso)"),
        (number("FLAGGED"), number("UNFLAGGED"), "Nuestro número de WhatsApp perdió calidad o límite"),
        (account("ACCOUNT_RESTRICTION"), account("ACCOUNT_RECONNECTED"), "Meta restringió la cuenta de WhatsApp"),
    ],
    ids=str,
)
def test_from_a_signed_body_to_the_mail_once_for_two_processes(
    app_settings: Settings, client: redis.Redis, bad: tuple[str, object], good: tuple[str, object], title: str
) -> None:
    with mail_server() as (mailbox, port):
        mail = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": port, "SMTP_STARTTLS": False}
        people = {"ALERT_EMAIL_TO": "a@ejemplo.bo", "ALERT_EMAIL_FROM": "b@ejemplo.bo"}
        apps = [create_app(app_settings.model_copy(update=mail | people)) for _ in range(2)]
        for app in apps:
            post(app, bad)
        assert RedisIncidents(client).kinds() != set()
        pass_a_minute(apps)
        for app in apps:
            post(app, good)
        assert RedisIncidents(client).kinds() == set()
        close(apps)
    subjects = [subject_of(mail) for mail in mailbox.mails]
    assert sorted(subjects) == [f"incidente abierto: {title}", f"incidente cerrado: {title}"]
    assert "59122000067" not in "".join(mail.as_string() for mail in mailbox.mails)


def post(app: Flask, news: tuple[str, object]) -> None:
    raw = json.dumps(body(*news)).encode()
    assert app.test_client().post("/webhook/whatsapp", data=raw, headers=sign(raw)).status_code == 200
    assert app.extensions["services"].alerts.wait(5)


def pass_a_minute(apps: list[Flask]) -> None:
    for app in apps:
        alerts = app.extensions["services"].alerts
        now_ms: Callable[[], int] = alerts.now_ms
        alerts.now_ms = lambda now_ms=now_ms: now_ms() + 60_000


def close(apps: list[Flask]) -> None:
    for app in apps:
        services = app.extensions["services"]
        for closing in (services.watch, services.doorbell, services.metrics):
            closing.close()
