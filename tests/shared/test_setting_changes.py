"""Names that do nothing are told at start, without their values."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from shared import setting_changes
from shared.settings import Settings

ROOT = Path(__file__).parents[2]


def test_a_slip_is_told_with_the_setting_that_was_meant() -> None:
    assert setting_changes.remarks(["REMINDER_HOUR_AHEAD"]) == [
        "REMINDER_HOUR_AHEAD is no setting; did you mean REMINDER_HOURS_AHEAD?"
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("SMTP_USERNAME", "SMTP_USER"),
        ("whatsapp_acces_token", "WHATSAPP_ACCESS_TOKEN"),
        ("MODEL_REVISON", "MODEL_REVISION"),
        ("PATIENT_ID_KEYS", "PATIENT_ID_KEY"),
        ("OPENING_HOUR", "OPENING_HOURS"),
    ],
)
def test_other_slips(name: str, meant: str) -> None:
    assert setting_changes.remarks([name]) == [f"{name.upper()} is no setting; did you mean {meant}?"]


def test_names_of_other_programs_are_told_with_ours() -> None:
    assert setting_changes.remarks(["WHATSAPP_TOKEN", "MODEL_PATH"]) == [
        "MODEL_PATH is not read: set MODEL_NAME: it takes a folder as well as a Hub id",
        "WHATSAPP_TOKEN is not read: set WHATSAPP_ACCESS_TOKEN",
    ]


def test_each_former_name_is_none_of_ours_and_names_one_of_ours() -> None:
    for name, advice in setting_changes.FORMER.items():
        assert name not in Settings.model_fields
        assert any(word.strip(":,") in Settings.model_fields for word in advice.split()), advice


def test_our_own_and_strange_names_are_no_matter() -> None:
    strange = [
        "PATH",
        "HOME",
        "HOSTNAME",
        "TZ",
        "LANG",
        "HF_HOME",
        "REDIS_SERVICE_HOST",
        "KUBERNETES_PORT",
        "CONTAINER_NAME",
    ]
    assert setting_changes.remarks([*Settings.model_fields, *strange, "_", "EAAGm0PX4ZCpsBA.x", ""]) == []


def test_what_env_example_names_is_known() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    names = [line.removeprefix("# ").partition("=")[0] for line in lines if "=" in line]
    assert len(names) > 80
    assert setting_changes.remarks(names) == []


def test_env_files_are_read_and_values_never_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / ".env"
    file.write_text("WHATSAPP_TOKEN=EAAGsecret1\nexport SMTP_PASSWORT='secret2'\nREDIS_PORT=6379\nEAAGsecret3\n# X=1\n")
    monkeypatch.setenv("ALERT_EMAIL_FORM", "secret4@example.org")
    with caplog.at_level(logging.WARNING):
        setting_changes.warn(file)
    told = [r.getMessage() for r in caplog.records if r.name == setting_changes.__name__]
    assert told == [
        "ALERT_EMAIL_FORM is no setting; did you mean ALERT_EMAIL_FROM?",
        "SMTP_PASSWORT is no setting; did you mean SMTP_PASSWORD?",
        "WHATSAPP_TOKEN is not read: set WHATSAPP_ACCESS_TOKEN",
    ]
    assert "secret" not in caplog.text
    setting_changes.warn(tmp_path / "none")  # no file is no matter
