"""Patients' shortcuts and slips, put on the pieces of a message so that labelled spans change with it."""

from __future__ import annotations

import random
import re

from training.phrases import Piece, load

_WORD = re.compile(r"[a-zñ]+")
_SWAPS = (("v", "b"), ("b", "v"), ("z", "s"), ("c", "s"), ("s", "c"), ("ll", "y"), ("y", "ll"), ("h", ""), ("qu", "k"))
_KEYBOARD = "qwertyuiopasdfghjklñzxcvbnm"
SLOT_SHARE = 0.35  # labelled words are spoilt less often than the others


def spoil(pieces: tuple[Piece, ...], rng: random.Random, strength: float) -> tuple[Piece, ...]:
    """Shorten and misspell words; `strength` is the chance per word (0 leaves all as it is)."""
    if strength <= 0:
        return pieces
    out = []
    for piece in pieces:
        share = strength if piece.slot is None else strength * SLOT_SHARE
        out.append(piece if piece.slot == "name" else Piece(_spoil_words(piece.text, rng, share), piece.slot))
    return tuple(out)


def _spoil_words(text: str, rng: random.Random, chance: float) -> str:
    short = load("noise")["abbreviations"]
    for phrase in ("por favor",):
        if phrase in text and rng.random() < chance * 2:
            text = text.replace(phrase, rng.choice(short[phrase]))

    def one(match: re.Match[str]) -> str:
        word = match[0]
        if rng.random() >= chance * (2.5 if word in short else 1):
            return word
        if word in short and rng.random() < 0.75:
            return str(rng.choice(short[word]))
        return _slip(word, rng)

    return _WORD.sub(one, text)


def _slip(word: str, rng: random.Random) -> str:
    if len(word) < 4:
        return word
    at = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.25:
        return word[:at] + word[at + 1 :]
    if kind < 0.45:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind < 0.55:
        return word[:at] + word[at] + word[at:]
    if kind < 0.65:
        return word[:at] + rng.choice(_KEYBOARD) + word[at + 1 :]
    fitting = [(old, new) for old, new in _SWAPS if old in word]
    if fitting:
        old, new = rng.choice(fitting)
        return word.replace(old, new, 1)
    return word + word[-1]
