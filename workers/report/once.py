"""One mail for each day: the state of its report in Redis, `report:{date}`.

none -> composing (a lease: who dies leaves it to the next ring) -> sending (from here it may have gone out) -> sent.
What was left in `sending` becomes `unknown`, is told to staff, and is not sent by itself again.
"""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field

import redis

from shared.state.store import script

LEASE_MS = 600_000
KEEP_MS = 40 * 86_400_000


@dataclass(slots=True)
class Claim:
    """The right of one task to send one day's report."""

    client: redis.Redis
    day: dt.date
    token: str = field(default_factory=lambda: uuid.uuid4().hex)

    def take(self) -> bool:
        """True when nobody has it and nobody sent it."""
        return self._move("", self._state("composing"), LEASE_MS)

    def about_to_send(self) -> bool:
        """False when the lease ran out and another task has it."""
        return self._move(self._state("composing"), self._state("sending"), KEEP_MS)

    def sent(self) -> None:
        self._move(self._state("sending"), "sent", KEEP_MS)

    def unknown(self) -> None:
        self._move(self._state("sending"), "unknown", KEEP_MS)

    def give_back(self) -> None:
        """It certainly did not go out: the next ring tries again."""
        for state in ("composing", "sending"):
            self._move(self._state(state), "", LEASE_MS)

    def _state(self, name: str) -> str:
        return f"{name}:{self.token}"

    def _move(self, before: str, after: str, ms: int) -> bool:
        return bool(script("report")(self.client, [key(self.day)], [before, after, ms]))


def left_in_sending(client: redis.Redis, day: dt.date) -> bool:
    """Note that whoever was sending it is gone; True for the one caller who notes it."""
    state = client.get(key(day))
    if not isinstance(state, str) or not state.startswith("sending:"):
        return False
    lived_ms = KEEP_MS - int(client.pttl(key(day)))
    if lived_ms < LEASE_MS:
        return False  # it may be under way
    return bool(script("report")(client, [key(day)], [state, "unknown", KEEP_MS]))


def mark_sent(client: redis.Redis, day: dt.date) -> None:
    """A person sent it by hand."""
    client.set(key(day), "sent", px=KEEP_MS)


def key(day: dt.date) -> str:
    return f"report:{day.isoformat()}"
