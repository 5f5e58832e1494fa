"""Token, number, subscription and templates against the simulator's Graph API, well and spoiled in every way."""

from __future__ import annotations

from typing import Any

import pytest

from shared.settings import Settings
from tests.workers.doctor.conftest import Outside, one, plain, told
from tests.workers.http_server import closed_port
from workers.doctor.check import Check, State
from workers.doctor.runner import run_all
from workers.doctor.whatsapp_checks import NUMBER, SUBSCRIPTION, groups

REMINDER, MISSED = "template recordatorio_cita", "template cita_perdida"


def check(settings: Settings) -> list[Check]:
    return list(run_all(groups(settings)))


def test_all_is_well(outside: Outside) -> None:
    checks = check(outside.settings())
    assert [c.name for c in checks] == [NUMBER, SUBSCRIPTION, REMINDER, MISSED]
    told(one(checks, NUMBER), State.OK, "+59122000000 (Centro Médico Cañada del Carmen), quality GREEN")
    told(one(checks, SUBSCRIPTION), State.OK, "told: Asistente")
    told(one(checks, REMINDER), State.OK, "approved, UTILITY, quality UNKNOWN; buttons Asistiré · Cambiar fecha")
    told(one(checks, MISSED), State.OK, "buttons Nueva cita · Hablar con alguien")
    assert outside.control("GET", "calls")["calls"] == []  # nothing was sent


@pytest.mark.parametrize(("state", "reason"), [("expired", "it expired"), ("revoked", "it was withdrawn")])
def test_a_token_that_ended(outside: Outside, state: str, reason: str) -> None:
    outside.control("PATCH", "account", token=state)
    for found in check(outside.settings()):
        told(found, State.FAILED, f"the access token is refused: {reason}", "make a token of a system user")


def test_a_wrong_token_and_one_for_messages_only(outside: Outside) -> None:
    wrong = one(check(outside.settings(WHATSAPP_ACCESS_TOKEN="EAAwrong")), NUMBER)
    told(wrong, State.FAILED, "it is not valid", "set WHATSAPP_ACCESS_TOKEN")
    outside.control("PATCH", "account", token="messaging_only")
    told(
        one(check(outside.settings()), SUBSCRIPTION), State.FAILED, "may not read this", "whatsapp_business_management"
    )


def test_wrong_ids_and_a_wrong_version(outside: Outside) -> None:
    checks = check(outside.settings(WHATSAPP_PHONE_NUMBER_ID="1", WHATSAPP_BUSINESS_ACCOUNT_ID="2"))
    told(one(checks, NUMBER), State.FAILED, "there is no such object", "correct WHATSAPP_PHONE_NUMBER_ID")
    told(one(checks, SUBSCRIPTION), State.FAILED, "there is no such object", "correct WHATSAPP_BUSINESS_ACCOUNT_ID")
    old = one(check(outside.settings(WHATSAPP_API_VERSION="v123.0")), NUMBER)
    told(old, State.FAILED, "unknown version", "correct WHATSAPP_API_VERSION")


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"quality_rating": "RED"}, "quality RED"),
        ({"quality_rating": "YELLOW"}, "quality YELLOW"),
        ({"code_verification_status": "NOT_VERIFIED"}, "not verified"),
    ],
)
def test_a_number_that_is_not_at_its_best(outside: Outside, change: dict[str, str], part: str) -> None:
    outside.control("PATCH", "account", **change)
    told(one(check(outside.settings()), NUMBER), State.WARNING, part)


def test_an_account_to_which_nobody_listens(outside: Outside) -> None:
    outside.control("PATCH", "account", subscribed=False)
    found = one(check(outside.settings()), SUBSCRIPTION)
    told(found, State.FAILED, "no app listens", "curl -X POST -H 'Authorization: Bearer TOKEN'")


