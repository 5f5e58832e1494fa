"""Figures of merit: F1, danger recall, slots, calibration; each with count and interval. Pure; called by `evaluate`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from shared.prediction import Intent, Slots
from training.gold import Gold
from training.systems import Row

T = TypeVar("T")
INTENTS = list(Intent)
SLOTS = ("date", "time", "time_window", "old_date", "old_time", "appointment_ref", "reason", "name")
DRAWS = 200

Figures = dict[str, float | int]


def measure(golds: Sequence[Gold], rows: Sequence[Row]) -> Figures:
    """Compare what a system said with what is right; what is not labelled is not counted.

    Every share has its count under `<name>_of`, macro-F1 and the shares that decide also `<name>_low` and `_high`, the
    95 % bootstrap interval over messages.
    """
    both = list(zip(golds, rows, strict=True))
    labelled = [(gold.intent, row.intent) for gold, row in both if gold.intent is not None]
    figures: Figures = {"messages": len(both)}
    if labelled:
        figures |= _with_interval("intent_macro_f1", labelled, macro_f1)
        figures["intent_accuracy"] = _share([want is said for want, said in labelled])
        scores = f1_by_intent(labelled)
        figures["off_topic_f1"] = round(scores.get(Intent.FUERA_DE_TEMA, math.nan), 4)
        figures |= _counted("opt_out_recall", [said is want for want, said in labelled if want is Intent.BAJA])
        sure = [(row.confidence, row.intent is gold.intent) for gold, row in both if gold.intent is not None]
        figures["calibration_error"] = round(calibration_error(sure), 4)
    figures |= _danger(both)
    figures |= _slots([(gold, row) for gold, row in both if gold.slots is not None])
    figures |= _counted("valid", [row.valid for row in rows])
    return figures


def _danger(both: Sequence[tuple[Gold, Row]]) -> Figures:
    ill = [(row.danger, gold) for gold, row in both if gold.is_danger]
    well = [(row.danger, gold) for gold, row in both if gold.is_danger is False]
    figures = _with_interval("danger_recall", [alarm for alarm, _ in ill], _share)
    figures |= _counted("danger_recall_explicit", [alarm for alarm, gold in ill if gold.explicit])
    figures |= _with_interval("false_alarms", [alarm for alarm, _ in well], _share)
    figures |= _counted("false_alarms_look_alikes", [alarm for alarm, gold in well if gold.hard_negative])
    return figures


def _slots(both: Sequence[tuple[Gold, Row]]) -> Figures:
    if not both:
        return {}
    exact = [all(_equal(gold, row, slot) for slot in SLOTS) for gold, row in both]
    stated = [right for right, (gold, _) in zip(exact, both, strict=True) if gold.slots != Slots()]
    moments = [
        all(_equal(gold, row, slot) for slot in ("date", "time"))
        for gold, row in both
        if gold.slots and (gold.slots.date or gold.slots.time)
    ]
    figures = _with_interval("slots_exact", exact, _share)
    figures |= _counted("slots_exact_where_stated", stated)
    figures |= _with_interval("date_and_time", moments, _share)
    for slot in SLOTS:
        figures[f"slot_f1_{slot}"] = _slot_f1(both, slot)
    return figures


def _value(slots: object, slot: str) -> str | None:
    value = getattr(slots, slot)
    if value is None:
        return None
    text = str(value).lower()
    return "".join(text.translate(_ACCENTS).split()) if slot == "name" else text


_ACCENTS = str.maketrans("áéíóúü", "aeiouu")


def _equal(gold: Gold, row: Row, slot: str) -> bool:
    return _value(gold.slots, slot) == _value(row.slots, slot)


def _slot_f1(both: Sequence[tuple[Gold, Row]], slot: str) -> float:
    wanted = sum(_value(gold.slots, slot) is not None for gold, _ in both)
    said = sum(_value(row.slots, slot) is not None for _, row in both)
    hit = sum(_value(gold.slots, slot) is not None and _equal(gold, row, slot) for gold, row in both)
    return round(2 * hit / (wanted + said), 4) if wanted + said else math.nan


def _share(hits: Sequence[bool]) -> float:
    return sum(hits) / len(hits) if hits else math.nan


def _counted(name: str, hits: Sequence[bool]) -> Figures:
    return {name: round(_share(hits), 4), f"{name}_of": len(hits)}


def _with_interval(name: str, items: Sequence[T], figure: Callable[[Sequence[T]], float]) -> Figures:
    low, high = interval(items, figure)
    return {name: round(figure(items), 4), f"{name}_low": low, f"{name}_high": high, f"{name}_of": len(items)}


def interval(items: Sequence[T], figure: Callable[[Sequence[T]], float]) -> tuple[float, float]:
    """95 % bootstrap interval over messages; too narrow for generated ones, which resemble each other."""
    if not items:
        return math.nan, math.nan
    rng = np.random.default_rng(7)
    found = [figure([items[at] for at in rng.integers(0, len(items), len(items))]) for _ in range(DRAWS)]
    low, high = np.quantile(found, (0.025, 0.975))
    return round(float(low), 4), round(float(high), 4)


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
    return sum(scores.values()) / len(scores) if scores else 0.0


def calibration_error(answers: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error of (confidence, was right) pairs."""
    if not answers:
        return math.nan
    sure = np.array([confidence for confidence, _ in answers])
    hit = np.array([right for _, right in answers])
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [abs(hit[place == b].mean() - sure[place == b].mean()) * (place == b).mean() for b in set(place.tolist())]
    return float(sum(gaps))


def confusion(golds: Sequence[Gold], rows: Sequence[Row]) -> np.ndarray:
    """Count (22, 22) messages: wanted by row, said by column, in the order of `Intent`."""
    counts = np.zeros((len(INTENTS), len(INTENTS)), dtype=int)
    for gold, row in zip(golds, rows, strict=True):
        if gold.intent is not None and row.intent is not None:
            counts[INTENTS.index(gold.intent), INTENTS.index(row.intent)] += 1
    return counts


def weakest(golds: Sequence[Gold], rows: Sequence[Row], shown: int = 6) -> str:
    """The intents with the lowest F1, with what they were taken for."""
    pairs = [(gold.intent, row.intent) for gold, row in zip(golds, rows, strict=True) if gold.intent is not None]
    lines = []
    for intent, score in sorted(f1_by_intent(pairs).items(), key=lambda item: item[1])[:shown]:
        wrong = [str(said) for want, said in pairs if want is intent and said is not intent]
        often = sorted(set(wrong), key=wrong.count, reverse=True)[:3]
        lines.append(f"{intent:28} F1 {score:.3f}  taken for {', '.join(often) or 'nothing else'}")
    return "\n".join(lines)
