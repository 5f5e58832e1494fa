"""Keys and values of prompts read before, for prompts that begin like them. Called by `engine`; knows token ids only.

Every prompt begins with the same rules, and a conversation's next one with most of the last. What is kept is bounded
in bytes and in time, and used for equal tokens only; nothing of it leaves the process.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from workers.model.backend import BLOCK, Prefix

KEPT_S = 3600.0  # as long as a conversation is remembered


class Prefixes:
    """The prompts used last, by their ids. For one thread."""

    def __init__(self, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._clock = most_bytes, clock
        self._kept: OrderedDict[tuple[int, ...], tuple[Prefix, float]] = OrderedDict()  # used last stands last
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, ids: Sequence[int]) -> tuple[Prefix, int] | None:
        """Return the prefix with most tokens in common and how many of them help, a multiple of BLOCK.

        At least one token of the prompt is left to be computed: its logits are wanted.
        """
        self._forget_old()
        best, length = None, BLOCK - 1
        for key in self._kept:
            common = _common(key, ids, min(len(key), len(ids) - 1))
            if common > length:
                best, length = key, common
        if best is None:
            return None
        self._kept.move_to_end(best)
        return self._kept[best][0], length - length % BLOCK

    def wants(self, ids: Sequence[int], token_bytes: int) -> int:
        """Return how many of a prompt's first tokens to keep: as many as fit, 0 when they are kept already."""
        most = min(len(ids), self._most_bytes // token_bytes) if token_bytes else 0
        length = most - most % BLOCK
        start = tuple(ids[:length])
        return 0 if any(key[:length] == start for key in self._kept) else length

    def keep(self, ids: Sequence[int], prefix: Prefix) -> None:
        """Keep a prefix of `ids`, dropping what it continues, and the oldest ones until all fits."""
        key = tuple(ids[: prefix.length])
        for shorter in [one for one in self._kept if one == key[: len(one)]]:
            self._drop(shorter)
        self._kept[key] = (prefix, self._clock())
        self.bytes += prefix.bytes
        while self.bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def _forget_old(self) -> None:
        until = self._clock() - KEPT_S
        for key in [key for key, (_, at) in self._kept.items() if at < until]:
            self._drop(key)

    def _drop(self, key: tuple[int, ...]) -> None:
        self.bytes -= self._kept.pop(key)[0].bytes


def _common(left: Sequence[int], right: Sequence[int], most: int) -> int:
    """How many of the first `most` tokens are equal, to whole blocks."""
    for start in range(0, most, BLOCK):
        if list(left[start : start + BLOCK]) != list(right[start : start + BLOCK]):
            return start
    return most - most % BLOCK
