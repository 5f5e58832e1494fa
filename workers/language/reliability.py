"""How far the rules' reading of an intent can be believed, measured: P(what the rules say | what was meant).

Called by `workers.understanding` to weigh rules against the model. The table `shared/assets/rules_reliability.json` is
counted by `python -m training.reliability` on labelled messages that no rule was written from. Pure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from shared.prediction import Intent
from workers.language.intents import RuleReading

FILE = Path(__file__).parents[2] / "shared" / "assets" / "rules_reliability.json"
# A reading counts as certain, sure, likely or guessed from these strengths on.
BANDS: tuple[tuple[str, float], ...] = (("certain", 0.9), ("sure", 0.8), ("likely", 0.6), ("guessed", 0.0))


def band(strength: float) -> str:
    """Return the name of the band that a strength (0..1) lies in."""
    return next(name for name, least in BANDS if strength >= least)


def likelihood(reading: RuleReading) -> Mapping[Intent, float]:
    """Return for each intent how probable this reading is when it is meant; all equal for a reading never counted."""
    counted = _table().get(f"{reading.intent}:{band(reading.strength)}")
    return counted if counted is not None else dict.fromkeys(Intent, 1.0)


@cache
def _table() -> Mapping[str, Mapping[Intent, float]]:
    rows = json.loads(FILE.read_text(encoding="utf-8"))["likelihood"]
    return {key: {intent: row[intent] for intent in Intent} for key, row in rows.items()}
