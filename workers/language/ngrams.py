"""Which intent the letters and words of a message look like: a linear classifier over hashed n-grams.

The rules know what their authors thought of; this knows what thousands of labelled messages look like, misspelt ones
too, in a millisecond and without the language model. `python -m training.ngrams` fits its weights, `ngrams.npz`. Called
by `workers.understanding`, which weighs it against rules and model. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from shared.pieces import hashed_pieces
from shared.prediction import Intent
from workers.language.normalise import normalise
from workers.language.spelling import correct

FILE = Path(__file__).with_name("ngrams.npz")
BUCKETS = 2**16
INTENTS = tuple(Intent)
_SHORTEST, _LONGEST = 2, 5  # characters of a piece
_MAX_CHARS = 600


def features(text: str, state: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the buckets that a message falls into and how much of each.

    Args:
        text: the message as written.
        state: the pending flow, such as "agendar:fecha"; part of what is looked at, because "el jueves" needs it.
    """
    words = correct(normalise(text))[:_MAX_CHARS].split()
    others = (f"state:{state}", f"length:{min(len(words), 12) // 2}")
    return hashed_pieces(words, shortest=_SHORTEST, longest=_LONGEST, buckets=BUCKETS, others=others)


def chances(text: str, state: str | None) -> Mapping[Intent, float]:
    """Return the calibrated probability of each intent."""
    weights, scales, bias, rarity = _weights()
    buckets, values = features(text, state)
    values = values * rarity[buckets]
    values /= max(float(np.linalg.norm(values)), 1e-9)
    scores = (weights[:, buckets].astype(np.float32) @ values) * scales + bias
    powers = np.exp(scores - scores.max())
    return dict(zip(INTENTS, (powers / powers.sum()).tolist(), strict=True))


@cache
def _weights() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(22, BUCKETS) int8 weights, (22,) scales, (22,) bias, (BUCKETS,) inverse document frequency."""
    with np.load(FILE, allow_pickle=False) as file:
        return file["weights"], file["scales"], file["bias"], file["rarity"].astype(np.float32)
