"""Which known words a written word may be: as it sounds, with a typo, or stuck to its neighbours.

Built once from the words of the danger rules; asked for every word of every message. A lookup costs the length of
the word, never the size of the vocabulary.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache

from rapidfuzz.distance import OSA

_TYPO_LENGTH = 5  # shorter words have too many real neighbours: pecho, techo, hecho
_TWO_TYPOS_LENGTH = 10
_JOINED_LENGTH = 6
_LONGEST_PART = 18
_ENDING = 4  # letters a stem may grow by inside such a run
_LONGEST_JOINED = 400  # letters without a space; beyond that it is no sentence
_REMEMBERED = 8192  # words; patients repeat themselves and each other


class Lexicon:
    """The vocabulary of the rules, in folded spelling.

    Args:
        words: whole words.
        stems: beginnings of words, written with a star in the rule file.
        fillers: little words that may stand in a run without spaces, and are no sign by themselves.
        real_words: correct Spanish words that must not be read as a typo of a rule's word.
        mended: the words and stems (without star) for which a typo is forgiven; a word that silences an alarm is not.
    """

    def __init__(
        self,
        words: Iterable[str],
        stems: Iterable[str],
        mended: Iterable[str],
        fillers: Iterable[str] = (),
        real_words: Iterable[str] = (),
    ) -> None:
        self._words = frozenset(words)
        self._stems = frozenset(stems)
        self._stem_lengths = tuple(sorted({len(stem) for stem in self._stems}))
        self._parts = self._words | frozenset(fillers)
        self._real = frozenset(real_words) | self._parts
        self._neighbours: dict[str, set[str]] = defaultdict(set)
        forgiven = frozenset(mended)
        for word in self._words & forgiven:
            if len(word) >= _TYPO_LENGTH:
                self._neighbours[word].add(word)
                for shorter in _without_one_letter(word):
                    self._neighbours[shorter].add(word)
        self._mended_short = frozenset(word for word in self._words & forgiven if len(word) == _TYPO_LENGTH - 1)
        self._mended_stems: dict[str, list[str]] = defaultdict(list)
        for stem in self._stems & forgiven:
            if len(stem) > _TYPO_LENGTH:
                self._mended_stems[stem[0]].append(stem)
        self._long: dict[str, list[str]] = defaultdict(list)
        for word in (self._words | self._stems) & forgiven:
            if len(word) >= _TWO_TYPOS_LENGTH - 1:
                self._long[word[0]].append(word)

        self.read = lru_cache(_REMEMBERED)(self._read)
        self.unstick = lru_cache(_REMEMBERED)(self._unstick)

    def _read(self, written: str) -> frozenset[str]:
        """Name the rule words and stems (with their star) that this folded word may stand for."""
        found = {written} if written in self._words else set()
        for length in self._stem_lengths:
            if length > len(written):
                break
            if written[:length] in self._stems:
                found.add(written[:length] + "*")
        if written in self._real or len(written) < _TYPO_LENGTH - 1 or not written.isalpha():
            return frozenset(found)
        return frozenset(found.union(self._typos(written)))

    def _typos(self, written: str) -> Iterator[str]:
        close = set(self._neighbours.get(written, ()))
        for shorter in _without_one_letter(written):
            close |= self._neighbours.get(shorter, set())
        for word in close:
            if _begins_alike(word, written) and OSA.distance(word, written, score_cutoff=1) <= 1:
                yield word
        if len(written) == _TYPO_LENGTH - 1:  # in short words only swapped neighbours: toem, snage
            yield from (swapped for swapped in _with_swapped_letters(written) if swapped in self._mended_short)
        for stem in self._mended_stems.get(written[0], ()):
            if min(OSA.distance(stem, written[: len(stem) + extra], score_cutoff=1) for extra in (-1, 0, 1)) <= 1:
                yield stem + "*"
        if not close and _TWO_TYPOS_LENGTH <= len(written) <= 2 * _LONGEST_PART:
            for word in self._long.get(written[0], ()):
                if word in self._words and OSA.distance(word, written, score_cutoff=2) <= 2:
                    yield word
                elif word in self._stems and OSA.distance(word, written[: len(word)], score_cutoff=1) <= 1:
                    yield word + "*"

    def _unstick(self, written: str) -> list[str] | None:
        """Cut a run without spaces into known words, the fewest possible: `nopuedorespirar`.

        Returns None when it is a word itself, cannot be cut without a rest, or holds no rule word of four letters.
        """
        if not _JOINED_LENGTH <= len(written) <= _LONGEST_JOINED or written in self._real:
            return None
        meanings = self.read(written)
        if any(len(meaning) > _JOINED_LENGTH and meaning.endswith("*") for meaning in meanings):
            return None  # a long stem is a word in itself: confundida is not confundi and da
        with_stems = not meanings  # "sangreal" begins with a short stem, and so would every wrong cut
        best: list[tuple[int, int] | None] = [(0, 0)] + [None] * len(written)  # (parts so far, start of the last one)
        for end in range(1, len(written) + 1):
            for start in range(max(0, end - _LONGEST_PART), end):
                before = best[start]
                if before is None or not self._is_part(written[start:end], with_stems):
                    continue
                here = best[end]
                if here is None or before[0] + 1 < here[0]:
                    best[end] = (before[0] + 1, start)
        parts: list[str] = []
        end = len(written)
        while end > 0:
            step = best[end]
            if step is None:
                return None
            parts.insert(0, written[step[1] : end])
            end = step[1]
        has_sign = any(len(part) >= 4 and self.read(part) for part in parts)
        return parts if len(parts) > 1 and has_sign else None

    def glue(self, first: str, second: str) -> str | None:
        """Join two pieces that make one rule word only together: `san gre`, `respi rar`."""
        whole = first + second
        if len(whole) >= _JOINED_LENGTH and whole in self._words and not (first in self._real and second in self._real):
            return whole
        return None

    def _is_part(self, piece: str, with_stems: bool) -> bool:
        if piece in self._parts:
            return len(piece) > 1 or piece in "aiue"
        return with_stems and any(
            piece[:n] in self._stems for n in self._stem_lengths if 4 <= n < len(piece) <= n + _ENDING
        )


def _without_one_letter(word: str) -> Iterator[str]:
    for i in range(len(word)):
        yield word[:i] + word[i + 1 :]


def _begins_alike(word: str, written: str) -> bool:
    """Tell whether the typo may be at the beginning: swapped, lost, or taken from the word before ("quier ovivir")."""
    return (
        word[0] == written[0]
        or word[:2] == written[1::-1]
        or len(word) > _TYPO_LENGTH + 1
        or written[1:] == word
        or (written == word[1:] and len(word) > _TYPO_LENGTH)
    )


def _with_swapped_letters(written: str) -> Iterator[str]:
    for i in range(len(written) - 1):
        yield written[:i] + written[i + 1] + written[i] + written[i + 2 :]
