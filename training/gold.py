"""Labelled messages to measure on: generated ones of a split, or lines of a file. Called by `training.evaluate`.

A file holds lines of contract 7 with what is right beside them: {"id", "text", "now"?, "state"?, "intent"?,
"secondary"?, "danger"?, "danger_category"?, "explicit"?, "hard_negative"?, "slots"?}. What is left out is not measured.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.prediction import DangerCategory, Intent, Slots
from training import dataset
from training.context import TZ
from training.dataset import Sample
from workers.language.dates import resolve

NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=TZ)
_HOUR_LEAD = "a las "  # an hour alone is read as one only after these words


class Gold(BaseModel):
    """One message and what is right about it; None: not labelled."""

    model_config = ConfigDict(extra="ignore", arbitrary_types_allowed=True, frozen=True)

    id: str | int
    text: str
    now: dt.datetime | None = None
    state: str | None = None
    intent: Intent | None = None
    secondary: tuple[Intent, ...] | None = None
    danger: bool | None = None
    danger_category: DangerCategory | None = None
    explicit: bool = False  # a danger sign in plain words: none of them may be missed
    hard_negative: bool = False  # looks like danger and is none
    slots: Slots | None = None
    sample: Sample | None = None  # what it was generated from

    @property
    def is_danger(self) -> bool | None:
        if self.danger is None and self.intent is not None:
            return self.intent is Intent.URGENCIA
        return self.danger


def read_gold(path: Path) -> Iterator[Gold]:
    """Read a file of labelled lines.

    Raises:
        ValueError: naming the line that cannot be read.
    """
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            yield Gold.model_validate_json(line)
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise ValueError(f"{path.name}, line {number}: {where} {problem['msg']}") from None


def generated(split: str, seed: int, count: int) -> Iterator[Gold]:
    """Yield generated messages as gold; dates are what the marked words mean on NOW."""
    for number, sample in enumerate(dataset.generate(split, seed, count)):
        answer = sample.answer
        yield Gold(
            id=f"{split}-{number}",
            text=sample.message,
            now=NOW,
            state=sample.state,
            intent=answer.intent,
            secondary=answer.secondary,
            danger=answer.danger,
            hard_negative=sample.group == "look_alike",
            slots=slots_of_words(dict(answer.spans), answer.reason, NOW),
            sample=sample,
        )


def slots_of_words(words: dict[str, str], reason: Any, now: dt.datetime) -> Slots:
    """Resolve marked words, each by itself, to the slots they mean."""
    when = resolve(" ".join(_moment(words.get("date"), words.get("time"))), now)
    before = resolve(" ".join(_moment(words.get("old_date"), words.get("old_time"))), now)
    ref = "".join(sign for sign in words.get("appointment_ref", "") if sign.isdigit())
    return Slots(
        date=when.date,
        time=when.time,
        time_window=when.window,
        old_date=before.date,
        old_time=before.time,
        appointment_ref=f"CC-{ref:0>4}" if ref else None,
        reason=reason,
        name=words["name"].title() if words.get("name") else None,
    )


def _moment(date: str | None, time: str | None) -> list[str]:
    clock = f"{_HOUR_LEAD}{time}" if time and time.split()[0].split(":")[0].rstrip("apmhrs.").isdigit() else time
    return [part for part in (date, clock) if part]
