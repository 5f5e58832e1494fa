"""Where a danger word means no danger now: negated, past, supposed, hearsay, asked in general, a figure of speech.

Pure. A scope covers words, never the whole message, so "ya no vomito pero me ahogo" stays an alarm. Used by `danger`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from workers.safety.cues import Cue, Reading

_LONGEST_QUESTION = 3  # words; "toso sangre, es normal? no, no creo" answers something else
_LONGEST = 40  # words; keeps a text without punctuation linear, and a stray marker from silencing a page


class Reach(StrEnum):
    """How far a marker is heard."""

    WORDS = "words"  # `words` more words of its clause
    BACK = "back"  # `words` words before it, in its clause
    CLAUSE = "clause"  # on to the end of its clause
    SENTENCE = "sentence"  # the whole sentence, on both sides, up to a cut
    ITSELF = "itself"  # only the marker: "me muero de risa"
    QUESTION = "question"  # the short question before it, which the patient answers: "sangre? no"
    MESSAGE = "message"  # everything: "solo es por saber"
    LAST = "last"  # only the marker's last word: the blood in "analisis de sangre", the colour in "pastillas rojas"


@dataclass(frozen=True, slots=True)
class Context:
    """One way of not meaning danger, compiled from the rule file.

    Attributes:
        cuts: rule words at which it stops being heard: pero, ahora, me.
        linked: rule words after which a cut does not count: "no he notado que *me* falte".
        not_after: rule words before the marker that make it void: "como si tuviera una piedra".
        unless: rule words inside the scope that make it void: "hace 2 años" with "toso".
        negates: it is a plain "no": a cue with a "no" of its own is not silenced by a second one
            ("no puede hablar ni respirar").
        unless_message: cues anywhere in the message that make it void: a call for help.
    """

    name: str
    markers: tuple[Cue, ...]
    reach: Reach
    words: int = 5
    cuts: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    not_after: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    negates: bool = False
    unless_message: tuple[Cue, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """A stretch of the message, first and last word included, and the negating words that opened it."""

    first: int
    last: int
    opened_by: frozenset[int]
    negates: bool = False


@dataclass(slots=True)
class Scopes:
    """All scopes of one message, by word."""

    by_word: list[list[Scope]] = field(default_factory=list)
    negators: frozenset[int] = frozenset()

    def silence(self, positions: Sequence[int]) -> bool:
        """Tell whether a match means no danger: a word of it lies in a scope that the match does not itself open.

        "no puedo respirar" opens its own "no"; "no tengo sangre al toser" is silenced by it.
        """
        own = set(positions)
        denies = not own.isdisjoint(self.negators)
        return any(
            own.isdisjoint(scope.opened_by) and not (denies and scope.negates)
            for at in positions
            for scope in self.by_word[at]
        )


def find_scopes(
    message: Sequence[Reading], possible: set[int], contexts: Iterable[Context], negators: frozenset[str]
) -> Scopes:
    """Mark every stretch of the message that does not speak of a present danger.

    Args:
        message: the words with their readings.
        possible: ids of the cues that can match (`CueIndex.possible`).
        contexts: the ways of not meaning danger.
        negators: rule words that a cue may use itself: "no puedo respirar".
    """
    denials = frozenset(at for at, (_, meanings) in enumerate(message) if not negators.isdisjoint(meanings))
    scopes = Scopes([[] for _ in message], denials)
    for context in contexts:
        if any(id(cue) in possible and any(cue.matches(message)) for cue in context.unless_message):
            continue
        for marker in context.markers:
            if id(marker) not in possible:
                continue
            for positions in marker.matches(message):
                own = set(positions)
                if positions[0] > 0 and not context.not_after.isdisjoint(message[positions[0] - 1][1]):
                    continue
                opened_by = denials & own
                if context.reach in (Reach.ITSELF, Reach.LAST):  # a figure of speech is never part of a sign
                    opened_by = frozenset()
                scope = Scope(*_stretch(context, positions, message), opened_by, context.negates)
                inside = (at for at in range(scope.first, scope.last + 1) if at not in own)
                if any(not context.unless.isdisjoint(message[at][1]) for at in inside):
                    continue
                for at in own if context.reach is Reach.ITSELF else range(scope.first, scope.last + 1):
                    scopes.by_word[at].append(scope)
    return scopes


def _stretch(context: Context, positions: tuple[int, ...], message: Sequence[Reading]) -> tuple[int, int]:
    start, end = min(positions), max(positions)
    match context.reach:
        case Reach.ITSELF:
            return start, end
        case Reach.LAST:
            return end, end
        case Reach.MESSAGE:
            return 0, len(message) - 1
        case Reach.QUESTION:
            return _question_before(start, message), start - 1
        case Reach.BACK:
            return _backward(context, start, context.words, message, (",", ".")), end
        case Reach.WORDS:
            return start, _forward(context, end, context.words, message, (",", "."))
        case Reach.CLAUSE:
            return start, _forward(context, end, _LONGEST, message, (",", "."))
        case Reach.SENTENCE:
            first = _backward(context, start, _LONGEST, message, (".",))
            return first, _forward(context, end, _LONGEST, message, (".",))


def _question_before(start: int, message: Sequence[Reading]) -> int:
    """Return where the short question begins that ends just before `start`; `start` when there is none: no scope."""
    if start == 0 or message[start][0].before != "." or message[start - 1][0].after != "?":
        return start
    first = start - 1
    while first > 0 and message[first][0].before != ".":
        first -= 1
    return first if start - first <= _LONGEST_QUESTION else start


def _forward(context: Context, end: int, words: int, message: Sequence[Reading], stops: tuple[str, ...]) -> int:
    last = end
    for at in range(end + 1, min(end + 1 + words, len(message))):
        if message[at][0].before in stops or _cuts(context, at, message):
            break
        last = at
    return last


def _backward(context: Context, start: int, words: int, message: Sequence[Reading], stops: tuple[str, ...]) -> int:
    first = start
    while first > 0 and start - first < words:
        if message[first][0].before in stops or _cuts(context, first - 1, message):
            break
        first -= 1
    return first


def _cuts(context: Context, at: int, message: Sequence[Reading]) -> bool:
    if context.cuts.isdisjoint(message[at][1]):
        return False
    return at == 0 or context.linked.isdisjoint(message[at - 1][1])
