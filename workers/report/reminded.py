"""Reminders and the call list of one day, counted in one pass (pure). Called by `fold`.

Reminders are a cohort: those sent on the day, and how far they came, also after midnight.
"""

from __future__ import annotations

from typing import Any, ClassVar

from shared.state.audit import Event, Record
from workers.report.tally import ARRIVED, Step, Tally

_FAILED = -1


class Reminded(Tally):
    """Grows with the day's reminders."""

    def __init__(self) -> None:
        super().__init__()
        self.reminders: dict[str, int] = {}  # sent on the day -> how far it came
        self.unsettled: set[str] = set()  # may have been sent

    def planned(self, record: Record) -> None:
        self.count("reminders", "planned")

    def call(self, record: Record) -> None:
        id_ = record.ids[0] if record.ids else ""
        self.count("other_calls" if id_.startswith(("h:", "d_", "a_")) else "reminder_calls", record.detail.get("why"))

    def call_done(self, record: Record) -> None:
        self.count("one", "calls_done")

    def returned(self, record: Record) -> None:
        self.count("one", "returned")

    def sent(self, record: Record) -> None:
        self.reminders.update((id_, ARRIVED["sent"]) for id_ in record.ids if id_.startswith("r_"))

    def unknown(self, record: Record) -> None:
        self.unsettled.update(id_ for id_ in record.ids if id_.startswith("r_"))

    def failed(self, record: Record) -> None:
        for id_ in record.ids:
            if id_.startswith("r_"):
                self.count("reminders", "failed")
            else:
                self.count("one", "failed_replies")

    def dropped(self, record: Record) -> None:
        self.count("reminders", "dropped", sum(id_.startswith("r_") for id_ in record.ids))

    def undelivered(self, record: Record) -> None:
        """Meta had accepted a reply and could not deliver it."""
        if record.detail.get("status") == "failed":
            self.count("one", "failed_replies", sum(id_.startswith("d_") for id_ in record.ids))

    def reactivated(self, record: Record) -> None:
        self.count("one", "reactivated")

    def status(self, record: Record) -> None:
        status = str(record.detail.get("status"))
        for id_ in record.ids:
            if id_ in self.unsettled and status in ARRIVED:
                self.unsettled.remove(id_)
                self.reminders.setdefault(id_, ARRIVED["sent"])
            if id_ in self.reminders:
                came = self.reminders[id_]
                self.reminders[id_] = _FAILED if status == "failed" else max(came, ARRIVED.get(status, 0))

    def figures(self) -> dict[str, Any]:
        """Fields of `DayFigures`."""
        came, reminders = list(self.reminders.values()), self.group("reminders")
        return {
            "reminders": {
                "planned": reminders.get("planned", 0),
                "sent": len(came),
                "delivered": sum(rank >= ARRIVED["delivered"] for rank in came),
                "read": sum(rank >= ARRIVED["read"] for rank in came),
                "failed": reminders.get("failed", 0) + came.count(_FAILED),
                "dropped": reminders.get("dropped", 0),
            },
            "reminder_calls": self.group("reminder_calls"),
            "other_calls": self.group("other_calls"),
            "calls_done": self.one("calls_done"),
            "returned": self.one("returned"),
            "reactivated": self.one("reactivated"),
            "failed_replies": self.one("failed_replies"),
        }

    on_the_day: ClassVar[dict[str, Step]] = {
        Event.PLANNED: planned,
        Event.CALL: call,
        Event.CALL_DONE: call_done,
        Event.RETURNED: returned,
        Event.SENT: sent,
        Event.UNKNOWN: unknown,
        Event.FAILED: failed,
        Event.DROPPED: dropped,
        Event.STATUS: undelivered,
        Event.REACTIVATED: reactivated,
    }
    whenever: ClassVar[dict[str, Step]] = {Event.STATUS: status}
