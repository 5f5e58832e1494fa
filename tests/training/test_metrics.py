"""Figures of merit: what is counted, what is not, and what an unreadable answer costs."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import pytest

from shared.prediction import Intent, Slots
from training.gold import NOW, Gold, generated, read_gold
from training.metrics import calibration_error, f1_by_intent, macro_f1, measure
from training.systems import Row, keywords, letters, rules


def test_f1_counts_both_kinds_of_mistake() -> None:
    pairs = [(Intent.SALUDO, Intent.SALUDO), (Intent.SALUDO, Intent.BAJA), (Intent.BAJA, Intent.BAJA)]
    scores = f1_by_intent(pairs)
    assert scores[Intent.SALUDO] == pytest.approx(2 / 3)
    assert scores[Intent.BAJA] == pytest.approx(2 / 3)
    assert macro_f1([(Intent.SALUDO, None)]) == 0


def test_unreadable_answers_count_as_wrong_everywhere() -> None:
    golds = [Gold(id=1, text="quiero cita", intent=Intent.AGENDAR_CITA, slots=Slots(time="10:00"))] * 2
    rows = [Row(Intent.AGENDAR_CITA, 0.9, False, Slots(time="10:00")), Row(None, 0.0, False)]
    figures = measure(golds, rows)
    assert figures["valid"] == 0.5
    assert figures["intent_accuracy"] == 0.5
    assert figures["slots_exact"] == 0.5
    assert figures["date_and_time"] == 0.5


def test_what_is_not_labelled_is_not_counted() -> None:
    figures = measure([Gold(id=1, text="me ahogo", danger=True)], [Row(Intent.URGENCIA, 1.0, True)])
    assert "intent_macro_f1" not in figures
    assert figures["danger_recall"] == 1.0
    assert math.isnan(figures["false_alarms"])


def test_explicit_signs_and_look_alikes_have_figures_of_their_own() -> None:
    golds = [
        Gold(id=1, text="toso sangre", intent=Intent.URGENCIA, explicit=True),
        Gold(id=2, text="el pecho no da", intent=Intent.URGENCIA),
        Gold(id=3, text="sangre no boto", intent=Intent.SINTOMAS, hard_negative=True),
        Gold(id=4, text="hola", intent=Intent.SALUDO),
    ]
    rows = [Row(gold.intent, 1.0, alarm) for gold, alarm in zip(golds, (True, False, True, False), strict=True)]
    figures = measure(golds, rows)
    assert (figures["danger_recall"], figures["danger_recall_explicit"]) == (0.5, 1.0)
    assert (figures["false_alarms"], figures["false_alarms_look_alikes"]) == (0.5, 1.0)


def test_names_are_compared_without_accents_and_case() -> None:
    gold = Gold(id=1, text="", intent=Intent.INFORMAR_DATO, slots=Slots(name="Ángel Núñez"))
    assert measure([gold], [Row(Intent.INFORMAR_DATO, 1, False, Slots(name="angel nuñez"))])["slots_exact"] == 1
    assert measure([gold], [Row(Intent.INFORMAR_DATO, 1, False, Slots(name="angel"))])["slots_exact"] == 0


def test_calibration_compares_confidence_with_hits() -> None:
    assert calibration_error([(0.95, True)] * 19 + [(0.95, False)]) == pytest.approx(0.0)
    assert calibration_error([(0.95, False)] * 10) == pytest.approx(0.95)


def test_a_file_of_labelled_lines_is_read_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "gold.jsonl"
    path.write_text('{"id": "a", "text": "hola", "intent": "saludo"}\n\n{"id": "b", "text": "x", "intent": "nada"}\n')
    golds = read_gold(path)
    assert next(golds).intent is Intent.SALUDO
    with pytest.raises(ValueError, match="line 3: intent"):
        next(golds)


def test_generated_messages_carry_the_dates_their_words_mean() -> None:
    golds = [gold for gold in generated("test", 3, 400) if gold.slots and gold.slots.date]
    assert golds
    tomorrow = [gold for gold in golds if gold.sample and gold.sample.answer.spans.get("date") == "pasado mañana"]
    assert tomorrow
    assert {gold.slots.date for gold in tomorrow if gold.slots} == {NOW.date() + dt.timedelta(days=2)}


@pytest.mark.parametrize("system", [keywords, rules, letters])
def test_every_system_reads_a_plain_request(system: object) -> None:
    row = system(Gold(id=1, text="quiero sacar una cita"))  # type: ignore[operator]
    assert row.intent is Intent.AGENDAR_CITA
    assert not row.danger
