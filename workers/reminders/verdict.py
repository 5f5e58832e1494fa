"""May this reminder go out now? (pure) Asked at the moment of sending, with the agenda read anew."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.conversation import Appointment
from shared.messages import ReminderKind, ReminderOf
from workers.reminders.plan import Rules, after_quiet, is_quiet

MISSED = (ReminderKind.MISSED_1, ReminderKind.MISSED_2)


class Answer(StrEnum):
    SEND = "send"
    LATER = "later"  # at `at`
    DROP = "drop"  # nobody need do anything
    CALL = "call"  # a person should call: a line on the call list


@dataclass(frozen=True)
class Verdict:
    """`why` stands in the audit and on the call list. `again`: the visit may be planned anew (it was moved back)."""

    answer: Answer
    why: str = ""
    at: dt.datetime | None = None
    again: bool = False


def by_the_clock(visit: ReminderOf, now: dt.datetime, rules: Rules) -> Verdict | None:
    """What needs no agenda to be decided; None: read it."""
    if now > visit.until:
        return Verdict(Answer.CALL, "late")
    if now < visit.due:
        return Verdict(Answer.LATER, "not_due", at=visit.due)
    if is_quiet(now, rules):
        at = after_quiet(now, rules)
        return Verdict(Answer.CALL, "late") if at > visit.until else Verdict(Answer.LATER, "quiet_hours", at=at)
    return None


def by_the_agenda(visit: ReminderOf, agenda: Sequence[Appointment]) -> Verdict | None:
    """What the patient's coming visits say; None: it is still wanted."""
    coming = [found for found in agenda if found.status != "cancelled"]
    if visit.kind in MISSED:
        return Verdict(Answer.DROP, "rebooked") if coming else None
    found = next((found for found in coming if found.id == visit.appointment_id), None)
    if found is None:
        return Verdict(Answer.DROP, "cancelled", again=True)
    if found.start != visit.start:
        return Verdict(Answer.DROP, "moved", again=True)
    return None


def by_consent(agreed: bool) -> Verdict | None:
    return None if agreed else Verdict(Answer.CALL, "no_consent")
