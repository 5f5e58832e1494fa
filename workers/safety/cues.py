"""The small language in which danger cues are written, and its matcher. Used by `danger` and `scopes`.

no puedo|puede respirar       these words in this order, at most two others between neighbours
me ~0 muero                   ~N changes how many words may stand between: none
tos & <sangre> /9             both, in either order, within nine words
<sangre> me? sale             a question mark: may be missing
fiebr* & 39|40                a star: any ending
8+ pastillas                  a number of at least eight
no tengo $                    a dollar: the clause ends here; `bien|$` for "bien" or the end
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from workers.safety.folding import Word, fold

_GAP = 2
_WINDOW = 8
_ELEMENT = re.compile(r"~(?P<gap>\d+)|(?P<number>\d+)\+|(?P<words>[^\s?]+)(?P<optional>\?)?")
_SPANISH_NUMBERS = ("siete", "ocho", "nueve", "diez", "once", "doce", "trece", "catorce", "quince", "dieciseis")
NUMBERS = {fold(word): value for value, word in enumerate(_SPANISH_NUMBERS, start=7)}
NUMBERS |= {fold("veinte"): 20, fold("treinta"): 30, fold("cuarenta"): 40, fold("cincuenta"): 50, fold("cien"): 100}

# A question mark is no end: in "sangre, no?" the patient asks to be believed.
_CLAUSE_ENDS = frozenset({"$", ",", ".", ";", ":", "!"})

_OPEN_END = re.compile(r"(ll|c|g|(?<!c)h|q|gu|qu)\*$")  # "hinch*" sounds the same before any vowel

Reading = tuple[Word, frozenset[str]]  # a word of the message, and the rule words it may stand for


class CueError(ValueError):
    """A cue in the rule file cannot be read."""


@dataclass(frozen=True, slots=True)
class _Step:
    words: frozenset[str] = frozenset()
    at_least: int | None = None
    optional: bool = False
    clause_end: bool = False
    gap: int = _GAP

    def fits(self, reading: Reading) -> bool:
        word, meanings = reading
        if self.at_least is not None:
            value = int(word.text[:6]) if word.text.isdecimal() else NUMBERS.get(word.text, -1)
            return self.at_least <= value <= 999
        return not self.words.isdisjoint(meanings)


@dataclass(frozen=True, slots=True)
class Cue:
    """One compiled cue. `words` lists all rule words it knows, for the lexicon."""

    source: str
    phrases: tuple[tuple[_Step, ...], ...]
    window: int

    @property
    def words(self) -> frozenset[str]:
        return frozenset().union(*(step.words for phrase in self.phrases for step in phrase))

    def possible(self, present: frozenset[str] | set[str]) -> bool:
        """Tell quickly whether every obligatory word occurs somewhere in the message."""
        return all(
            step.optional or step.clause_end or not step.words or not step.words.isdisjoint(present)
            for phrase in self.phrases
            for step in phrase
        )

    def matches(self, message: Sequence[Reading]) -> Iterator[tuple[int, ...]]:
        """Yield the positions of the words that make up each match; linear in the message for a given cue."""
        if len(self.phrases) == 1:
            yield from _phrase_matches(self.phrases[0], message)
            return
        found = [list(_phrase_matches(phrase, message)) for phrase in self.phrases]
        if not all(found):
            return
        first, *others = found
        for anchor in first:
            yield from self._around(anchor, others)

    def _around(self, chosen: tuple[int, ...], others: list[list[tuple[int, ...]]]) -> Iterator[tuple[int, ...]]:
        if not others:
            yield chosen
            return
        nearest = bisect_left(others[0], (chosen[0] - self.window,))  # sorted by their first word
        for candidate in islice(others[0], nearest, None):
            if candidate[0] > chosen[0] + self.window:
                break
            together = chosen + candidate
            if max(together) - min(together) <= self.window and len(set(together)) == len(together):
                yield from self._around(together, others[1:])


class CueIndex:
    """Finds the cues that can match a message at all, without asking each of the hundreds.

    Every cue stands under the words of its most selective obligatory step: one of them must occur.
    """

    def __init__(self, cues: Iterable[Cue]) -> None:
        self._by_word: dict[str, list[Cue]] = {}
        self._always: list[Cue] = []
        for cue in cues:
            steps = [s for phrase in cue.phrases for s in phrase if s.words and not (s.optional or s.clause_end)]
            if not steps:
                self._always.append(cue)
                continue
            for word in min(steps, key=lambda step: len(step.words)).words:
                self._by_word.setdefault(word, []).append(cue)

    def possible(self, present: Iterable[str]) -> set[int]:
        """Return the `id` of every cue whose obligatory words all occur among the message's rule words."""
        words = set(present)
        found = {id(cue): cue for word in words for cue in self._by_word.get(word, ())}
        return {key for key, cue in found.items() if cue.possible(words)} | {id(cue) for cue in self._always}


