"""From the audit of a day to its figures (pure): one pass, and only what is still open is remembered.

A message belongs to the day on which it was accepted, and with it its turn, its reply and how long that took, even when
they fall into the hours after midnight. Reminders are a cohort too: those sent on the day, and what became of them.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from shared.messages import Channel
from shared.state.alarms import alarm_id
from shared.state.audit import Event, Record
from workers.report.figures import HOURS, DayFigures, quantile

ANSWERED_WITHIN_S = 600.0
IDS_SHOWN = 20
LOW_CONFIDENCE = 0.5
_ARRIVED = {"sent": 1, "delivered": 2, "read": 3, "played": 3}
_VISIT_CALLS = frozenset({"schedule", "reschedule", "cancel", "confirm"})
_NO_FAULT = frozenset({"done", "taken", "free"})  # outcomes of the backend that are answers


def fold(
    records: Iterable[Record],
    day: dt.date,
    zone: dt.tzinfo,
    *,
    burst_ms: int = 0,
    ignore: frozenset[str] = frozenset(),
    until: dt.datetime | None = None,
) -> DayFigures:
    """Count one local day.

    Args:
        records: in order, from the day's first moment on; those after its last settle what was still open.
        day, zone: the clinic's.
        burst_ms: the quiet time that ends a burst: it is no delay.
        ignore: patient ids that are left out (the canary).
        until: up to when records were read, to tell what has waited ten minutes from what has only just come; None:
            long after the day.
    """
    begin, end = bounds(day, zone)
    tally = _Tally(zone, burst_ms / 1000)
    for record in records:
        if record.patient in ignore or record.at < begin:
            continue
        if record.at < end:
            tally.on_the_day(record)
        tally.whenever(record)
    return tally.figures(day, until)


def bounds(day: dt.date, zone: dt.tzinfo) -> tuple[dt.datetime, dt.datetime]:
    """First moment of a local day, and of the next."""
    midnight = dt.time(tzinfo=zone)
    return dt.datetime.combine(day, midnight), dt.datetime.combine(day + dt.timedelta(days=1), midnight)


@dataclass(slots=True)
class _Open:
    """A message of the day that has no answer yet."""

    at: dt.datetime
    chat: bool  # its caller got the answer with the commit
    delivery: str = ""  # the fixed reply to danger that covers it
    answered: bool = False  # by that reply, before its turn was committed
    waited_s: float = 0.0
    causes: set[str] = field(default_factory=set)
    model: str | None = None
    understood: bool = False
    calls: set[str] = field(default_factory=set)


class _Tally:
    """The pass. Grows with what is open, with the day's reminders and patients, and eight bytes per reply."""

    def __init__(self, zone: dt.tzinfo, burst_s: float) -> None:
        self.zone, self.burst_s = zone, burst_s
        self.counts: Counter[tuple[str, str]] = Counter()
        self.patients: set[str] = set()
        self.by_hour = [0] * HOURS
        self.open: dict[str, _Open] = {}
        self.under_way: dict[str, tuple[list[str], dt.datetime, bool]] = {}  # delivery: its messages, since, danger?
        self.late: list[str] = []
        self.late_count = 0
        self.reply_s: list[float] = []
        self.danger_s: list[float] = []
        self.confidence_sum, self.confidence_count, self.low = 0.0, 0, 0
        self.models: set[str] = set()
        self.longest_wait_s = 0.0
        self.alarms: set[str] = set()  # not acknowledged yet
        self.acknowledged_s: list[float] = []
        self.reminders: dict[str, int] = {}  # sent on the day -> how far it came; -1 failed
        self.unsettled: set[str] = set()  # reminders that may have been sent

    def count(self, group: str, name: object, by: int = 1) -> None:
        self.counts[group, str(name)] += by

    def group(self, group: str) -> dict[str, int]:
        found = {name: n for (of, name), n in self.counts.items() if of == group}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))

    # Events that count on the day they happen

    def on_the_day(self, record: Record) -> None:
        if step := _ON_THE_DAY.get(record.event):
            step(self, record)

    def accepted(self, record: Record) -> None:
        self.count("one", "messages")
        self.patients.add(record.patient)
        self.by_hour[record.at.astimezone(self.zone).hour] += 1
        for id_ in record.ids:
            self.open[id_] = _Open(record.at, record.detail.get("channel") == Channel.CHAT)

    def alarm(self, record: Record) -> None:
        self.count("alarms", record.detail.get("level"))
        if not record.detail.get("told"):
            self.count("one", "untold")
        message, delivery = (*record.ids, "", "")[:2]
        self.alarms.add(alarm_id(message))
        if covered := self.open.get(message):
            covered.delivery = delivery
            if covered.chat:
                self.answered([message], record.at, keep=True)
            else:
                self.under_way[delivery] = ([message], covered.at, True)

    def planned(self, record: Record) -> None:
        self.count("reminders", "planned")

    def call(self, record: Record) -> None:
        id_ = record.ids[0] if record.ids else ""
        self.count("other_calls" if id_.startswith(("h:", "d_", "a_")) else "reminder_calls", record.detail.get("why"))

    def call_done(self, record: Record) -> None:
        self.count("one", "calls_done")

    def returned(self, record: Record) -> None:
        self.count("one", "returned")

    def sent_reminder(self, record: Record) -> None:
        self.reminders.update((id_, 1) for id_ in record.ids if id_.startswith("r_"))

    def unknown(self, record: Record) -> None:
        self.unsettled.update(id_ for id_ in record.ids if id_.startswith("r_"))

    def failed(self, record: Record) -> None:
        for id_ in record.ids:
            if id_.startswith("r_"):
                self.count("reminders", "failed")
            else:
                self.count("one", "failed_replies")

    # Events that settle what began on the day, whenever they come

    def whenever(self, record: Record) -> None:
        if step := _WHENEVER.get(record.event):
            step(self, record)

    def head(self, record: Record) -> _Open | None:
        return self.open.get(record.ids[0]) if record.ids else None

    def acknowledged(self, record: Record) -> None:
        for id_ in record.ids:
            if id_ in self.alarms:
                self.alarms.remove(id_)
                self.acknowledged_s.append(float(record.detail.get("after_s") or 0))

    def waits(self, record: Record) -> None:
        if turn := self.head(record):
            turn.causes.add(str(record.detail.get("why")))
            turn.waited_s += float(record.detail.get("wait_s") or 0)

    def understood(self, record: Record) -> None:
        if turn := self.head(record):
            turn.understood, turn.model = True, record.detail.get("model")

    def backend(self, record: Record) -> None:
        """A turn that is repeated after a crash calls again with the same key: its call counts once."""
        call, outcome = str(record.detail.get("call")), str(record.detail.get("outcome"))
        turn = self.head(record)
        if turn is None or call not in _VISIT_CALLS or f"{call} {outcome}" in turn.calls:
            return
        turn.calls.add(f"{call} {outcome}")
        if outcome == "done":
            self.count("visits", call)
        elif outcome not in _NO_FAULT:
            self.count("visits_failed", outcome)

    def committed(self, record: Record) -> None:
        messages = [id_ for id_ in record.ids if id_ in self.open]
        if not messages:
            return
        if turn := self.head(record):  # else it began before midnight and counts there
            self.turn(turn, record.detail)
        replies = [id_ for id_ in record.ids if id_.startswith("d_")]
        covering = [d for id_ in messages if (d := self.open[id_].delivery) in self.under_way]
        if replies and not self.open[messages[0]].chat:
            last = max(self.open[id_].at for id_ in messages) + dt.timedelta(seconds=self.burst_s)
            self.under_way[replies[0]] = (messages, last, False)
        elif covering:  # the fixed reply answers the whole turn
            self.under_way[covering[-1]][0].extend(id_ for id_ in messages if self.open[id_].delivery not in covering)
        else:
            self.answered(messages, record.at)

    def turn(self, turn: _Open, detail: Mapping[str, Any]) -> None:
        self.waited(turn)
        if turn.understood or detail.get("source") == "safety":
            self.count("one", "turns")
            self.count("intents", detail.get("intent"))
            self.count("sources", detail.get("source"))
            self.count("actions", detail.get("action"))
            self.confidence(detail.get("confidence"))
            if turn.model:
                self.models.add(turn.model)
        else:
            self.count("one", "silent")
        if detail.get("optout") is not None:
            self.count("one", "optouts" if detail["optout"] else "optins")

    def waited(self, turn: _Open) -> None:
        for why in turn.causes:
            self.count("waits", why)
        self.longest_wait_s = max(self.longest_wait_s, turn.waited_s)

    def confidence(self, value: object) -> None:
        if isinstance(value, int | float):
            self.confidence_sum += value
            self.confidence_count += 1
            self.low += value < LOW_CONFIDENCE

    def given_up(self, record: Record) -> None:
        """Its messages stay open: they have no answer, unless they are replayed."""
        if turn := self.head(record):
            self.waited(turn)
            self.count("one", "given_up", sum(id_ in self.open for id_ in record.ids))

    def sent(self, record: Record) -> None:
        for id_ in record.ids:
            if (found := self.under_way.pop(id_, None)) is not None:
                messages, since, danger = found
                took_s = max(0.0, (record.at - since).total_seconds())
                (self.danger_s if danger else self.reply_s).append(took_s)
                self.answered(messages, record.at, keep=danger)

    def dropped(self, record: Record) -> None:
        """A person took over before it was sent: they answer."""
        for id_ in record.ids:
            if (found := self.under_way.pop(id_, None)) is not None:
                self.answered(found[0], record.at)

    def status(self, record: Record) -> None:
        status = str(record.detail.get("status"))
        if status in _ARRIVED:
            self.sent(record)  # settles one whose outcome was unknown
        for id_ in record.ids:
            if id_ in self.unsettled and status in _ARRIVED:
                self.unsettled.remove(id_)
                self.reminders.setdefault(id_, 1)
            if id_ in self.reminders:
                self.reminders[id_] = -1 if status == "failed" else max(self.reminders[id_], _ARRIVED.get(status, 0))

    def answered(self, messages: Iterable[str], at: dt.datetime, *, keep: bool = False) -> None:
        """`keep`: their turn is still to be committed."""
        for id_ in messages:
            message = self.open.get(id_) if keep else self.open.pop(id_, None)
            if message and not message.answered:
                message.answered = True
                if (at - message.at).total_seconds() > ANSWERED_WITHIN_S:
                    self.note_late(id_)

    def note_late(self, id_: str) -> None:
        self.late_count += 1
        if len(self.late) < IDS_SHOWN:
            self.late.append(id_)

    # The end

    def figures(self, day: dt.date, until: dt.datetime | None) -> DayFigures:
        for id_, message in self.open.items():
            if not message.answered and (until is None or (until - message.at).total_seconds() > ANSWERED_WITHIN_S):
                self.note_late(id_)
        for times in (self.reply_s, self.danger_s, self.acknowledged_s):
            times.sort()
        one, reached = self.group("one"), list(self.reminders.values())
        reminders = self.group("reminders")
        return DayFigures(
            day=day,
            messages=one.get("messages", 0),
            patients=len(self.patients),
            by_hour=tuple(self.by_hour),
            turns=one.get("turns", 0),
            silent_turns=one.get("silent", 0),
            intents=self.group("intents"),
            sources=self.group("sources"),
            actions=self.group("actions"),
            confidence_mean=self.confidence_sum / self.confidence_count if self.confidence_count else None,
            confidence_low=self.low / self.confidence_count if self.confidence_count else None,
            models=tuple(sorted(self.models)),
            alarms=self.group("alarms"),
            alarms_untold=one.get("untold", 0),
            acknowledged=len(self.acknowledged_s),
            acknowledged_median_s=quantile(self.acknowledged_s, 0.5),
            acknowledged_longest_s=quantile(self.acknowledged_s, 1),
            danger_reply_p95_s=quantile(self.danger_s, 0.95),
            visits=self.group("visits"),
            visits_failed=self.group("visits_failed"),
            reminders={
                "planned": reminders.get("planned", 0),
                "sent": len(reached),
                "delivered": sum(rank >= _ARRIVED["delivered"] for rank in reached),
                "read": sum(rank >= _ARRIVED["read"] for rank in reached),
                "failed": reminders.get("failed", 0) + reached.count(-1),
            },
            reminder_calls=self.group("reminder_calls"),
            other_calls=self.group("other_calls"),
            calls_done=one.get("calls_done", 0),
            unanswered=self.late_count,
            unanswered_ids=tuple(self.late),
            given_up=one.get("given_up", 0),
            failed_replies=one.get("failed_replies", 0),
            replies=len(self.reply_s),
            reply_p50_s=quantile(self.reply_s, 0.5),
            reply_p95_s=quantile(self.reply_s, 0.95),
            reply_p99_s=quantile(self.reply_s, 0.99),
            waits=self.group("waits"),
            waited_longest_s=self.longest_wait_s or None,
            optouts=one.get("optouts", 0),
            optins=one.get("optins", 0),
            returned=one.get("returned", 0),
        )


_Step = Callable[[_Tally, Record], None]
_ON_THE_DAY: dict[str, _Step] = {
    Event.ACCEPTED: _Tally.accepted,
    Event.ALARM: _Tally.alarm,
    Event.PLANNED: _Tally.planned,
    Event.CALL: _Tally.call,
    Event.CALL_DONE: _Tally.call_done,
    Event.RETURNED: _Tally.returned,
    Event.SENT: _Tally.sent_reminder,
    Event.UNKNOWN: _Tally.unknown,
    Event.FAILED: _Tally.failed,
}
_WHENEVER: dict[str, _Step] = {
    Event.ACKNOWLEDGED: _Tally.acknowledged,
    Event.WAITS: _Tally.waits,
    Event.UNDERSTOOD: _Tally.understood,
    Event.BACKEND: _Tally.backend,
    Event.COMMITTED: _Tally.committed,
    Event.GIVEN_UP: _Tally.given_up,
    Event.SENT: _Tally.sent,
    Event.DROPPED: _Tally.dropped,
    Event.STATUS: _Tally.status,
}
