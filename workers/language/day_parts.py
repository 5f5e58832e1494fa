"""Parts of the day in a line: "en la mañana", "tempranito", "a última hora", "esta tarde" (rule R12).

Called by `dates` after the clocks were masked, so that "9 de la mañana" is no longer seen here. Pure.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.prediction import TimeWindow
from workers.language.clocks import mask


class Window(NamedTuple):
    """A part of the day at `start:end`; `today` for "esta tarde"."""

    start: int
    end: int
    window: TimeWindow
    today: bool = False


_WINDOW_WORDS = {"manana": TimeWindow.MANANA, "tarde": TimeWindow.TARDE, "noche": TimeWindow.NOCHE}
_PART_WORD = r"(?P<word>mananitas?|mananas?|tardecitas?|tardesitas?|tardes?|nochecitas?|noches?)"
_AFTER_WEEKDAY = "(?<=lunes |artes |coles |ueves |ernes |abado |mingo )"  # one width, as lookbehind requires
_WINDOWS = [
    (re.compile(r"(?<!\S)(?:a )?primer(?:a|ita) hor(?:a|ita) de la tarde(?!\S)"), TimeWindow.TARDE),
    (
        re.compile(
            r"(?<!\S)(?:a )?primer(?:a|ita) hor(?:a|ita)(?: de la manana)?(?!\S)|(?<!\S)lo (?:mas|antes) "
            r"temprano(?: posible)?(?!\S)"
            r"|(?<!\S)(?:apenas|ni bien|cuando|al) (?:abran|abren|abrir)(?!\S)|(?<!\S)primer (?:turno|cupo)(?!\S)"
        ),
        TimeWindow.PRIMERA_HORA,
    ),
    (
        re.compile(
            r"(?<!\S)(?:a )?ultim(?:a|ita) hor(?:a|ita)(?: de la (?:tarde|manana|noche))?(?!\S)|(?<!\S)al "
            r"final (?:de la tarde|del dia)(?!\S)"
            r"|(?<!\S)antes de (?:que )?(?:cierren|cerrar)(?!\S)|(?<!\S)ultimo (?:turno|cupo)(?!\S)"
        ),
        TimeWindow.ULTIMA_HORA,
    ),
    (re.compile(rf"(?<!\S)(?P<today>esta) {_PART_WORD}(?!\S)"), None),
    (re.compile(rf"(?<!\S)(?:(?:en|por|de|a|para|durante|toda|todas) )?(?:la|las) {_PART_WORD}(?!\S)"), None),
    (re.compile(r"(?<!\S)(?:de|por|en|turno(?: de)?) (?P<word>tardecita|tarde|noche|mananita)(?!\S)"), None),
    (re.compile(r"(?<!\S)(?:del|en|el|al|de) turno (?:de )?(?P<word>manana)(?!\S)"), None),
    (re.compile(rf"{_AFTER_WEEKDAY}(?:de |en |por )?(?P<word>manana)(?!\S)"), None),
    (re.compile(rf"(?:{_AFTER_WEEKDAY}|(?<=anana |mejor )|(?<=hoy )|(?<=solo ))(?P<word>tarde|noche)(?!\S)"), None),
    (re.compile(r"(?<!\S)(?:media )?(?P<word>tardecita|mananita|nochecita|(?<=media )manana)(?!\S)"), None),
    (re.compile(r"(?:^|(?<=[.,?] ))(?P<word>tarde|noche)(?= [.,?]|$| nomas| por favor| pues)"), None),
    (re.compile(r"(?<!\S)(?<!mas )(?:bien |muy |lo mas )?tempran\w*(?!\S)"), TimeWindow.MANANA),
]


def find_windows(text: str) -> list[Window]:
    """Return the parts of the day of a line whose clocks are masked, in order (rule R12)."""
    found: list[Window] = []
    for pattern, fixed in _WINDOWS:
        for match in pattern.finditer(text):
            window = fixed or _WINDOW_WORDS[_stem(match["word"])]
            today = fixed is None and "today" in pattern.groupindex
            found.append(Window(match.start(), match.end(), window, today))
            text = mask(text, match.start(), match.end())
    return sorted(found)


def _stem(word: str) -> str:
    return next(stem for stem in _WINDOW_WORDS if word.startswith(stem[:5]))