def _phrase_matches(phrase: tuple[_Step, ...], message: Sequence[Reading]) -> Iterator[tuple[int, ...]]:
    for start in range(len(message)):
        if phrase[0].fits(message[start]):
            yield from _continue(phrase, 1, message, (start,))


def _continue(
    phrase: tuple[_Step, ...], step_at: int, message: Sequence[Reading], taken: tuple[int, ...]
) -> Iterator[tuple[int, ...]]:
    if step_at == len(phrase):
        yield taken
        return
    step, last = phrase[step_at], taken[-1]
    if step.clause_end and message[last][0].after in _CLAUSE_ENDS:
        yield from _continue(phrase, step_at + 1, message, taken)
    for position in range(last + 1, min(last + 2 + step.gap, len(message))):
        if message[position][0].before == ".":
            break  # a phrase never crosses the end of a sentence: "¿Fiebre? No. Puedo respirar."
        if step.fits(message[position]):
            yield from _continue(phrase, step_at + 1, message, (*taken, position))
    if step.optional:
        yield from _continue(phrase, step_at + 1, message, taken)


def compile_cue(source: str, groups: Mapping[str, frozenset[str]]) -> Cue:
    """Read a cue as written in the rule file.

    Args:
        source: the cue, in plain Spanish spelling.
        groups: named lists of folded words, for `<name>`.

    Raises:
        CueError: naming the cue and what cannot be read in it.
    """
    body, _, tail = source.partition(" /")
    if tail and not tail.strip().isdecimal():
        raise CueError(f"{source!r}: '/' must be followed by a number of words")
    phrases = tuple(_compile_phrase(part, source, groups) for part in body.split("&"))
    return Cue(source, phrases, int(tail) if tail else _WINDOW)


def _compile_phrase(text: str, source: str, groups: Mapping[str, frozenset[str]]) -> tuple[_Step, ...]:
    steps: list[_Step] = []
    gap = _GAP
    for match in _ELEMENT.finditer(text):
        if match["gap"]:
            gap = int(match["gap"])
            continue
        if match["number"]:
            step = _Step(at_least=int(match["number"]), gap=gap)
        else:
            parts = match["words"].split("|")
            listed = "|".join(part for part in parts if part != "$")
            words = alternatives(listed, source, groups) if listed else frozenset()
            step = _Step(words, optional=bool(match["optional"]), clause_end="$" in parts, gap=gap)
        steps.append(step)
        gap = _GAP
    if not steps or steps[0].optional or steps[0].clause_end:
        raise CueError(f"{source!r}: a phrase must begin with a word that is always there")
    return tuple(steps)


def alternatives(text: str, source: str, groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Fold `a|b|<group>|stem*` into a set of rule words."""
    words: set[str] = set()
    for part in text.split("|"):
        if part.startswith("<") and part.endswith(">"):
            if part[1:-1] not in groups:
                raise CueError(f"{source!r}: there is no group {part}")
            words |= groups[part[1:-1]]
            continue
        if not re.fullmatch(r"[^\W_]+\*?", part):
            raise CueError(f"{source!r}: cannot read {part!r}")
        if _OPEN_END.search(part):
            raise CueError(f"{source!r}: {part!r} may sound different with its ending; write the whole words")
        for spelling in {part, part.replace("ll", "l")}:  # "amarilo" and "amairllo" are near the second
            words.add(fold(spelling.removesuffix("*")) + ("*" if part.endswith("*") else ""))
    return frozenset(words)
