"""Messages, turns, replies and danger alarms of one day, counted in one pass (pure). Called by `fold`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from shared.messages import Channel
from shared.state.alarms import alarm_id
from shared.state.audit import Event, Record
from workers.report.figures import HOURS, quantile
from workers.report.tally import ARRIVED, Step, Tally

ANSWERED_WITHIN_S = 600.0
IDS_SHOWN = 20
LOW_CONFIDENCE = 0.5
_VISIT_CALLS = frozenset({"schedule", "reschedule", "cancel", "confirm"})
_NO_FAULT = frozenset({"done", "taken", "free"})  # outcomes of the backend that are answers


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


class Chats(Tally):
    """Grows with what is open, with the day's patients, and eight bytes per reply."""

    def __init__(self, zone: dt.tzinfo, burst_s: float) -> None:
        super().__init__()
        self.zone, self.burst_s = zone, burst_s
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

    # Events that count on the day they happen

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

    # Events that settle what began on the day, whenever they come

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
        """Settles a send whose outcome was unknown."""
        if record.detail.get("status") in ARRIVED:
            self.sent(record)

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

    def figures(self, until: dt.datetime | None) -> dict[str, Any]:
        """Fields of `DayFigures`. `until`: up to when records were read; None: long after the day."""
        for id_, message in self.open.items():
            waited_s = (until - message.at).total_seconds() if until else ANSWERED_WITHIN_S + 1
            if not message.answered and waited_s > ANSWERED_WITHIN_S:
                self.note_late(id_)
        for times in (self.reply_s, self.danger_s, self.acknowledged_s):
            times.sort()
        read = self.confidence_count
        return {
            "messages": self.one("messages"),
            "patients": len(self.patients),
            "by_hour": tuple(self.by_hour),
            "turns": self.one("turns"),
            "silent_turns": self.one("silent"),
            "confidence_mean": self.confidence_sum / read if read else None,
            "confidence_low": self.low / read if read else None,
            "models": tuple(sorted(self.models)),
            "alarms_untold": self.one("untold"),
            "acknowledged": len(self.acknowledged_s),
            "acknowledged_median_s": quantile(self.acknowledged_s, 0.5),
            "acknowledged_longest_s": quantile(self.acknowledged_s, 1),
            "danger_reply_p95_s": quantile(self.danger_s, 0.95),
            "unanswered": self.late_count,
            "unanswered_ids": tuple(self.late),
            "given_up": self.one("given_up"),
            "replies": len(self.reply_s),
            "reply_p50_s": quantile(self.reply_s, 0.5),
            "reply_p95_s": quantile(self.reply_s, 0.95),
            "reply_p99_s": quantile(self.reply_s, 0.99),
            "waited_longest_s": self.longest_wait_s or None,
            "optouts": self.one("optouts"),
            "optins": self.one("optins"),
        } | {
            name: self.group(name)
            for name in ("intents", "sources", "actions", "alarms", "visits", "visits_failed", "waits")
        }

    on_the_day: ClassVar[dict[str, Step]] = {Event.ACCEPTED: accepted, Event.ALARM: alarm}
    whenever: ClassVar[dict[str, Step]] = {
        Event.ACKNOWLEDGED: acknowledged,
        Event.WAITS: waits,
        Event.UNDERSTOOD: understood,
        Event.BACKEND: backend,
        Event.COMMITTED: committed,
        Event.GIVEN_UP: given_up,
        Event.SENT: sent,
        Event.DROPPED: dropped,
        Event.STATUS: status,
    }
