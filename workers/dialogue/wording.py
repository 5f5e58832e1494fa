"""How we write to patients: the fixed sentences of `shared/assets/flows.yaml`, dates, times.

Loaded once per process (`load_wording`); a sentence that is missing or too long stops the start, not a patient's turn.
"""

from __future__ import annotations

import datetime as dt
import string
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Self

import yaml
from pydantic import BaseModel, ConfigDict, model_validator

from shared.prediction import Intent, Reason, TimeWindow

FLOWS = Path(__file__).resolve().parents[2] / "shared" / "assets" / "flows.yaml"
MAX_REPLY = 500  # characters, dialogue specification section 9
MAX_TITLE = 20  # characters of a reply button, WhatsApp's limit
MAX_BUTTONS = 3
_NAMES = "phone emergency_phone hours date time old_date old_start ref reason name window options missed"
_PLACEHOLDERS = frozenset(_NAMES.split())

_WEEKDAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_YEAR = "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre"
_MONTHS = tuple(_YEAR.split())


class Wording(BaseModel):
    """The content of flows.yaml. `buttons` maps an action to its title, `menus` an intent to its actions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reviewed_by: str | None
    reviewed_on: dt.date | None
    sentences: dict[str, str]
    buttons: dict[str, str]
    menus: dict[str, tuple[str, ...]]
    topics: dict[str, str]
    reasons: dict[Reason, str]
    windows: dict[TimeWindow, str]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        for key, text in self.sentences.items():
            names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
            if unknown := names - _PLACEHOLDERS:
                raise ValueError(f"sentence {key}: unknown placeholder {sorted(unknown)}")
            if len(text) > MAX_REPLY:
                raise ValueError(f"sentence {key}: longer than {MAX_REPLY} characters")
        for action, title in self.buttons.items():
            if not 0 < len(title) <= MAX_TITLE:
                raise ValueError(f"button {action}: the title must have 1 to {MAX_TITLE} characters")
        for name, actions in self.menus.items():
            if len(actions) > MAX_BUTTONS or len(set(actions)) < len(actions):
                raise ValueError(f"menu {name}: at most {MAX_BUTTONS} different buttons")
            if unknown := set(actions) - set(self.buttons):
                raise ValueError(f"menu {name}: unknown button {sorted(unknown)}")
        if lacking := {str(intent) for intent in Intent} - set(self.menus):
            raise ValueError(f"menus: missing {sorted(lacking)}")
        if lacking := (set(Reason) - set(self.reasons)) | (set(TimeWindow) - set(self.windows)):
            raise ValueError(f"reasons, windows: missing {sorted(lacking)}")
        if len(self.topics) > 10 or any(len(title) > 24 for title in self.topics.values()):
            raise ValueError("topics: at most 10 rows of 24 characters")
        return self

    def say(self, key: str, **values: str) -> str:
        """Fill a sentence. Values that it does not use are ignored."""
        return self.sentences[key].format_map(values)


def load_wording(path: Path = FLOWS) -> Wording:
    """Read and check the fixed sentences.

    Raises:
        ValueError: naming the sentence, button or menu that is wrong.
    """
    return Wording.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@cache
def fixed_wording() -> Wording:
    """The wording of flows.yaml, read once per process."""
    return load_wording()


def say_date(date: dt.date) -> str:
    """`martes 24 de noviembre`."""
    return f"{_WEEKDAYS[date.weekday()]} {date.day} de {_MONTHS[date.month - 1]}"


def say_time(time: dt.time | dt.datetime) -> str:
    """`10:00`."""
    return f"{time:%H:%M}"


def has_hour(start: dt.datetime) -> bool:
    """Whether a visit's start, in clinic time, has an hour: at midnight only its day is known."""
    return start.time() != dt.time()


def say_start(start: dt.datetime) -> str:
    """`martes 24 de noviembre a las 10:00`; the day alone when no hour is known."""
    day = say_date(start.date())
    return f"{day} a las {say_time(start)}" if has_hour(start) else day


def slot_title(start: dt.datetime) -> str:
    """`mar 24 nov, 10:00`: fits a button (20) and a list row (24)."""
    day = f"{_WEEKDAYS[start.weekday()][:3]} {start.day} {_MONTHS[start.month - 1][:3]}"
    return f"{day}, {say_time(start)}" if has_hour(start) else day


def say_options(options: Iterable[str]) -> str:
    """`a, b o c`."""
    return _listed(options, "o")


def say_all(things: Iterable[str]) -> str:
    """`a, b y c`."""
    return _listed(things, "y")


def _listed(things: Iterable[str], joined_by: str) -> str:
    words = list(things)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joined_by} {words[-1]}"
