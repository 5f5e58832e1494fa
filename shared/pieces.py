"""Words cut into hashed pieces: what both linear classifiers look at. Called by `card_index` and the workers' `ngrams`.

Pieces catch misspelt words, whole words and pairs what is meant. Pure.
"""

from __future__ import annotations

import itertools
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np


def hashed_pieces(
    words: Sequence[str], *, shortest: int, longest: int, buckets: int, others: Iterable[str] = ()
) -> tuple[np.ndarray, np.ndarray]:
    """Return the buckets that words fall into and how much of each: 1 + log(count).

    Args:
        words: normalised; each stands between two spaces, and no piece crosses them.
        shortest, longest: characters of a piece.
        buckets: how many there are; a piece's hash modulo this is its bucket.
        others: further features, such as "state:agendar:fecha".
    """
    counts: Counter[int] = Counter()

    def add(piece: str) -> None:
        counts[zlib.crc32(piece.encode()) % buckets] += 1

    for word in words:
        padded = f" {word} "
        for length in range(shortest, longest + 1):
            for start in range(max(1, len(padded) - length + 1)):
                add(padded[start : start + length])
        add(f"w:{word}")
    for one, two in itertools.pairwise(words):
        add(f"w:{one} {two}")
    for other in others:
        add(other)
    found = np.fromiter(counts, dtype=np.int64, count=len(counts))
    return found, 1 + np.log(np.fromiter(counts.values(), dtype=np.float32, count=len(counts)))
