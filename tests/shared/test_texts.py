"""The fixed texts: whole, short enough, filled from the settings, and refused at load when wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from shared.prediction import Danger, DangerCategory, Level
from shared.setting_values import parse_opening_hours
from shared.settings import Settings
from shared.texts import KEYS, MAX_CHARS, TEXTS_FILE, Texts, TextsError, describe_hours

SETTINGS = Settings(_env_file=None, DEMO=True, CENTER_PHONE="+591 3 111 2222", EMERGENCY_PHONE="161")
TEXTS = Texts.load(SETTINGS)


def changed(tmp_path: Path, key: str, text: str | None) -> Path:
    content = yaml.safe_load(TEXTS_FILE.read_text(encoding="utf-8"))
    if text is None:
        del content["texts"][key]
    else:
        content["texts"][key] = text
    path = tmp_path / "texts.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_text_is_filled_and_short_enough(key: str) -> None:
    text = TEXTS.get(key, name="Rosa", staff="Ya avisé.", topic="", waited="2 minutos")
    assert 0 < len(text) <= MAX_CHARS
    assert "{" not in text


def test_the_emergency_text_is_the_one_of_the_specification() -> None:
    danger = Danger(category=DangerCategory.HEMOPTISIS, level=Level.EMERGENCIA)
    assert TEXTS.escalation(danger, staff_told=True) == (
        "⚠️ Lo que me cuenta puede ser una urgencia. Vaya AHORA al servicio de emergencias más cercano o llame al 161. "
        "Si puede, que alguien le acompañe y lleve sus medicamentos. También puede llamar al centro: +591 3 111 2222. "
        "Ya avisé al personal de salud. Soy un asistente automático y no puedo evaluarle por este medio."
    )


@pytest.mark.parametrize("category", list(DangerCategory))
@pytest.mark.parametrize("level", list(Level))
def test_no_escalation_says_that_staff_know_when_they_do_not(category: DangerCategory, level: Level) -> None:
    danger = Danger(category=category, level=level)
    told, untold = TEXTS.escalation(danger, True), TEXTS.escalation(danger, False)
    assert "avisé" in told
    assert "avisé" not in untold
    assert "Llame usted al centro: +591 3 111 2222." in untold
    assert max(len(told), len(untold)) <= MAX_CHARS
    assert "161" in told


def test_each_level_has_its_own_text_and_mental_health_too() -> None:
    same_day = TEXTS.escalation(Danger(category="higado", level="mismo_dia"), True)
    mental = TEXTS.escalation(Danger(category="salud_mental", level="emergencia"), True)
    assert "consulte antes de tomar su próxima dosis" in same_day
    assert "no está solo/a" in mental


def test_no_escalation_says_to_stop_or_to_go_on_with_the_medicines() -> None:
    for category in DangerCategory:
        for level in Level:
            text = TEXTS.escalation(Danger(category=category, level=level), True).lower()
            assert "suspenda" not in text
            assert "siga tomando" not in text


def test_the_reminder_after_an_alarm_does_not_claim_that_staff_know() -> None:
    assert "ya fue avisado" in TEXTS.alarm_reminder(True)
    assert "avisado" not in TEXTS.alarm_reminder(False)


def test_a_text_without_its_value_is_a_fault_of_the_caller() -> None:
    assert TEXTS.get("saludo_nombre", name="Rosa").startswith("Hola, Rosa.")
    with pytest.raises(KeyError):
        TEXTS.get("saludo_nombre")
    with pytest.raises(KeyError):
        TEXTS.get("no_existe")


def test_braces_in_the_centres_name_do_no_harm() -> None:
    odd = Settings(_env_file=None, DEMO=True, CENTER_NAME="Centro {uno}")
    assert "Centro {uno}" in Texts.load(odd).get("saludo")


@pytest.mark.parametrize(
    ("key", "text", "complaint"),
    [
        ("baja", None, "lacks the texts baja"),
        ("baja", "Llame al {fono}.", "unknown placeholder fono"),
        ("baja", "Llame al {}.", "unknown placeholder"),
        ("baja", "Llame al {phone.", "baja"),
        ("baja", "a" * 501, "501 characters"),
        ("emergencia", "Vaya a emergencias.", "needs {staff}"),
    ],
    ids=["missing", "unknown", "nameless", "unclosed", "too long", "without staff"],
)
def test_a_wrong_file_is_refused_at_load(tmp_path: Path, key: str, text: str | None, complaint: str) -> None:
    with pytest.raises(TextsError, match=complaint):
        Texts.load(SETTINGS, changed(tmp_path, key, text))


def test_a_missing_file_is_refused_at_load(tmp_path: Path) -> None:
    with pytest.raises(TextsError, match="cannot be read"):
        Texts.load(SETTINGS, tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("hours", "spoken"),
    [
        (
            "mon-fri 08:00-12:00 14:00-18:00; sat 08:00-12:00",
            "lunes a viernes de 8:00 a 12:00 y de 14:00 a 18:00; sábado de 8:00 a 12:00",
        ),
        ("mon 09:30-10:00", "lunes de 9:30 a 10:00"),
        ("sat-sun 08:00-12:00", "sábado y domingo de 8:00 a 12:00"),
        (
            "mon-tue 08:00-12:00; thu 08:00-12:00",
            "lunes y martes de 8:00 a 12:00; jueves de 8:00 a 12:00",
        ),
        (
            "mon-wed 07:00-09:00 10:00-12:00 14:00-15:30",
            "lunes a miércoles de 7:00 a 9:00, de 10:00 a 12:00 y de 14:00 a 15:30",
        ),
    ],
)
def test_opening_hours_are_spoken(hours: str, spoken: str) -> None:
    assert describe_hours(parse_opening_hours(hours)) == spoken
