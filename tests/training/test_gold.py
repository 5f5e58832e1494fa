"""Understanding without the model on messages invented without sight of data or code (tests/data/gold).

Floors a little below what was measured when each set was first run or last mended; figures with the model stand in
docs/model-log.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.settings import ProcessRole, load
from shared.texts import Texts
from training.gold import read_gold
from training.metrics import measure
from training.systems import Bench, answers

GOLD = Path(__file__).parents[1] / "data" / "gold"


@pytest.mark.parametrize(
    ("name", "macro_f1", "danger", "look_alikes"),
    [("development", 0.92, 0.97, 0.10), ("blind", 0.89, 0.95, 0.20), ("blind_2", 0.95, 0.98, 0.10)],
)
def test_independent_messages_are_understood(name: str, macro_f1: float, danger: float, look_alikes: float) -> None:
    settings = load(ProcessRole.TOOL)
    bench = Bench(settings, None, Texts.load(settings))  # type: ignore[arg-type]
    golds = list(read_gold(GOLD / f"{name}.jsonl"))
    figures = measure(golds, answers(bench.without_model(), golds, name))
    assert figures["intent_macro_f1"] >= macro_f1
    assert figures["danger_recall"] >= danger
    assert figures["danger_recall_explicit"] == 1.0
    assert figures["false_alarms_look_alikes"] <= look_alikes
    assert figures["date_and_time"] >= 0.95
    assert figures["slots_exact"] >= 0.95
    assert figures["calibration_error"] <= 0.10
