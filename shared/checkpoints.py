"""Named points between two consecutive effects, where a test may kill the process.

`reached(Step.X)` costs one comparison in production. With CRASH_AT=<step> in the environment the process ends there
with SIGKILL, as a power cut would; tests/processes walk through every member, so a new step is covered by itself.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class Step(StrEnum):
    ACCEPTED = "accepted"  # webhook: message in the inbox, doorbell not rung, 200 not sent
    ALARM_TOLD = "alarm_told"  # triage: staff told, reply not in the outbox
    ALARM_QUEUED = "alarm_queued"  # triage: reply in the outbox, delivery not rung
    LEASED = "leased"  # drain: lease taken, nothing read
    UNDERSTOOD = "understood"  # drain: prediction made, nothing done
    BACKEND_CALLED = "backend_called"  # drain: the backend has booked, nothing committed
    COMMITTED = "committed"  # drain: turn stored and reply in the outbox, delivery not rung
    CLAIMED = "claimed"  # deliver: marked sending, nothing posted
    POSTED = "posted"  # deliver: Meta has accepted, not marked sent
    REMINDERS_CLAIMED = "reminders_claimed"  # beat: a lot of reminders is queued, others are not
    REMINDER_CHECKED = "reminder_checked"  # deliver: the agenda was read, nothing is marked
    MARKED_SENT = "marked_sent"  # deliver: marked sent, lease still held


_crash_at = os.environ.get("CRASH_AT", "")


def reached(step: Step) -> None:
    """Kill this process if a test asked for it at `step`; else do nothing."""
    if _crash_at and _crash_at == step:
        os.kill(os.getpid(), signal.SIGKILL)
