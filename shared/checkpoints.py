"""Named points between two consecutive effects, where a test may kill the process.

`reached(Step.X)` costs one comparison in production. With CRASH_AT=<step> in the environment the process ends there
with SIGKILL, as a power cut would; tests/processes/test_kill_matrix.py walks the road of every member, so a new step is
covered by itself, and one that its road does not reach fails the test.
"""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class Road(StrEnum):
    """What a message, a reminder or a report goes through: one stretch of effects."""

    ACCEPT = "accept"  # webhook: a body of Meta
    TRIAGE = "triage"  # worker: a danger sign
    DRAIN = "drain"  # worker: a turn that writes at the backend
    DELIVER = "deliver"  # worker: a reply, a danger reply or a reminder on its way to Meta
    REMIND = "remind"  # worker: this hour's reminders
    REPORT = "report"  # worker: the daily mail


class Step(StrEnum):
    """A point after one effect and before the next, and the road on which it lies."""

    road: Road

    def __new__(cls, name: str, road: Road) -> Step:
        step = str.__new__(cls, name)
        step._value_, step.road = name, road
        return step

    ACCEPTED = "accepted", Road.ACCEPT  # message in the inbox, doorbell not rung, 200 not sent
    RUNG = "rung", Road.ACCEPT  # doorbell rung, 200 not sent
    STATUSES_NOTED = "statuses_noted", Road.ACCEPT  # statuses stored, 200 not sent
    ALARM_TOLD = "alarm_told", Road.TRIAGE  # staff told, reply not in the outbox
    ALARM_QUEUED = "alarm_queued", Road.TRIAGE  # reply in the outbox, delivery not rung
    ALARM_RUNG = "alarm_rung", Road.TRIAGE  # delivery rung, the message not marked as searched
    LEASED = "leased", Road.DRAIN  # lease taken, nothing read
    UNDERSTOOD = "understood", Road.DRAIN  # prediction made, nothing done
    BACKEND_CALLED = "backend_called", Road.DRAIN  # the backend has booked, nothing committed
    COMMITTED = "committed", Road.DRAIN  # turn stored and reply in the outbox, delivery not rung
    LANE_LEASED = "lane_leased", Road.DELIVER  # lease of the lane taken, nothing marked
    CLAIMED = "claimed", Road.DELIVER  # marked sending, nothing posted
    POSTED = "posted", Road.DELIVER  # Meta has accepted, not marked sent
    MARKED_SENT = "marked_sent", Road.DELIVER  # marked sent, lease still held
    REMINDERS_CLAIMED = "reminders_claimed", Road.REMIND  # a lot of reminders is queued, others are not
    REMINDER_CHECKED = "reminder_checked", Road.REMIND  # the agenda was read, nothing is marked
    REPORT_CLAIMED = "report_claimed", Road.REPORT  # one task has the day, nothing composed
    REPORT_SENDING = "report_sending", Road.REPORT  # marked sending, the mail not handed over
    REPORT_MAILED = "report_mailed", Road.REPORT  # the mail server has it, not marked sent


_crash_at = os.environ.get("CRASH_AT", "")


def reached(step: Step) -> None:
    """Kill this process if a test asked for it at `step`; else do nothing."""
    if _crash_at and _crash_at == step:
        os.kill(os.getpid(), signal.SIGKILL)
