"""Settings that do not load, that are incomplete, and those with which nobody would hear of danger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.workers.doctor.conftest import one, plain, told
from workers.doctor import settings_checks
from workers.doctor.check import State

MAIL = {"SMTP_HOST": "mail", "ALERT_EMAIL_FROM": "a@ejemplo.bo", "ALERT_EMAIL_TO": "b@ejemplo.bo"}
WHOLE = {
    "WHATSAPP_APP_SECRET": "s",
    "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "WHATSAPP_VERIFY_TOKEN": "v",
    "PATIENT_ID_KEY": "k",
    "WHATSAPP_ACCESS_TOKEN": "t",
    "WHATSAPP_PHONE_NUMBER_ID": "1",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DEMO", raising=False)
    return tmp_path


def test_each_wrong_setting_is_a_line_of_its_own(folder: Path) -> None:
    (folder / ".env").write_text("OPENING_HOURS=always\nCENTER_TIMEZONE=America/Cochabamba\nREDIS_PORT=many\n")
    settings, checks = settings_checks.load()
    assert settings is None
    assert len(checks) == 3
    for check in checks:
        told(check, State.FAILED, "", "correct it in .env")
    assert any("CENTER_TIMEZONE: is not a time zone" in check.found for check in checks)
    assert any("OPENING_HOURS: cannot read 'always'" in check.found for check in checks)


def test_a_file_that_is_no_text(folder: Path) -> None:
    (folder / ".env").write_bytes(b"\xff\xfe\x00CENTER")
    settings, [check] = settings_checks.load()
    assert settings is None
    told(check, State.FAILED, "cannot be read", ".env must be readable")


def test_the_demo_is_pointed_out(folder: Path) -> None:
    (folder / ".env").write_text("DEMO=true\n")
    _, [check] = settings_checks.load()
    told(check, State.WARNING, "DEMO=true", "set DEMO=false")
    (folder / ".env").write_text("DEMO=false\n")
    settings, [check] = settings_checks.load()
    assert settings is not None
    told(check, State.OK, "readable")


def test_what_webhook_and_worker_need() -> None:
    checks = settings_checks.check(plain(PATIENT_ID_KEY="k"))
    webhook, worker = one(checks, "settings of webhook"), one(checks, "settings of worker")
    told(
        webhook,
        State.FAILED,
        "WHATSAPP_APP_SECRET, WHATSAPP_VERIFY_TOKEN, ENCRYPTION_KEYS not set",
        "the webhook does not start",
    )
    told(
        worker,
        State.FAILED,
        "WHATSAPP_ACCESS_TOKEN, WHATSAPP_PHONE_NUMBER_ID, ENCRYPTION_KEYS not set",
        "the worker does not start",
    )
    complete = settings_checks.check(plain(**WHOLE))
    assert {one(complete, f"settings of {role}").state for role in ("webhook", "worker")} == {State.OK}


@pytest.mark.parametrize(
    ("settings", "state", "part", "advice"),
    [
        ({}, State.FAILED, "no e-mail and no Slack", "set SMTP_HOST"),
        ({"DEMO": True}, State.WARNING, "no e-mail and no Slack", "set SMTP_HOST"),
        (MAIL, State.OK, "backend, email", ""),
        ({**MAIL, "ALERT_LADDER": "0 slack"}, State.FAILED, "first step of ALERT_LADDER reaches nobody", "with email"),
        ({**MAIL, "ALERT_LADDER": "0 email; 5 slack"}, State.WARNING, "names slack", "take it out"),
        ({**MAIL, "ALERT_LADDER": "0 email; 5 jefa@ejemplo.bo"}, State.OK, "backend, email", ""),
    ],
)
def test_somebody_must_hear_of_danger(settings: dict[str, Any], state: State, part: str, advice: str) -> None:
    told(settings_checks.judge_channels(plain(**settings)), state, part, advice)


def test_alerts_need_a_link_and_reports_a_mail_server() -> None:
    told(settings_checks.judge_links(plain()), State.OFF, "no alerts")
    told(settings_checks.judge_links(plain(**MAIL)), State.WARNING, "nobody can acknowledge", "set PUBLIC_URL")
    told(settings_checks.judge_links(plain(**MAIL, PUBLIC_URL="https://a.ejemplo.bo")), State.OK, "is set")
    told(settings_checks.judge_report(plain()), State.OFF, "REPORT_EMAIL_TO is not set")
    told(settings_checks.judge_report(plain(REPORT_EMAIL_TO="a@b.bo")), State.WARNING, "no report", "set SMTP_HOST")
    told(settings_checks.judge_report(plain(REPORT_EMAIL_TO="a@b.bo", **MAIL)), State.OK, "by e-mail")


def test_pages_without_a_password_stay_closed() -> None:
    told(settings_checks.judge_pages(plain()), State.OFF, "/ops and Flower stay closed")
    told(settings_checks.judge_pages(plain(OPS_BASIC_AUTH="a:b")), State.OK, "/ops; Flower stays closed")


def test_cards_without_a_signature() -> None:
    told(settings_checks.judge_cards(0, 51, plain()), State.OK, "all 51 signed")
    advice = "have a clinician read them"
    told(settings_checks.judge_cards(3, 51, plain()), State.WARNING, "3 of 51 are not signed by a clinician", advice)
    sent = settings_checks.judge_cards(3, 51, plain(ALLOW_UNREVIEWED_CARDS=True))
    told(sent, State.WARNING, "they are sent all the same", advice)
    names = [check.name for check in settings_checks.check(plain())]
    assert names[-2:] == ["knowledge cards", "fixed texts"]
