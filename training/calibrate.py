"""Fits how far rules, n-grams and model are believed, on the validation split.

`calibrate` writes `calibration.json` beside a model (called by `training.evaluate` before it measures);
`python -m training.calibrate` writes `shared/assets/weights.json`, for when no model answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from shared.prediction import Intent
from shared.weights import FILE as WEIGHTS_FILE
from shared.weights import Weights
from training.gold import NOW, Gold, generated
from training.systems import answers, open_bench
from workers.language import ngrams
from workers.language.reliability import likelihood
from workers.model.calibration import FILE_NAME, Calibration
from workers.safety.danger import find_danger
from workers.understanding import read_rules

INTENTS = list(Intent)
ALARMS_ALLOWED = 0.02  # share of harmless messages that n-grams and model may take for danger
_SMALLEST = 1e-6
_STEPS = np.linspace(0.0, 2.0, 21)
SEED, COUNT = 2026, 1_500


def calibrate(folder: Path, seed: int, count: int) -> Calibration:
    """Read `count` validation messages with the folder's model, fit, and write `calibration.json` beside it."""
    (folder / FILE_NAME).unlink(missing_ok=True)
    golds = list(generated("val", seed, count))
    with open_bench(folder) as bench:
        readings = answers(lambda gold: bench.read(gold, needs_reply=False), golds, "validation")
    model = logs([reading.chances for reading in readings])
    right = np.array([INTENTS.index(gold.intent) for gold in golds if gold.intent])
    temperature = float(min(np.geomspace(0.5, 5.0, 91), key=lambda t: loss(model / t, right)))
    calm = np.log(np.maximum(probabilities(model / temperature), _SMALLEST))
    fitted = Calibration(temperature=round(temperature, 3), weights=fit(golds, calm))
    facts = {**fitted.model_dump(), "fitted_on": len(golds)}
    (folder / FILE_NAME).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return fitted


def fit(golds: Sequence[Gold], model: np.ndarray | None) -> Weights:
    """Fit the weights of the opinions, one after the other until they rest, then the threshold of the alarm.

    Args:
        golds: labelled messages.
        model: (N, 22) calibrated log-probabilities of the model in the order of `Intent`; None without one.
    """
    unseen = np.array([find_danger(gold.text) is None for gold in golds])  # what the danger rules leave to the others
    right = np.array([INTENTS.index(gold.intent) for gold in golds if gold.intent])
    opinions = {
        "rules": logs([likelihood(read_rules(gold.text, gold.now or NOW, gold.state).reading) for gold in golds]),
        "ngrams": logs([ngrams.chances(gold.text, gold.state) for gold in golds]),
    }
    if model is not None:
        opinions["model"] = model
    weights = dict.fromkeys(opinions, 0.6)

    def together(tried: dict[str, float]) -> np.ndarray:
        return np.sum([weight * opinions[name] for name, weight in tried.items()], axis=0)

    for _ in range(4):
        for name in opinions:
            losses = {w: loss(together({**weights, name: w})[unseen], right[unseen]) for w in _STEPS}
            weights[name] = float(min(losses, key=lambda w: losses[w]))
    urgent = probabilities(together(weights))[:, INTENTS.index(Intent.URGENCIA)]
    harmless = np.array([gold.is_danger is False for gold in golds]) & unseen
    alarm = float(np.quantile(urgent[harmless], 1 - ALARMS_ALLOWED))
    found = {name: round(weight, 2) for name, weight in weights.items()}
    return Weights(**found, alarm=round(min(0.9, max(0.1, alarm)), 3))


def logs(rows: Sequence[Mapping[Intent, float]]) -> np.ndarray:
    """(N, 22) logarithms of probabilities, in the order of `Intent`."""
    return np.log([[max(row.get(intent, 0.0), _SMALLEST) for intent in INTENTS] for row in rows])


def probabilities(scores: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    whole: np.ndarray = shifted / shifted.sum(-1, keepdims=True)
    return whole


def loss(scores: np.ndarray, right: np.ndarray) -> float:
    """Mean negative log-likelihood of the right intents."""
    chances = probabilities(scores)[np.arange(len(right)), right]
    return float(-np.log(np.maximum(chances, _SMALLEST)).mean())


def main() -> None:
    weights = fit(list(generated("val", SEED, COUNT)), None)
    WEIGHTS_FILE.write_text(json.dumps(weights.model_dump(exclude={"model"}), indent=2) + "\n", encoding="utf-8")
    print(f"{WEIGHTS_FILE.name}: {weights}")


if __name__ == "__main__":
    main()
