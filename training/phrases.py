"""Turns a line of `training/data/*.yaml` into one concrete message with its labelled pieces.

Called by `training.dataset`. Grammar of a line: `(a|b)` one of, `[a]` or `[a|b]` maybe, `{name}` a macro or a slot,
`{slot=words}` a slot in these very words, `{r:control}` the reason of the visit.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from shared.prediction import Reason
from training.surfaces import SURFACES

DATA = Path(__file__).parent / "data"
OPTIONAL_KEPT = 0.4

_GROUP = re.compile(r"\(([^()\[\]]*)\)|\[([^()\[\]]*)\]")
_NAME = re.compile(r"\{([a-z_:]+)(?:=([^}]*))?\}")

# Slot words of the lines -> slot of the contract; the text of each comes from `training.surfaces`.
SLOT_OF = {
    "fecha": "date",
    "hoy": "date",
    "hora": "time",
    "hora_libre": "time",
    "ventana": "time",
    "fecha_ant": "old_date",
    "hora_ant": "old_time",
    "ref": "appointment_ref",
    "nombre": "name",
}

_COMBINED: dict[str, Sequence[str]] = {
    "cuando": (
        "{fecha}",
        "{fecha}",
        "{fecha}",
        "{fecha} {a_hora}",
        "{fecha} {a_hora}",
        "{fecha} {a_hora}",
        "{a_hora} [del] {fecha}",
        "{fecha} {ventana}",
        "{fecha} {ventana}",
        "{fecha_dicha} no mejor {fecha}",
        "{fecha_dicha} , no , mejor {fecha} {a_hora}",
        "{a_hora}",
    ),
    "a_hora": ("a las {hora}", "a las {hora}", "a las {hora}", "{hora}", "a hrs {hora}", "{hora_libre}", "tipo {hora}"),
    "cual": ("del {fecha}", "el {fecha}", "{fecha}", "del {fecha} a las {hora}", "{ref}", "de las {hora}", "{fecha}"),
    "cual_antes": ("el {fecha_ant}", "{fecha_ant}", "el {fecha_ant} a las {hora_ant}"),
    "de_antes": (
        "del {fecha_ant}",
        "del {fecha_ant}",
        "del {fecha_ant} de las {hora_ant}",
        "de las {hora_ant}",
        "{ref}",
    ),
    "para": tuple(f"{{motivo_{reason}}}" for reason in Reason),
}


@dataclass(frozen=True)
class Piece:
    """Part of a message; `slot` is None for plain words."""

    text: str
    slot: str | None = None


@dataclass(frozen=True)
class Phrase:
    pieces: tuple[Piece, ...]
    reason: str | None = None

    @property
    def slots(self) -> set[str]:
        return {piece.slot for piece in self.pieces if piece.slot}


@cache
def load(name: str) -> Mapping[str, Any]:
    """Read one data file, by name without ending."""
    content: Mapping[str, Any] = yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf-8"))
    return content


def expand(line: str, rng: random.Random) -> Phrase:
    """Draw one message from a line; lines that would fill a slot twice are drawn again without optional parts."""
    for attempt in range(20):
        phrase = _draw(line, rng, OPTIONAL_KEPT if attempt < 10 else 0.0)
        filled = [piece.slot for piece in phrase.pieces if piece.slot]
        if len(filled) == len(set(filled)) and any(piece.text.strip() for piece in phrase.pieces):
            return phrase
    return phrase


def _draw(line: str, rng: random.Random, keep: float) -> Phrase:
    macros = load("macros")
    reason: str | None = None
    pieces: list[Piece] = []
    text = _choose(line, rng, keep)
    while match := _NAME.search(text):
        name, before, text = match[1], text[: match.start()], text[match.end() :]
        pieces.append(Piece(before))
        if name.startswith("r:"):
            reason = name[2:]
        elif match[2] is not None:
            pieces.append(Piece(match[2], SLOT_OF[name]))
        elif name in SURFACES:
            article, surface = SURFACES[name](rng, macros)
            pieces += [Piece(f" {article} "), Piece(surface, SLOT_OF.get(name))]
        else:
            if name.startswith("motivo_"):
                reason = name.removeprefix("motivo_")
            options = _COMBINED.get(name) or macros[name]
            text = _choose(rng.choice(options), rng, keep) + text
    return Phrase(_tidy([*pieces, Piece(text)]), reason)


def _choose(text: str, rng: random.Random, keep: float) -> str:
    """Resolve groups from the inside out; macros drawn later may hold groups of their own."""
    while match := _GROUP.search(text):
        if match[1] is not None:
            pick = rng.choice(match[1].split("|"))
        else:
            pick = rng.choice(match[2].split("|")) if rng.random() < keep else ""
        text = text[: match.start()] + pick + text[match.end() :]
    return text


def _tidy(pieces: list[Piece]) -> tuple[Piece, ...]:
    """Join plain neighbours, repair doubled articles ("para el el jueves", "del mañana"), drop empty pieces."""
    out: list[Piece] = []
    for piece in pieces:
        if piece.slot is None and out and out[-1].slot is None:
            out[-1] = Piece(out[-1].text + piece.text)
        elif piece.text:
            out.append(piece)
    tidy: list[Piece] = []
    for index, piece in enumerate(out):
        if piece.slot:
            tidy.append(piece)
            continue
        text = re.sub(r" +", " ", piece.text)
        following = out[index + 1] if index + 1 < len(out) else None
        if following and following.slot in ("date", "old_date"):
            text = _join_article(text)
        tidy.append(Piece(text))
    return tuple(tidy)


def _join_article(text: str) -> str:
    """Settle two articles: `text` ends with the one the date wants ("el", "la", "-"); the line's own gives way."""
    words = text.split()
    wanted = words[-1] if words and words[-1] in ("el", "la", "-") else None
    if wanted is None:
        return text
    words.pop()
    before = words[-1] if words else ""
    if wanted == "el":
        if before in ("el", "al", "del"):
            pass
        elif before in ("a", "de"):
            words[-1] = {"a": "al", "de": "del"}[before]
        else:
            words.append("el")
    else:
        if before in ("el", "al", "del"):
            words.pop()
            words += {"el": [], "al": ["para"], "del": ["de"]}[before]
        if wanted == "la":
            words.append("la")
    return (" " if text.startswith(" ") else "") + " ".join(words) + " "
