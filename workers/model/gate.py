"""The release gate: a few messages that any usable model must get right. Run by `holder` at load and by `publish`.

A model of our tagged format is asked for intent and danger of the messages in `must_pass.jsonl`; a model of another
format must only show that it answers. Nothing here measures quality: that is `training.evaluate`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from shared.conversation import PatientRecord
from shared.errors import AssistantError
from shared.messages import Frozen
from shared.prediction import Intent
from workers.model.errors import ModelRefused

if TYPE_CHECKING:
    from workers.model.reader import Reader, Reading

log = logging.getLogger(__name__)

MUST_PASS = Path(__file__).with_name("must_pass.jsonl")
SHARE_RIGHT = 0.8
OTHER_FORMATS_ASKED = 4  # the first so many; each lets the model write a whole reply
REPLY_TOKENS = 48
DEADLINE_S = 60.0
AT_ONCE = 8  # the engine batches them
_TZ = ZoneInfo("America/La_Paz")


class MustPass(Frozen):
    """One line of the file."""

    text: str
    intent: Intent
    danger: bool = False
    state: str | None = None


@dataclass(frozen=True)
class Verdict:
    """What the gate found. `wrong` names the messages, which are ours and no patient's."""

    asked: int
    readable: int
    right: int | None  # None where only readability counts
    wrong: tuple[str, ...]
    took_s: float

    @property
    def passed(self) -> bool:
        if self.right is None:
            return self.readable * 2 >= self.asked
        return self.readable == self.asked and self.right >= SHARE_RIGHT * self.asked

    def __str__(self) -> str:
        if self.right is None:
            return f"{self.readable} of {self.asked} answered"
        unreadable = f", {self.asked - self.readable} unreadable" if self.readable < self.asked else ""
        return f"{self.right} of {self.asked} right{unreadable}"


def check(reader: Reader, tagged: bool) -> Verdict:
    """Let the model pass the gate.

    Args:
        tagged: the model writes the tagged answer (`ModelInfo.tagged`).

    Raises:
        ModelRefused: saying how many it got right.
    """
    verdict = examine(reader, tagged)
    if not verdict.passed:
        log.warning("the release gate refuses the model", extra={"wrong": list(verdict.wrong)})
        needed = f"at least {SHARE_RIGHT:.0%} must be" if tagged else "at least half must be"
        raise ModelRefused(f"the model is refused by the release gate: {verdict}, {needed}")
    return verdict


def examine(reader: Reader, tagged: bool) -> Verdict:
    """Ask the messages and compare; never raises for what the model does."""
    begun = time.monotonic()
    asked = must_pass() if tagged else must_pass()[:OTHER_FORMATS_ASKED]

    def ask(line: MustPass) -> Reading | None:
        try:
            return reader.read(
                record=PatientRecord(),
                appointments=(),
                state=line.state,
                turns=(),
                question=line.text,
                tz=_TZ,
                deadline_s=DEADLINE_S,
                needs_reply=not tagged,
                max_new_tokens=REPLY_TOKENS,
            )
        except AssistantError:
            return None

    with ThreadPoolExecutor(AT_ONCE) as pool:
        readings = list(pool.map(ask, asked))
    readable = sum(reading is not None for reading in readings)
    wrong = tuple(line.text for line, got in zip(asked, readings, strict=True) if not _is_right(line, got))
    right = len(asked) - len(wrong) if tagged else None
    return Verdict(len(asked), readable, right, wrong if tagged else (), round(time.monotonic() - begun, 2))


@cache
def must_pass() -> Sequence[MustPass]:
    """Read the messages, once."""
    return [MustPass.from_json(line) for line in MUST_PASS.read_text(encoding="utf-8").splitlines() if line]


def _is_right(line: MustPass, reading: Reading | None) -> bool:
    return reading is not None and reading.intent is line.intent and reading.danger == line.danger
