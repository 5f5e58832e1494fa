"""What makes the model's intent probabilities honest, fitted on validation data and kept beside the model.

Read by `loader`, applied by `reader` and, beside the rules, by `workers.understanding`. File `calibration.json`:
{"temperature": 1.4, "weights": {"rules": 0.8, "ngrams": 0.5, "model": 0.7, "alarm": 0.3}}.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from shared.messages import Frozen
from shared.weights import Weights
from workers.model.errors import ModelConfigError

FILE_NAME = "calibration.json"


class Calibration(Frozen):
    """`temperature` above 1 makes the model less sure of itself; `weights` say how far it is believed."""

    temperature: float = Field(default=1.0, gt=0, le=100)
    weights: Weights = Weights()

    def probabilities(self, logprobs: Sequence[float]) -> list[float]:
        """Return softmax(logprobs / temperature), same order."""
        scaled = [logprob / self.temperature for logprob in logprobs]
        highest = max(scaled)
        weights = [math.exp(value - highest) for value in scaled]
        return [weight / sum(weights) for weight in weights]


def load_calibration(folder: Path) -> Calibration:
    """Read the file beside the model; without one nothing is changed.

    Raises:
        ModelConfigError: if the file is there and cannot be read: a guess would shift every threshold.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return Calibration()
    try:
        return Calibration.from_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelConfigError(f"{FILE_NAME} beside the model cannot be read") from error
