"""What is due: messages not yet searched for danger, patients whose messages wait, outboxes to send."""

from __future__ import annotations

from dataclasses import dataclass

import redis

from shared.state.inbox import RING_AGAIN_MS
from shared.state.outbox import REMINDERS_SHARE
from shared.state.store import script

FRESH_MS = 150  # a doorbell from the webhook takes milliseconds; after this it is taken for late or lost


@dataclass(frozen=True, slots=True)
class Due:
    waiting: list[str]  # patient ids
    outgoing: list[str]  # patient:lane
    reminders: list[str]  # patient:reminder, as many as the number's throughput has room for
    next_ms: int = -1  # until the next turn is due; -1: none is to come

    def __bool__(self) -> bool:
        return bool(self.waiting or self.outgoing or self.reminders)


def take_due(client: redis.Redis, *, at_most: int = 200, turns: int = 200, messages_per_second: int = 80) -> Due:
    """Take what is due and push it forward in the same step, so that several sweepers never ring twice.

    Args:
        client: state store.
        at_most: so many of each.
        turns: so many patients with a turn, those who have waited longest; the others stay due.
        messages_per_second: Meta's throughput of our number; reminders use a part of it.
    """
    keys = ["waiting", "outgoing", "reminders", "throughput"]
    pace_ms = 1000 / (REMINDERS_SHARE * messages_per_second)
    return Due(*script("due")(client, keys, [at_most, RING_AGAIN_MS, pace_ms, turns]))


def take_fresh(client: redis.Redis, *, at_most: int = 100) -> list[str]:
    """Take patients whose new messages no bell has brought to be searched; nobody else is given them for a while."""
    return list(script("fresh")(client, ["fresh"], [at_most, FRESH_MS, RING_AGAIN_MS]))


def take_turn(client: redis.Redis) -> str | None:
    """Take the patient whose turn is due longest, or None; nobody else is given it for `RING_AGAIN_MS`."""
    return script("next_turn")(client, ["waiting"], [RING_AGAIN_MS]) or None
