"""Figures of merit of decoded samples: F1, danger recall, slots, calibration. Pure; called by `training.evaluate`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shared.prediction import Intent
from shared.tagged import Tagged
from training.dataset import Sample

INTENTS = list(Intent)


@dataclass(frozen=True)
class Decoded:
    """What the model made of one sample: the tags it wrote, and the scores of the 22 intents before any of them."""

    sample: Sample
    answer: Tagged | None  # None: not readable
    scores: np.ndarray  # (22,) log-probabilities, not calibrated


def fit_temperature(results: Sequence[Decoded]) -> float:
    """Return the temperature that makes the right intents likeliest (smallest negative log-likelihood)."""
    scores = np.stack([result.scores for result in results])
    right = np.array([INTENTS.index(result.sample.answer.intent) for result in results])
    candidates = np.geomspace(0.5, 5.0, 91)
    return float(min(candidates, key=lambda candidate: _loss(scores / candidate, right)))


def _loss(scores: np.ndarray, right: np.ndarray) -> float:
    normalised = scores - np.log(np.exp(scores).sum(-1, keepdims=True))
    return float(-normalised[np.arange(len(right)), right].mean())


def measure(results: Sequence[Decoded], temperature: float) -> dict[str, float | int]:
    """Compare with what was wanted. Unreadable answers count as wrong everywhere."""
    wanted = [result.sample.answer for result in results]
    got = [result.answer for result in results]
    pairs = [(want.intent, answer.intent if answer else None) for want, answer in zip(wanted, got, strict=True)]
    alarms = [answer is not None and answer.danger for answer in got]
    ill = [alarm for alarm, want in zip(alarms, wanted, strict=True) if want.danger]
    well = [alarm for alarm, want in zip(alarms, wanted, strict=True) if not want.danger]
    alike = [alarm for alarm, result in zip(alarms, results, strict=True) if result.sample.group == "look_alike"]
    filled = [
        answer is not None and dict(answer.spans) == dict(want.spans) and answer.reason == want.reason
        for want, answer in zip(wanted, got, strict=True)
        if want.spans or want.reason
    ]
    low, high = interval(pairs)
    return {
        "messages": len(results),
        "intent_macro_f1": round(macro_f1(pairs), 4),
        "intent_macro_f1_low": low,
        "intent_macro_f1_high": high,
        "intent_accuracy": _share([want == said for want, said in pairs]),
        "calibration_error": round(calibration_error(results, temperature), 4),
        "danger_messages": len(ill),
        "danger_recall": _share(ill),
        "false_alarms": _share(well),
        "look_alikes": len(alike),
        "false_alarms_look_alikes": _share(alike),
        "slot_messages": len(filled),
        "slot_exact_match": _share(filled),
        "valid": _share([answer is not None for answer in got]),
    }


def _share(hits: Sequence[bool]) -> float:
    return round(sum(hits) / len(hits), 4) if hits else math.nan


def f1_by_intent(pairs: Sequence[tuple[Intent, Intent | None]]) -> dict[Intent, float]:
    """F1 of every intent that was wanted at least once."""
    scores = {}
    for intent in {want for want, _ in pairs}:
        both = sum(want == said == intent for want, said in pairs)
        either = sum(want == intent for want, _ in pairs) + sum(said == intent for _, said in pairs)
        scores[intent] = 2 * both / either
    return scores


def macro_f1(pairs: Sequence[tuple[Intent, Intent | None]]) -> float:
    scores = f1_by_intent(pairs)
    return sum(scores.values()) / len(scores)


def interval(pairs: Sequence[tuple[Intent, Intent | None]], draws: int = 200) -> tuple[float, float]:
    """95 % bootstrap interval of macro-F1 over messages; too narrow, for messages of one family resemble each other."""
    rng = np.random.default_rng(7)
    found = [macro_f1([pairs[at] for at in rng.integers(0, len(pairs), len(pairs))]) for _ in range(draws)]
    low, high = np.quantile(found, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


def calibration_error(results: Sequence[Decoded], temperature: float, bins: int = 10) -> float:
    """Expected calibration error of the calibrated probability of the likeliest intent."""
    scores = np.stack([result.scores for result in results]) / temperature
    chances = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    right = np.array([INTENTS.index(result.sample.answer.intent) for result in results])
    sure, hit = chances.max(-1), chances.argmax(-1) == right
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(hit[place == b].mean() - sure[place == b].mean()) * (place == b).mean() for b in set(place.tolist())]
    return float(sum(gaps))


def weakest(results: Sequence[Decoded], shown: int = 6) -> str:
    """The intents with the lowest F1, with what they were taken for."""
    pairs = [(r.sample.answer.intent, r.answer.intent if r.answer else None) for r in results]
    lines = []
    for intent, score in sorted(f1_by_intent(pairs).items(), key=lambda item: item[1])[:shown]:
        wrong = [str(said) for want, said in pairs if want is intent and said is not intent]
        often = sorted(set(wrong), key=wrong.count, reverse=True)[:3]
        lines.append(f"{intent:28} F1 {score:.3f}  taken for {', '.join(often)}")
    return "\n".join(lines)
