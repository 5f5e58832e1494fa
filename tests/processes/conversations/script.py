"""What stands in a conversation's file. Words are compared without case or accents; `a|b` is satisfied by either.

Every conversation happens on Monday 23 November 2026, 09:00 in La Paz, with an agenda of its own.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FOLDER = Path(__file__).parent
MINUTE = r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}$"
Minute = Annotated[str, Field(pattern=MINUTE)]
WriteKind = Literal["schedule", "cancel", "reschedule", "confirm", "alert"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Seed(_Part):
    """A patient whom the clinic's backend knows; without one the patient is new."""

    name: str
    appointments: list[Minute] = []


class Step(_Part):
    """One thing the patient does, and what the one reply to it holds."""

    patient: Annotated[list[str], BeforeValidator(lambda said: [said] if isinstance(said, str) else said)] = []
    tap: str | None = None  # a button's title, or the only one that contains these words …
    of: int | None = None  # … of the first, second, … reply; without it of the last reply that has such a button
    times: int = 1  # taps at once
    reminder: str | None = None  # the quick reply of a reminder of the patient's first appointment
    media: str | None = None  # voice, image, …

    silence: bool = False  # nothing is answered
    sees: list[str] = []  # in the text or the buttons
    missing: list[str] = Field(default=[], alias="not")
    buttons: list[str] = []  # these, perhaps among others
    does: list[WriteKind] = []  # what is written at the backend meanwhile; else nothing

    @model_validator(mode="after")
    def _one_act(self) -> Self:
        if [bool(self.patient), bool(self.tap), bool(self.reminder), bool(self.media)].count(True) != 1:
            raise ValueError("a step is one of patient, tap, reminder, media")
        if self.silence and (self.sees or self.buttons):
            raise ValueError("silence shows nothing")
        return self


class Write(_Part):
    """A write at the backend. An appointment is named by its start before the write."""

    schedule: Minute | None = None
    cancel: Minute | None = None
    confirm: Minute | None = None
    reschedule: Minute | None = None
    to: Minute | None = None
    reason: str | None = None
    name: str | None = None
    refused: str | None = None  # the backend's word for it: slot_taken, closed, past


class Alert(_Part):
    category: str
    level: str


class Row(_Part):
    at: Minute
    status: str
    name: str | None = None  # only compared when it is given


class Script(_Part):
    """A conversation: who writes, the steps, and what stands at the backend when it is over."""

    about: str
    patient: Seed | None = None
    others: list[Minute] = []  # places taken by somebody else
    steps: list[Step]
    calls: list[Write]
    alerts: list[Alert] = []
    agenda: list[Row]


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load(name: str) -> Script:
    return Script.model_validate(yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8")))


def plain(text: str) -> str:
    """Lower case, without accents."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def holds(shown: str, wanted: str) -> bool:
    return any(plain(word) in plain(shown) for word in wanted.split("|"))
