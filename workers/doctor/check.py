"""What every check ends in (pure): a name, a state, what was found, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

ALL_GOOD, SOME_FAILED, ONLY_WARNINGS = 0, 1, 2  # exit codes


class State(StrEnum):
    OK = "ok"
    WARNING = "warning"  # patients are answered; somebody should look
    FAILED = "failed"  # something that patients or staff need does not work
    OFF = "off"  # optional and not set, or not checked, and why


@dataclass(frozen=True)
class Check:
    """One line. `found` and `advice` hold no secret and nothing of a patient."""

    name: str
    state: State
    found: str
    advice: str = ""


def ok(name: str, found: str) -> Check:
    return Check(name, State.OK, found)


def warning(name: str, found: str, advice: str) -> Check:
    return Check(name, State.WARNING, found, advice)


def failed(name: str, found: str, advice: str) -> Check:
    return Check(name, State.FAILED, found, advice)


def off(name: str, found: str) -> Check:
    return Check(name, State.OFF, found)


def exit_code(checks: Iterable[Check]) -> int:
    """0 when all is good or off, 1 when something failed, 2 when there are only warnings."""
    states = {check.state for check in checks}
    if State.FAILED in states:
        return SOME_FAILED
    return ONLY_WARNINGS if State.WARNING in states else ALL_GOOD
