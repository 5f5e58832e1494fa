"""Which knowledge card a question looks like: a linear classifier over hashed pieces of words, beside the `ask` words.

`python -m training.cards` fits its weights, `assets/cards.npz`, to the labelled training lines. Called by `knowledge`.
Pure; imported where cards are looked for, so numpy is never loaded by the webhook.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shared.pieces import hashed_pieces
from shared.prediction import INFORMATION_INTENTS, Intent

FILE = Path(__file__).resolve().parent / "assets" / "cards.npz"
BUCKETS = 2**15
INTENTS = tuple(intent for intent in Intent if intent in INFORMATION_INTENTS)
INTENT_VALUE = 0.5  # of the intent's own feature, beside the words of length 1 together
_FAMILY_NAME = 0.5  # share of it for CONSULTAR_INFO, which may also stand for any information intent
_SHORTEST, _LONGEST = 3, 5  # characters of a piece
_MAX_WORDS = 120


class Fitted(NamedTuple):
    """(T, BUCKETS) int8 weights, (T,) scales and bias, (8, T) weights of the intents, (BUCKETS,) rarity."""

    topics: tuple[str, ...]
    weights: np.ndarray
    scales: np.ndarray
    bias: np.ndarray
    intents: np.ndarray
    rarity: np.ndarray


def features(normalised: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the buckets that a normalised question falls into and how much of each."""
    words = [word for word in normalised.split() if word.isalnum()][:_MAX_WORDS]
    return hashed_pieces(words, shortest=_SHORTEST, longest=_LONGEST, buckets=BUCKETS)


def scores(normalised: str, intent: Intent | None) -> Mapping[str, float]:
    """Return a score per topic: above 0 where the question looks like those of the topic, -1 where it does not.

    Args:
        normalised: the question, as `workers.language.normalise` writes it.
        intent: what it was understood as, or None: some topics are asked for under one intent more than others.
    """
    fitted = _fitted()
    buckets, values = features(normalised)
    values = values * fitted.rarity[buckets]
    values /= max(float(np.linalg.norm(values)), 1e-9)
    found = (fitted.weights[:, buckets].astype(np.float32) @ values) * fitted.scales + fitted.bias
    if intent in INTENTS:
        share = _FAMILY_NAME if intent is Intent.CONSULTAR_INFO else 1.0
        found += share * INTENT_VALUE * fitted.intents[INTENTS.index(intent)]
    return dict(zip(fitted.topics, found.tolist(), strict=True))


@cache
def _fitted() -> Fitted:
    with np.load(FILE, allow_pickle=False) as file:
        return Fitted(
            tuple(file["topics"].tolist()),
            file["weights"],
            file["scales"],
            file["bias"],
            file["intents"],
            file["rarity"].astype(np.float32),
        )
