"""Clock times in a line: "3 y media", "cuarto para las 5", "a hrs 16", "entre 9 y 10" (rules R8-R11).

Called by `dates`. Pure. A number is a clock only when something says so ("a las", "hrs", "pm", a colon, "y media"):
patients also write doses, weights and weeks.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from shared.prediction import TimeWindow
from workers.language.word_lists import word_set

DAY_WORD = r"(?:hoy|manana|lunes|martes|miercoles|jueves|viernes|sabado|domingo)"
_PART = r"(?:(?:de|en|por|a) la|de|la) (?P<part>mananita|manana|tardecita|tarde|noche|madrugada)"
_MERIDIEM = r"(?P<meridiem>am|pm|a m|p m)"
_NEAR = r"(?:tipo|tipin|a eso de|como|sobre|alrededor de|hacia|aproximadamente|mas o menos)"
_PREFIX = (
    rf"(?P<prefix>(?:(?:{_NEAR}|a|para|de|desde|hasta|entre|despues de|antes de|y|o|mejor|por) "
    rf"){{0,4}}(?:las|la|horas|horas de las)"
    rf"|{_NEAR}(?: a)?) "
)
_HOUR = r"(?P<hour>\d{1,2})(?:[:.,](?P<minute>[0-5]\d)|(?:(?<=las \d)|(?<=as \d\d)) (?P<loose>[03]0|15|45)(?=\s|$))?"
_MORE = (
    r"(?: horas(?: (?P<after>[0-5]\d)(?!\S)(?! de))?)?(?: (?:y|con) (?P<more>media|medio|cuarto|"
    r"pico|[0-5]?\d)(?: minutos)?| menos (?P<less>cuarto|[0-5]?\d))?"
)
_TAIL = rf"(?P<tail>(?: horas| en punto| nomas)*)(?:,? {_MERIDIEM}(?!\S)|,? {_PART}(?!\S))?"
_CLOCK = re.compile(rf"(?<!\S)(?:{_PREFIX})?{_HOUR}(?!\S){_MORE}{_TAIL}(?!\S)")
_TO = re.compile(
    rf"(?<!\S)(?:a |al |tipo |faltando |un ){{0,3}}(?P<less>cuarto|[1-5]?\d)(?: minutos)? para "
    rf"(?:las|la) (?P<hour>\d{{1,2}})(?!\S){_TAIL}(?!\S)"
)
_RANGE = re.compile(
    r"(?<!\S)(?P<from>entre|de|desde)(?: las| la| horas)? "
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>[0-5]\d))?(?: y media)?(?P<join> y| a| -| hasta)(?: las| "
    r"la)?"
    rf" (?P<other>\d{{1,2}})(?:[:.][0-5]\d)?(?!\S){_TAIL}(?!\S)"
)
_NOON = re.compile(r"(?<!\S)(?:al?|de|de l) ?(?:mediodia|medio dia)(?!\S)|(?<!\S)mediodia(?!\S)")

# After one of these a number counts things; a plural noun says the same.
_COUNTED = {
    "semana",
    "mes",
    "dia",
    "ano",
    "pastilla",
    "kilo",
    "kg",
    "mg",
    "ml",
    "vez",
    "persona",
    "grados",
    "bs",
}
_PLURAL_BUT_FINE = word_set(
    """
    horas menos pues nomas gracias lunes martes miercoles jueves viernes entonces puedes tienes quieres estas es
    mas vas das antes despues estamos vamos iremos nos tres dos seis tengas sabes les los las buenas buenos
    """
)
_DURATION_BEFORE = word_set(
    """
    cada hace por en dentro durante unas unos ultimas tarda tardan son duermo dormi espere esperamos mas menos
    cuantas hacen llevo de como primeras pasaron
    """
)


class Clock(NamedTuple):
    """A clock time at `start:end` of the line. `spoken_part` is False when morning or afternoon was only supposed."""

    start: int
    end: int
    hour: int
    minute: int
    spoken_part: bool
    range_start: bool = False

    def value(self, window: TimeWindow | None = None) -> str:
        """Return HH:MM. `window` is the part of the day said elsewhere in the message, used if none stands here."""
        hour = self.hour
        if not self.spoken_part and window is not None:
            hour = _in_part(_plain(hour), str(window))
        return f"{hour:02d}:{self.minute:02d}"


def find_clocks(text: str, tomorrow_day: int, *, moving: bool = False) -> list[Clock]:
    """Return the clock times of a prepared line, in order.

    `tomorrow_day` tells "mañana 24" from "mañana 9". When a visit is being moved, "de las 3 a las 5" is no range.
    """
    found: list[Clock] = []
    taken = text
    for pattern, read in ((_TO, _to), (_RANGE, _range), (_CLOCK, _clock)):
        for match in pattern.finditer(taken):
            clock = read(match, taken, tomorrow_day)
            if clock is not None and not (moving and clock.range_start and " las " in match.group()):
                found.append(clock)
                taken = mask(taken, clock.start, clock.end)
    found += [Clock(match.start(), match.end(), 12, 0, True) for match in _NOON.finditer(taken)]
    return sorted(found)


def mask(text: str, start: int, end: int) -> str:
    """Blank a piece of the line that was already understood, keeping every offset."""
    return text[:start] + "".join(" " if sign == " " else "#" for sign in text[start:end]) + text[end:]


def bare_hour(text: str) -> str | None:
    """Read a number that was the answer to "at what time?": "10", "las 3", "a las 9 nomas"."""
    match = re.fullmatch(
        r"(?:(?:si|ya|bueno|mejor|a|las|la|tipo|por favor|,|\.) )*(\d{1,2})(?: (?:por favor|nomas|pues|,|\.|gracias))*",
        text,
    )
    if match is None or not 1 <= int(match.group(1)) <= 23:
        return None
    return f"{_supposed(int(match.group(1))):02d}:00"


def _clock(match: re.Match[str], text: str, tomorrow_day: int) -> Clock | None:
    hour, minute = int(match["hour"]), int(match["minute"] or match["loose"] or match["after"] or 0)
    if hour > 24 or not _is_clock(match, text, tomorrow_day):
        return None
    if match["more"]:
        minute = _minutes(match["more"])
    elif match["less"]:
        return _earlier(match, hour, _minutes(match["less"]))
    return _build(match, hour, minute)


def _to(match: re.Match[str], text: str, tomorrow_day: int) -> Clock | None:
    hour = int(match["hour"])
    return _earlier(match, hour, _minutes(match["less"])) if 1 <= hour <= 24 else None


def _range(match: re.Match[str], text: str, tomorrow_day: int) -> Clock | None:
    hour, other = int(match["hour"]), int(match["other"])
    if (
        hour > 23
        or other > 24
        or _counts_things(text, match.end())
        or (match["from"] == "entre") != (match["join"] == " y")
    ):
        return None
    written_as_clock = (
        " las " in match.group() or match["minute"] or match["meridiem"] or match["part"] or "horas" in match.group()
    )
    if match["from"] != "entre" and not written_as_clock and not 7 <= hour < other <= 19:
        return None  # "de 2 a 3" may be weeks or siblings; office hours look like hours
    clock = _build(match, hour, int(match["minute"] or (30 if " y media" in match.group() else 0)))
    if match["part"] in {"tarde", "noche"} and hour > other:
        clock = clock._replace(hour=_supposed(hour))  # "de 11 a 1 de la tarde" starts in the morning
    return clock._replace(range_start=True)


def _is_clock(match: re.Match[str], text: str, tomorrow_day: int) -> bool:
    """Decide whether a number is a clock time, from the words around it."""
    if match["meridiem"] or match["part"]:
        # "3 en la mañana y 2 en la noche" are pills.
        return not match["part"] or bool(match["prefix"] or match["more"] or " de la " in match.group())
    if _counts_things(text, match.end()):
        return False
    colon = ":" in match.group()
    before = text[: match.start()].split()[-1:] or [""]
    prefix, tail = match["prefix"] or "", match["tail"] or ""
    after_day = bool(re.search(rf"{DAY_WORD} ,? ?$", text[: match.start()])) or bool(
        re.search(r"(?:\d|bre|ero|ril|ayo|nio|lio|sto) $", text[: match.start()])
    )
    if prefix:
        article_only = prefix in {"la", "las", "como", "sobre", "y la", "de la"}
        if article_only and before[0] in {"todas", "tomo", "tomar", "tome", "me", "toma"}:
            return False
        one_alone = prefix.endswith("la") and match["hour"] not in {"1", "13"}
        doubtful = prefix in {"como", "sobre", "hacia", "mas o menos", "alrededor de", "aproximadamente"}
        return not one_alone and (not doubtful or bool(match["more"] or colon or after_day or before[0] in {"", ","}))
    if match["more"] in {"media", "medio", "cuarto"} or match["less"]:
        return before[0] not in _DURATION_BEFORE or before[0] == "de"
    if colon:
        return True
    if "horas" in tail or "horas" in match.group():
        of_visit = text[: match.start()].endswith(("la de ", "el de "))
        if (before[0] in _DURATION_BEFORE and not of_visit) or match["hour"] == "24":
            return False
        return after_day or of_visit or before[0] in {"", ",", ".", "?"} or int(match["hour"]) >= 13
    if match["more"] or match["minute"]:
        return after_day
    bare_after_day = re.search(r"(?:hoy|manana) ,? ?$", text[: match.start()])
    return bool(bare_after_day) and 1 <= int(match["hour"]) <= 19 and int(match["hour"]) != tomorrow_day


def _counts_things(text: str, end: int) -> bool:
    following = text[end:].split()
    if not following or following[0] in _PLURAL_BUT_FINE:
        return False
    noun = following[0]
    if following[:2] == ["por", "ciento"]:
        return True
    if noun in {"y", "a"} and len(following) > 1 and following[1].isdigit():
        return _counts_things(" ".join(following[2:]), 0)
    return noun in _COUNTED or (
        len(noun) > 3 and noun.isalpha() and noun.endswith("s") and not noun.endswith(("mos", "eis"))
    )


def _minutes(word: str) -> int:
    return {"media": 30, "medio": 30, "cuarto": 15, "pico": 0}.get(word) or (int(word) if word.isdigit() else 0)


def _earlier(match: re.Match[str], hour: int, minutes: int) -> Clock:
    clock = _build(match, hour, 0)
    total = (clock.hour * 60 - minutes) % (24 * 60)
    return clock._replace(hour=total // 60, minute=total % 60, spoken_part=True)


def _build(match: re.Match[str], hour: int, minute: int) -> Clock:
    part = match["part"]
    if match["meridiem"]:
        part = "am" if match["meridiem"].startswith("a") else "tarde"
    if part is None:
        return Clock(match.start(), match.end(), _supposed(hour), minute, hour > 12 or hour == 0)
    return Clock(match.start(), match.end(), _in_part(hour, part), minute, True)


def _supposed(hour: int) -> int:
    """Rule R9: the clinic's hours decide what a bare hour means."""
    return hour + 12 if 1 <= hour <= 6 else hour % 24


def _plain(hour: int) -> int:
    return hour - 12 if 13 <= hour <= 18 else hour


def _in_part(hour: int, part: str) -> int:
    """Rule R10: the part of the day said with an hour decides."""
    if part.startswith(("tarde", "ultima")):
        return hour + 12 if 1 <= hour <= 11 else hour % 24
    if part.startswith("noche"):
        return hour + 12 if 6 <= hour <= 11 else (0 if hour in {12, 24} else hour)
    if part == "am":
        return 0 if hour == 12 else hour % 24
    return hour % 24  # morning and small hours: as said; "12 de la mañana" is noon
