"""What is due: patients whose messages wait, outboxes to send, messages not yet searched for danger."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from shared.state.inbox import RING_AGAIN_MS
from shared.state.store import script

FRESH_MS = 1000  # a doorbell from the webhook takes milliseconds; after this it is taken for lost


@dataclass(frozen=True, slots=True)
class Due:
    waiting: list[str]  # patient ids
    outgoing: list[str]  # patient:lane
    fresh: list[str]  # patient ids

    def __bool__(self) -> bool:
        return bool(self.waiting or self.outgoing or self.fresh)


def take_due(client: redis.Redis, *, at_most: int = 200) -> Due:
    """Take what is due and push it forward in the same step, so that several sweepers never ring twice."""
    waiting, outgoing, fresh = script("due")(
        client, ["waiting", "outgoing", "fresh"], [at_most, RING_AGAIN_MS, FRESH_MS]
    )
    return Due(waiting, outgoing, fresh)
