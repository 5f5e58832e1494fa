"""Number words as digits, and the line that dates and clocks are looked for in. Used by `clocks` and `dates`."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from rapidfuzz.distance import OSA

from workers.language.abbreviations import MONTHS, WEEKDAYS
from workers.language.normalise import Token, tokenise
from workers.language.word_lists import word_set

WEEKDAY_NAMES = ("lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo")
MONTH_NAMES = (
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
)

# From two to thirty; "uno" and "una" are numbers only in some places.
_COUNTING = """
dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis diecisiete dieciocho
diecinueve veinte veintiuno veintidos veintitres veinticuatro veinticinco veintiseis veintisiete veintiocho
veintinueve treinta
"""
_MISSPELT = {
    "sinco": 5,
    "cinko": 5,
    "seys": 6,
    "ciete": 7,
    "nuebe": 9,
    "dies": 10,
    "onse": 11,
    "onze": 11,
    "dose": 12,
    "trese": 13,
    "catorse": 14,
    "quinse": 15,
    "beinte": 20,
    "veintiun": 21,
    "trenta": 30,
}
_NUMBERS = {
    **{word: value for value, word in enumerate(_COUNTING.split(), start=2)},
    **_MISSPELT,
    "cuarenta": 40,
    "cincuenta": 50,
}
_TENS = {20, 30, 40, 50}
# "una" is one o'clock only here; everywhere else it is an article.
_BEFORE_ONE = {"la", "las", "tipo", "el", "dia", "del", "al", "y", "horas"}

# Words one letter away from a day or a month that are words of their own.
_NOT_CALENDAR = word_set(
    """
    mates partes cartas martas mares vienes viene sabados domingos nueves juegos luces lunas luna salado sanado
    usado lavado dominga mayor mayores junta junto julia marco marca abra abrir abrio enera marte lineas sabida
    llueve llueves tardes martin lunar
    """
)


MAX_TOKENS = 300  # nobody states a date after 1,500 characters; bounds the work on hostile texts


class Line(NamedTuple):
    """A normalised text in which number words are digits and days and months are spelt correctly.

    `starts` are the offsets of its tokens in `text`; `tokens` know where each came from in what the patient wrote.
    """

    text: str
    tokens: list[Token]
    starts: list[int]
    source: str

    def original(self, start: int, end: int) -> str:
        """Return what the patient wrote for the piece `start:end` of `text`."""
        first = self.tokens[bisect_right(self.starts, start) - 1]
        last = self.tokens[bisect_right(self.starts, max(start, end - 1)) - 1]
        return self.source[first.start : last.end]


def read_line(text: str) -> Line:
    """Prepare a patient's text for finding clocks and dates."""
    tokens = [token._replace(text=_calendar_word(token.text)) for token in _digits(tokenise(text)[:MAX_TOKENS])]
    starts, position = [], 0
    for token in tokens:
        starts.append(position)
        position += len(token.text) + 1
    return Line(" ".join(token.text for token in tokens), tokens, starts, text)


def _digits(tokens: list[Token]) -> list[Token]:
    found: list[Token] = []
    for token in tokens:
        previous = found[-1].text if found else ""
        value = _NUMBERS.get(token.text)
        if token.text in {"un", "uno", "una"} and previous in _BEFORE_ONE:
            value = 1
        if value is None:
            found.append(token)
        elif 0 < value < 10 and previous == "y" and len(found) > 1 and _is_tens(found[-2].text, tokens):
            tens = found[-2]
            found[-2:] = [Token(str(int(tens.text) + value), tens.start, token.end)]  # "treinta y uno"
        else:
            found.append(Token(str(value), token.start, token.end))
    return found


def _is_tens(word: str, tokens: list[Token]) -> bool:
    written_as_word = all(token.text != word for token in tokens)
    return written_as_word and word.isdigit() and int(word) in _TENS


def _calendar_word(word: str) -> str:
    """Correct a day or month that is one letter wrong ("vierrnes", "disiembre")."""
    if len(word) < 5 or not word.isalpha() or word in _NOT_CALENDAR:
        return word
    if word in WEEKDAY_NAMES or word in MONTH_NAMES:
        return word
    for name in (*WEEKDAY_NAMES, *MONTH_NAMES):
        # Short months are too close to other words ("mayo": mano, rayo).
        if len(name) >= 5 and abs(len(name) - len(word)) <= 1 and OSA.distance(word, name, score_cutoff=1) <= 1:
            return name
    return WEEKDAYS.get(word, MONTHS.get(word, word) if word in {"setiembre", "dicbre"} else word)
