"""How far rules, n-grams and model are believed beside each other when an intent is chosen.

Fitted on validation data: beside a model in its `calibration.json`, without one in `assets/weights.json`. Used by
`workers.understanding` and by `training.calibrate`.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from shared.messages import Frozen

FILE = Path(__file__).resolve().parent / "assets" / "weights.json"


class Weights(Frozen):
    """Powers of the three opinions, and the probability of `urgencia` from which an alarm is raised.

    The defaults suit a tagged model that brings no calibration of its own.
    """

    rules: float = Field(default=0.6, ge=0, le=10)
    ngrams: float = Field(default=0.5, ge=0, le=10)
    model: float = Field(default=0.6, ge=0, le=10)
    alarm: float = Field(default=0.5, gt=0, le=1)


WITHOUT_MODEL = Weights.from_json(FILE.read_bytes())
