"""A small honest appointments backend for the chats: it executes the dialogue's calls and remembers every write."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from shared.conversation import Appointment
from workers.dialogue.decision import (
    BackendCall,
    Cancel,
    Confirm,
    Done,
    Free,
    FreeSlots,
    Missing,
    Outcome,
    Reschedule,
    Schedule,
    Taken,
    TakenReason,
)

ZONE = ZoneInfo("America/La_Paz")
NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=ZONE)  # a Monday
MON, TUE, WED, THU, FRI, SAT, SUN = (dt.date(2026, 11, 23 + n) for n in range(7))
Write = Schedule | Cancel | Reschedule | Confirm


def at(day: dt.date, time: str) -> dt.datetime:
    return dt.datetime.combine(day, dt.time.fromisoformat(time), tzinfo=ZONE)


def visit(number: int, day: dt.date, time: str, status: str = "scheduled") -> Appointment:
    return Appointment(id=f"a{number}", ref=f"CC-{number:04d}", start=at(day, time), status=status)


@dataclass
class Agenda:
    """Honest about taken, closed and past times; a repeated idempotency key answers as the first time."""

    visits: list[Appointment] = field(default_factory=list)
    taken: set[dt.datetime] = field(default_factory=set)
    forced: list[Outcome] = field(default_factory=list)  # answers to play instead, once each
    received: list[Write] = field(default_factory=list)
    answers: dict[str, Outcome] = field(default_factory=dict)
    reachable: bool = True
    unreadable_slots: bool = False

    def free(self, day: dt.date) -> list[dt.datetime]:
        if day.weekday() == 6:
            return []
        clocks = [f"{h:02d}:{m}" for h in (8, 9, 10, 11, 14, 15, 16, 17) for m in ("00", "30")]
        return [at(day, c) for c in clocks if at(day, c) > NOW and at(day, c) not in self.taken]

    def execute(self, call: BackendCall) -> Outcome:
        if isinstance(call, FreeSlots) and self.unreadable_slots:
            return Missing()
        if isinstance(call, FreeSlots):
            return Free(tuple(start for day in call.dates for start in self.free(day)))
        self.received.append(call)
        if self.forced:
            return self.forced.pop(0)
        if call.key not in self.answers:
            self.answers[call.key] = self._write(call)
        return self.answers[call.key]

    def _write(self, call: Write) -> Outcome:
        if isinstance(call, Schedule):
            return self._refusal(call.start) or self._put(
                visit(500 + len(self.visits), call.start.date(), "00:00"), call
            )
        found = next((v for v in self.visits if v.id == call.appointment_id), None)
        if found is None:
            return Missing()
        if isinstance(call, Reschedule):
            return self._refusal(call.start) or self._put(found, call)
        self.visits.remove(found)
        if isinstance(call, Confirm):
            self.visits.append(found.model_copy(update={"status": "confirmed"}))
        return Done(found)

    def _put(self, found: Appointment, call: Schedule | Reschedule) -> Done:
        placed = found.model_copy(update={"start": call.start})
        self.visits = [v for v in self.visits if v.id != found.id] + [placed]
        return Done(placed)

    def _refusal(self, start: dt.datetime) -> Taken | None:
        reason = TakenReason.PAST if start < NOW else TakenReason.SLOT_TAKEN if start in self.taken else None
        if reason is None and start not in self.free(start.date()):
            reason = TakenReason.CLOSED
        if reason is None:
            return None
        near = [slot for n in range(4) for slot in self.free(max(start.date(), MON) + dt.timedelta(days=n))]
        near.sort(key=lambda slot: abs(slot - start))
        return Taken(reason, tuple(sorted(near[:3])))
