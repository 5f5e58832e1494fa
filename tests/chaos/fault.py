"""What a fault is: how it is put in, how it is healed, how long it lasts, and what it may not meet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.chaos.posting import Posting
from tests.chaos.stage import Stage

Heal = Callable[[], object]
Inject = Callable[[Stage, Posting], Heal]


@dataclass(frozen=True)
class Fault:
    """One kind. `inject` does it and returns what heals it; two faults of one `place` never meet."""

    name: str
    place: str
    seconds: float
    inject: Inject


def nothing() -> None:
    """It is over by itself."""
