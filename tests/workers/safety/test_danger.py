"""Danger signs: recall on written messages, silence on look-alikes, behaviour when the rules themselves are broken."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from shared.prediction import Danger, DangerCategory, Level
from workers.safety import danger as danger_module
from workers.safety.danger import ESCALATE, RULES_FILE, DangerRules, default_rules, find_danger

DATA = Path(__file__).parent / "data"
EMERGENCY = Danger(category=DangerCategory.ESTADO_GRAVE, level=Level.EMERGENCIA)


def messages(*names: str) -> list[dict[str, Any]]:
    return [json.loads(line) for name in names for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


ALL = messages("danger.jsonl", "danger_fresh.jsonl")
POSITIVE = [message for message in ALL if message["danger"]]
NEGATIVE = [message for message in ALL if not message["danger"]]


def test_the_collection_is_as_large_as_promised() -> None:
    first = messages("danger.jsonl")
    by_category = [sum(m.get("category") == category for m in first) for category in DangerCategory]
    assert min(by_category) >= 10
    assert sum(m["danger"] for m in first) >= 150
    assert sum(not m["danger"] for m in first) >= 150
    assert sum(m["danger"] and not m["explicit"] for m in first) >= 40


def test_every_explicit_sign_is_found() -> None:
    assert [m["text"] for m in POSITIVE if m["explicit"] and find_danger(m["text"]) is None] == []


def test_nearly_every_hidden_sign_is_found() -> None:
    missed = [m["text"] for m in POSITIVE if find_danger(m["text"]) is None]
    assert len(missed) / len(POSITIVE) <= 0.02, missed


def test_few_harmless_messages_raise_an_alarm() -> None:
    alarmed = [m["text"] for m in NEGATIVE if find_danger(m["text"])]
    assert len(alarmed) / len(NEGATIVE) <= 0.05, alarmed


def test_the_level_is_never_lower_than_written() -> None:
    lowered = [
        m["text"]
        for m in POSITIVE
        if m["level"] == "emergencia" and (found := find_danger(m["text"])) and found.level is not Level.EMERGENCIA
    ]
    assert lowered == []


def test_most_signs_get_their_own_category() -> None:
    wrong = [m["text"] for m in POSITIVE if (d := find_danger(m["text"])) and d.category != m["category"]]
    assert len(wrong) / len(POSITIVE) <= 0.1, wrong


@pytest.mark.parametrize(
    "text",
    [
        "ya no vomito pero me ahogo",
        "no tengo fiebre y toso con sangre",
        "sin fiebre, sin vómitos, pero veo borroso",
        "no duermo toso sangre toda la noche",
        "mi orina sale naranja y mis ojos están amarillos",
        "me muero de calor y no puedo respirar",
        "me hicieron análisis de sangre y ahora toso sangre",
        "hace 2 años tuve tuberculosis, ahora boto sangre otra vez",
        "desde hace 3 meses toso con sangre",
        "dicen que es normal pero toso con sangre",
        "mi perro está bien, pero yo escupo sangre",
        "¿Cuáles son las señales? porque boto sangre",
    ],
)
def test_a_silenced_clause_never_silences_the_next_one(text: str) -> None:
    assert find_danger(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "ESTOY TOSIENDO SANGRE",
        "estoy tosiendo saaaangreee",
        "estoytosiendosangre",
        "estoy tosi endo san gre",
        "toso 🩸",
        "a u x i l i o",
        "no... puedo... respirar",
        "no\npuedo\nrespirar",
        "no.puedo.respirar",
        "nopuedorespirar",
        "n\u200bo pue\u200bdo respi\u200brar",
        "no puedo respirar",
        "𝐧𝐨 𝐩𝐮𝐞𝐝𝐨 𝐫𝐞𝐬𝐩𝐢𝐫𝐚𝐫",
    ],
)
def test_spelling_does_not_hide_a_sign(text: str) -> None:
    assert find_danger(text) is not None


def test_blood_in_vomit_raises_the_level() -> None:
    assert find_danger("vomito todo lo que como") == Danger(category="vomito_persistente", level="mismo_dia")
    assert find_danger("vomito sangre") == Danger(category="vomito_persistente", level="emergencia")


def test_the_most_urgent_of_several_signs_wins() -> None:
    assert find_danger("tengo los ojos amarillos y no puedo respirar") == Danger(
        category="respiratorio", level="emergencia"
    )


@pytest.mark.parametrize("text", ["", "   ", "👍", "12345", "¿?", "\u200b"])
def test_a_message_without_words_is_no_danger(text: str) -> None:
    assert find_danger(text) is None


def test_the_whole_of_a_long_text_is_searched() -> None:
    filler = "hoy fui al mercado y compre pan para la semana. " * 300
    assert find_danger(filler) is None
    assert find_danger(filler + "y estoy tosiendo sangre. " + filler) is not None


@pytest.mark.parametrize(
    "text",
    [
        "a" * 100_000,
        "ab" * 50_000,
        "no " * 33_000,
        "sangre " * 14_000,
        "tos sangre no tengo " * 5_000,
        "ya no tengo tos con sangre hace dos meses " * 2_400,
        "x y z " * 17_000,
        "." * 100_000,
        "nopuedorespirar" * 6_600,
        "".join(chr(0x300 + i % 64) for i in range(100_000)),
    ],
    ids=["one letter", "one word", "no", "sangre", "denials", "resolved", "letters", "points", "joined", "accents"],
)
def test_a_hundred_kilobytes_take_seconds_at_most(text: str) -> None:
    started = time.process_time()
    default_rules().find(text)
    assert time.process_time() - started < 8


def test_ordinary_messages_take_milliseconds() -> None:
    times = []
    for message in ALL:
        started = time.process_time()
        find_danger(message["text"])
        times.append(time.process_time() - started)
    assert sorted(times)[int(len(times) * 0.95)] < 0.005


def broken_copy(tmp_path: Path, change: str) -> Path:
    """Write a copy of the rule file with one thing wrong."""
    content = yaml.safe_load(RULES_FILE.read_text(encoding="utf-8"))
    match change:
        case "no yaml":
            (tmp_path / "rules.yaml").write_text("categories: [", encoding="utf-8")
            return tmp_path / "rules.yaml"
        case "unknown group":
            content["categories"]["vision"]["cues"].append("<nadie> veo")
        case "unknown key":
            content["categories"]["vision"]["colour"] = "red"
        case "missing category":
            del content["categories"]["vision"]
        case "missed example":
            content["categories"]["vision"]["examples"].append("buenos dias doctora")
        case "open stem":
            content["categories"]["vision"]["cues"].append("amarill*")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    return tmp_path / "rules.yaml"


@pytest.mark.parametrize(
    "change", ["no yaml", "unknown group", "unknown key", "missing category", "missed example", "open stem"]
)
def test_a_broken_rule_file_escalates_everything_and_says_why(tmp_path: Path, change: str) -> None:
    rules = DangerRules.load(broken_copy(tmp_path, change))
    assert rules.broken
    assert rules.find("buenos dias") == EMERGENCY


def test_a_missing_rule_file_escalates_everything(tmp_path: Path) -> None:
    rules = DangerRules.load(tmp_path / "none.yaml")
    assert rules.broken
    assert rules.find("hola") == ESCALATE


def test_a_crash_while_searching_is_an_emergency_and_is_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rules = DangerRules.load()

    def crash(text: str) -> str:
        raise RuntimeError(f"cannot read {text}")

    monkeypatch.setattr(danger_module, "normalise", crash)
    assert rules.find("buenos dias Rosa Mamani") == ESCALATE
    assert rules.broken
    assert "Mamani" not in caplog.text + rules.broken


def test_the_default_rules_are_whole_and_unsigned() -> None:
    assert default_rules().broken is None
    content = yaml.safe_load(RULES_FILE.read_text(encoding="utf-8"))
    assert set(content["categories"]) == {category.value for category in DangerCategory}
    assert all(entry["source"] and entry["reviewed_by"] is None for entry in content["categories"].values())
