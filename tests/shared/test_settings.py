"""Settings: documented, checked, and refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.setting_values import parse_ladder, parse_opening_hours, parse_quiet_hours
from shared.settings import ProcessRole, Settings, load

EXAMPLE = Path(__file__).parents[2] / ".env.example"


def documented() -> dict[str, str]:
    lines = [line for line in EXAMPLE.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert set(documented()) == set(Settings.model_fields)


def test_the_documented_values_are_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DEMO")
    assert Settings(_env_file=EXAMPLE).model_dump() == Settings(_env_file=None).model_dump()


def test_each_setting_has_a_comment_near_it() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert text.count("#") > 25


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "70000", "PORT"),
        ("REDIS_URL", "http://x", "REDIS_URL: must start with"),
        ("REDIS_URL", "amqp://x", "REDIS_URL: must start with"),
        ("REDIS_URL", "sentinel://host:port", "REDIS_URL: must look like sentinel://"),
        ("WHATSAPP_API_URL", "graph", "WHATSAPP_API_URL: must be an address"),
        ("CENTER_TIMEZONE", "La_Paz", "CENTER_TIMEZONE: is not a time zone"),
        ("OPENING_HOURS", "siempre", "OPENING_HOURS: cannot read 'siempre'"),
        ("SMTP_HOST", "mail", "SMTP_HOST needs"),
        ("QUIET_HOURS", "noche", "QUIET_HOURS: cannot read 'noche'"),
        ("ALERT_LADDER", "5 email", "ALERT_LADDER: the first step must be at 0 minutes"),
        ("ALERT_LADDER", "0 pedro", "ALERT_LADDER: 'pedro' is neither"),
        ("OPS_BASIC_AUTH", "solo", "OPS_BASIC_AUTH: must be user:password"),
        ("MODEL_PRECISION", "int4", "MODEL_PRECISION"),
        ("APPOINTMENTS_API", "otra", "APPOINTMENTS_API"),
        ("SEGUIMIENTO_CLOCK", "utc", "SEGUIMIENTO_CLOCK"),
        ("SEGUIMIENTO_STAFF_ID", "doctora", "SEGUIMIENTO_STAFF_ID"),
        ("SLOT_CAPACITY", "0", "SLOT_CAPACITY"),
    ],
)
def test_a_wrong_value_stops_the_process_with_a_sentence(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stopped:
        load(ProcessRole.TOOL, _env_file=None)
    assert stopped.value.code == 78
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("role", [ProcessRole.WEBHOOK, ProcessRole.WORKER])
def test_outside_the_demo_secrets_are_required(
    role: ProcessRole, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEMO", "false")
    with pytest.raises(SystemExit):
        load(role, _env_file=None)
    said = capsys.readouterr().err
    assert "PATIENT_ID_KEY" in said
    assert "ENCRYPTION_KEYS" in said


def test_a_worker_of_the_present_backend_needs_a_staff_id_even_in_the_demo(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("APPOINTMENTS_API", "seguimiento")
    assert load(ProcessRole.WEBHOOK, _env_file=None).APPOINTMENTS_API == "seguimiento"
    with pytest.raises(SystemExit) as stopped:
        load(ProcessRole.WORKER, _env_file=None)
    assert stopped.value.code == 78
    assert "Set SEGUIMIENTO_STAFF_ID: the worker does not start without" in capsys.readouterr().err


def test_secrets_do_not_show_in_a_printed_settings_object() -> None:
    settings = Settings(_env_file=None, REDIS_PASSWORD="hunter2", WHATSAPP_APP_SECRET="s1,s2")
    assert "hunter2" not in repr(settings)
    assert settings.app_secrets == (b"s1", b"s2")
    assert settings.redis_url == "redis://:hunter2@127.0.0.1:6379/0"


def test_opening_hours_are_read_by_weekday() -> None:
    hours = parse_opening_hours("mon-fri 08:00-12:00 14:00-18:00; sat 8:00-12:00")
    assert len(hours[0]) == 2
    assert len(hours[5]) == 1
    assert 6 not in hours


def test_the_ladder_is_read_in_order_of_time() -> None:
    first, second = parse_ladder("10 jefa@example.org; 0 email slack")
    assert (first.minutes, first.contacts) == (0, ("email", "slack"))
    assert (second.minutes, second.contacts) == (10, ("jefa@example.org",))


def test_quiet_hours_are_two_hours_of_a_day() -> None:
    assert parse_quiet_hours("21-7") == (21, 7)