@pytest.mark.parametrize(
    ("change", "part", "advice"),
    [
        ({"status": "PAUSED"}, "is PAUSED", "the pause ends by itself"),
        ({"status": "PENDING"}, "is PENDING", "up to a day"),
        ({"status": "REJECTED"}, "is REJECTED", "read the reason"),
        ({"status": "DISABLED"}, "is DISABLED", "under another name"),
        ({"buttons": ["Sí", "No"]}, "2 quick-reply buttons, 3 are needed", "docs/guia.md"),
        ({"body": "Hola {{nombre}}, su cita es el {{dia}}."}, "its parameters are dia, nombre, not", "docs/guia.md"),
        ({"body": "Hola {{1}}, su cita es el {{2}}."}, "numbered, not named", "docs/guia.md"),
    ],
)
def test_a_template_that_cannot_be_sent(outside: Outside, change: dict[str, Any], part: str, advice: str) -> None:
    outside.control("PATCH", "templates/recordatorio_cita", **change)
    checks = check(outside.settings())
    told(one(checks, REMINDER), State.FAILED, part, advice)
    told(one(checks, MISSED), State.OK, "approved")


@pytest.mark.parametrize(
    ("change", "part", "advice"),
    [
        ({"category": "marketing"}, "its category is MARKETING", "have it made UTILITY"),
        ({"quality": "RED"}, "quality RED", "it will be paused"),
    ],
)
def test_a_template_in_danger(outside: Outside, change: dict[str, Any], part: str, advice: str) -> None:
    outside.control("PATCH", "templates/cita_perdida", **change)
    told(one(check(outside.settings()), MISSED), State.WARNING, part, advice)


def test_a_template_that_is_missing_or_in_another_language(outside: Outside) -> None:
    # Meta finds templates by a part of the name: `cita` is none of them.
    checks = check(outside.settings(REMINDER_TEMPLATE="cita", REMINDER_TEMPLATE_LANGUAGE="es_MX"))
    told(one(checks, "template cita"), State.FAILED, "no template of this name", "correct REMINDER_TEMPLATE")
    advice = "set REMINDER_TEMPLATE_LANGUAGE=es"
    told(one(checks, MISSED), State.FAILED, "not in the language es_MX, only in es", advice)


def test_what_is_not_set_is_off(outside: Outside) -> None:
    checks = check(outside.settings(WHATSAPP_BUSINESS_ACCOUNT_ID=None))
    told(one(checks, NUMBER), State.OK, "GREEN")
    for name in (SUBSCRIPTION, REMINDER, MISSED):
        told(one(checks, name), State.OFF, "cannot be checked: WHATSAPP_BUSINESS_ACCOUNT_ID is not set")
    told(one(check(plain()), NUMBER), State.OFF, "WHATSAPP_ACCESS_TOKEN is not set")
    told(one(check(outside.settings(REMINDER_HOURS_AHEAD=0)), REMINDER), State.OFF, "reminders are off")


@pytest.mark.parametrize(
    ("fault", "state", "part", "advice"),
    [
        ({"raw_body": "<html>", "status": 502}, State.FAILED, "HTTP 502 that is not from the Graph API", "a proxy"),
        ({"code": 131000}, State.FAILED, "Meta's side fails", "metastatus.com"),
        ({"code": 80007}, State.WARNING, "too many calls", "look again"),
        ({"code": 368}, State.FAILED, "code 368", "look the code up"),
        ({"drop": "before"}, State.FAILED, "Graph API: the connection was closed", "firewall"),
    ],
)
def test_one_read_that_fails_hides_no_other(
    outside: Outside, fault: dict[str, Any], state: State, part: str, advice: str
) -> None:
    outside.control("POST", "faults", kind="number", **fault)
    checks = check(outside.settings())
    told(one(checks, NUMBER), state, part, advice)
    told(one(checks, SUBSCRIPTION), State.OK, "told")


def test_no_internet(outside: Outside) -> None:
    for found in check(outside.settings(WHATSAPP_API_URL=f"http://127.0.0.1:{closed_port()}")):
        told(found, State.FAILED, "Graph API: the connection is refused", "check WHATSAPP_API_URL")
