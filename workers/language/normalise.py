"""Patients' spelling made uniform: lower case, no accents, no emojis, chat abbreviations written out.

Called by every rule in `workers` (language and safety) before matching. Pure; survives any unicode and any length.
The result is words separated by single spaces; the marks `.` `,` `?` `-` stand as words of their own, so that rules
can see where a clause ends. Numbers keep their inner marks ("10:30"); digits and letters are parted ("3pm" -> "3 pm").
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

from workers.language.abbreviations import K_WORDS, MONTHS, WEEKDAYS, WORDS

MAX_CHARS = 8000  # WhatsApp's own limit is 4096; a longer text keeps its beginning and its end
_TAIL_CHARS = 2000

# Invisible characters people (or attackers) leave inside words, and combining accents.
_INSIDE = "\u00ad\u0300-\u036f\u200b-\u200f\u2060\ufe0e\ufe0f\ufeff"
_TOKEN = re.compile(
    r"(?P<url>(?:https?://|www\.)[^\s<>]+)"
    r"|(?P<meridiem>(?<![^\W\d_])[aApP]\s?\.\s?[mM]\b\.?)"
    r"|(?P<number>\d+(?:[.:,/\-]\d+)*)"
    rf"|(?P<word>[^\W\d_](?:[^\W\d_]|[{_INSIDE}])*)"
    r"|(?P<mark>[.,;:!?…()\n\-–—%])"
)
_MARKS = {
    ".": ".",
    ";": ".",
    "!": ".",
    "…": ".",
    "\n": ".",
    ",": ",",
    ":": ",",
    "(": ",",
    ")": ",",
    "?": "?",
    "-": "-",
    "–": "-",
    "—": "-",
}
_ORDINALS = {"ro", "er", "ero", "o", "°", "º"}

# Three or more equal letters are emphasis; two stay where Spanish writes them (ll, rr, cc, leer, creer, coordinar).
_TRIPLED = re.compile(r"([^\W\d_])\1{2,}")
_DOUBLED = re.compile(
    r"([abdfghijkmnqstuvwxyz])\1|(?<!\bl)(?<!\bcr)(?<!\br)(e)e|(?<!\bc)(?<!\bz)(o)o|\b(r)r|(r)r\b|(l)l\b|\b(c)c(?=\w)"
)


class Token(NamedTuple):
    """One normalised word and the place in the original text that it came from."""

    text: str
    start: int
    end: int


def normalise(text: str) -> str:
    """Return the text as normalised words joined by single spaces.

    "Dra xfa kiero ficha pa mñn 3pm!!" becomes "doctora por favor quiero ficha para manana 3 pm .".
    Text beyond MAX_CHARS keeps its first 6,000 and last 2,000 characters.
    """
    return " ".join(token.text for token in tokenise(text))


def words(text: str) -> list[str]:
    """Return the normalised words without punctuation marks."""
    return [word for token in tokenise(text) if token.text not in _MARKS for word in token.text.split()]


def tokenise(text: str) -> list[Token]:
    """Return the normalised tokens with their offsets in `text`. One token may hold several words ("por favor")."""
    if len(text) <= MAX_CHARS:
        return _tokens(text, 0, len(text))
    return [*_tokens(text, 0, MAX_CHARS - _TAIL_CHARS), *_tokens(text, len(text) - _TAIL_CHARS, len(text))]


def _tokens(text: str, begin: int, end: int) -> list[Token]:
    found: list[Token] = []
    for match in _TOKEN.finditer(text, begin, end):
        kind, raw = match.lastgroup, match.group()
        previous = found[-1].text if found else ""
        if kind == "mark":
            word = _mark(raw, previous, text, match.start(), match.end())
        elif kind == "number":
            word = _digits(raw)
        elif kind == "url":
            word = "enlace"
        elif kind == "meridiem":
            word = raw[0].lower() + "m"
        else:
            word = _in_context(_word(raw), previous, bool(found) and found[-1].end == match.start())
            if word == "primero" and previous == "1":
                found[-1] = Token("primero", found[-1].start, match.end())
                continue
        if word:
            found.append(Token(word, match.start(), match.end()))
    return found


def _mark(raw: str, previous: str, text: str, start: int, end: int) -> str:
    """Say which mark a punctuation character stands for; repeated marks count once, hyphens inside words not at all."""
    if raw == "%":
        return "por ciento"
    mark = _MARKS[raw]
    if mark == "-":
        spaced = text[start - 1 : start].isspace() and text[end : end + 1].isspace()
        return "-" if spaced and previous not in _MARKS else ""
    if mark == "?" and previous in {".", ","}:
        return "?"
    return "" if previous in _MARKS and (mark == previous or mark in {".", ","}) else mark


def _digits(raw: str) -> str:
    if raw.isascii():
        return raw
    return "".join(str(unicodedata.digit(sign)) if sign.isdigit() else sign for sign in raw)


@lru_cache(maxsize=4096)
def _word(raw: str) -> str:
    """Lower case, no accents, no emphasis, abbreviation written out. Depends on nothing but the word."""
    if raw == "½":
        return "y media"
    lowered = raw.lower()
    if lowered.isascii():
        plain = lowered
    else:
        decomposed = unicodedata.normalize("NFKD", lowered).lower()
        plain = "".join(sign for sign in decomposed if sign.isalnum())
    if plain in WORDS:
        return WORDS[plain]
    plain = _TRIPLED.sub(_single, plain)
    plain = _DOUBLED.sub(lambda double: next(group for group in double.groups() if group), plain)
    if plain.startswith("k") and not plain.startswith(K_WORDS):
        plain = ("qu" if plain[1:2] in {"e", "i"} else "c") + plain[1:]
    plain = WEEKDAYS.get(plain, plain)
    return WORDS.get(plain, plain)


def _single(emphasis: re.Match[str]) -> str:
    letter = emphasis.group(1)
    inside = emphasis.start() > 0 and emphasis.end() < len(emphasis.string)
    return letter * 2 if letter in "rl" and inside else letter


def _in_context(word: str, previous: str, glued: bool) -> str:
    """Write out what only the word before can decide: "15 h", "2 dic", "el mar", "1 ro", "mi pa"."""
    after_number = previous[:1].isdigit()
    if after_number and word == "h":
        return "horas"
    if after_number and word in _ORDINALS and (glued or word != "o"):
        return "primero" if previous == "1" else ""
    if (after_number or previous == "de") and word in MONTHS:
        return MONTHS[word]
    if word == "mar" and previous in {"el", "este", "proximo", "del", "al"}:
        return "martes"
    if word == "para" and previous in {"mi", "su", "tu"}:
        return "papa"
    return word
