"""One bell, many turns: a thread that has answered one patient goes on with whoever waits longest.

Under load every seat is taken this way and the sweep rings for nobody: without it bells were rung for seats that others
had taken by then, were turned away and rung again, and cost two workers on two cores half of their replies a second
(docs/performance.md).
"""

from __future__ import annotations

import time

from shared.state import sweep
from workers.deliver import deliver
from workers.drain import drain
from workers.services import Services

GOES_ON_S = 60.0  # then it needs a new bell: brokers take one that is held for very long for lost


def answer_while_due(services: Services, patient: str) -> None:
    """Answer this patient, then those who are due, as long as a seat is free for them."""
    until = time.monotonic() + GOES_ON_S
    following: str | None = patient
    while following is not None:
        if drain(services, following):
            deliver(services, following, "normal")
        may_go_on = time.monotonic() < until and services.turns.free > 0 and not services.stopping.is_set()
        following = sweep.take_turn(services.client) if may_go_on else None
