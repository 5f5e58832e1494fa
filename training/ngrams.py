"""Fits the n-gram classifier of `workers.language.ngrams`: `python -m training.ngrams`, a minute or two on one core.

Reads the same families as the language model, with the same noise, and is calibrated on the validation split.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from tqdm import tqdm

from shared.prediction import Intent
from training import context, noise
from training.calibrate import loss
from training.families import Family, families
from training.phrases import Piece, expand
from workers.language.ngrams import BUCKETS, FILE, INTENTS, features

DRAWS_OF_A_TEMPLATE, DRAWS_OF_A_VOICE = 6, 2  # the first of a voice as written, the second with more noise
NOISE = 0.12
STRENGTH = 30.0  # inverse of the regularisation

Labelled = list[tuple[str, str | None, Intent]]


def messages(members: Iterable[Family], rng: random.Random) -> Labelled:
    """Draw (text, state, intent) from families."""
    found: Labelled = []
    for family in members:
        for draw in range(DRAWS_OF_A_VOICE if family.voice else DRAWS_OF_A_TEMPLATE):
            phrase = expand(family.line, rng)
            pieces = tuple(Piece(piece.text.lower(), piece.slot) for piece in phrase.pieces)
            if draw % 2:
                pieces = noise.spoil(pieces, rng, NOISE)
            text = "".join(piece.text for piece in pieces)
            found.append((text, context.draw(family.intent, phrase.slots, rng, family.state).state, family.intent))
    return found


def matrix(labelled: Labelled) -> csr_matrix:
    """(N, BUCKETS) counts, not yet weighted."""
    ends, buckets, values = [0], [], []
    for text, state, _ in tqdm(labelled, desc="messages", mininterval=2):
        where, much = features(text, state)
        buckets.append(where)
        values.append(much)
        ends.append(ends[-1] + len(where))
    data = (np.concatenate(values), np.concatenate(buckets), np.array(ends))
    return csr_matrix(data, shape=(len(labelled), BUCKETS))


def weighted(counts: csr_matrix, rarity: np.ndarray) -> csr_matrix:
    """Multiply with the rarity of each bucket and bring every row to length 1, as `ngrams.chances` does."""
    scaled = counts.multiply(rarity[None, :]).tocsr()
    lengths = np.sqrt(np.asarray(scaled.multiply(scaled).sum(1)).ravel())
    return scaled.multiply(1 / np.maximum(lengths, 1e-9)[:, None]).tocsr()


def main() -> None:
    rng = random.Random(2026)
    train = messages(families()["train"], rng)
    held_out = messages(families()["val"], rng)
    counts = matrix(train)
    seen = np.asarray((counts > 0).sum(0)).ravel()
    rarity = np.log((1 + len(train)) / (1 + seen)) + 1
    model: Any = LogisticRegression(C=STRENGTH, max_iter=200, class_weight="balanced", tol=1e-3)
    order = [INTENTS.index(intent) for _, _, intent in train]
    model.fit(weighted(counts, rarity), order)
    scores = model.decision_function(weighted(matrix(held_out), rarity))  # (N, 22)
    right = np.array([INTENTS.index(intent) for _, _, intent in held_out])
    temperature = min(np.geomspace(0.3, 3.0, 61), key=lambda t: loss(scores / t, right))
    weights, bias = model.coef_ / temperature, model.intercept_ / temperature
    scales = np.abs(weights).max(1) / 127  # (22,)
    np.savez_compressed(
        FILE,
        weights=np.round(weights / scales[:, None]).astype(np.int8),
        scales=scales.astype(np.float32),
        bias=bias.astype(np.float32),
        rarity=rarity.astype(np.float16),
    )
    accuracy = float((scores.argmax(-1) == right).mean())
    size_kb = FILE.stat().st_size // 1024
    print(f"{FILE.name}: {len(train)} messages, held-out accuracy {accuracy:.3f}, {size_kb} KB")


if __name__ == "__main__":
    main()
