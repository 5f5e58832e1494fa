"""Spanish text as it sounds: one spelling for "sangre", "Sángreee" and "zangre", so that cues need no variants.

Called by the danger rules on the rule file when it is loaded and on each message. Pure and linear in time.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

# Order matters: each step reads what the one before it wrote. Capitals hold a finished sound out of later steps' reach.
_SOUNDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        (r"(?<!l)l{2,}(?=[aeiou])", "y"),  # amarillo, amariyo
        (r"([a-z])\1+", r"\1"),  # elongations, and rr and ee with them
        (r"ch", "C"),
        (r"[hg]u(?=a)", "w"),  # huahua, guagua, wawa
        (r"h", ""),
        (r"gu(?=[ei])", "G"),
        (r"g(?=[ei])", "j"),
        (r"G", "g"),
        (r"qu(?=[ei])|q", "k"),
        (r"c(?=[ei])|[zx]", "s"),
        (r"c", "k"),
        (r"v", "b"),
        (r"y", "i"),
        (r"n(?=[bp])", "m"),  # combulsion, enpastillo
        (r"([a-zC])\1+", r"\1"),  # what became a pair on the way
    )
)

_INNER_POINT = re.compile(r"(?<=\w)[.:](?=\w)")  # "no.puedo.respirar", "39.5": ends nothing
_PIECE = re.compile(r"[^\W_]+|\.{2,}|[.!?;:,¿¡()…\n]")
_HARD = frozenset(".!?¿¡")


@dataclass(frozen=True, slots=True)
class Word:
    """One folded word and the punctuation before it: "" none, "," the clause ends, "." the sentence ends.

    `after` is the first mark behind the word, "" when another word follows; "$" at the end of the message.
    """

    text: str
    before: str = ""
    after: str = ""


def fold(text: str) -> str:
    """Rewrite text as it sounds: lower case, no accents, no h, one letter for b/v, s/c/z, ll/y, no doubled letters."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = "".join(c for c in decomposed if unicodedata.category(c) not in ("Mn", "Cf"))
    for pattern, sound in _SOUNDS:
        kept = pattern.sub(sound, kept)
    return kept


def split_words(folded: str) -> list[Word]:
    """Cut folded text into words that know where clauses and sentences end; an ellipsis ends no sentence."""
    words: list[Word] = []
    text, before, mark = "", ".", ""
    for piece in _PIECE.findall(_INNER_POINT.sub(" ", folded)):
        if piece[0].isalnum():
            if text:
                words.append(Word(text, before, mark))
                before = "" if not mark else "." if mark in _HARD else ","
            text, mark = piece, ""
        elif mark not in _HARD:
            mark = "," if len(piece) > 1 or piece in "…()" else piece
    if text:
        words.append(Word(text, before, mark or "$"))
    return words
