"""The figures of one day: what `fold` counts, what `stats:{day}` keeps, what the report shows. Aggregates only."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

HOURS = 24
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Moment:
    """What is open at the moment of the report, not over the day."""

    handoffs: int = 0  # patients whom a person has
    calls: int = 0  # lines on the call list
    incidents: tuple[str, ...] = ()  # kinds of open incidents


@dataclass(frozen=True, slots=True)
class DayFigures:
    """One local day. Durations in seconds; None where nothing was there to be measured."""

    day: dt.date
    messages: int = 0
    patients: int = 0
    by_hour: tuple[int, ...] = (0,) * HOURS
    turns: int = 0  # understood and answered
    silent_turns: int = 0  # while a person had the patient
    intents: Counts = field(default_factory=dict)
    sources: Counts = field(default_factory=dict)  # who understood: rules, model, both, fallback, safety
    actions: Counts = field(default_factory=dict)
    confidence_mean: float | None = None
    confidence_low: float | None = None  # share of turns under 0.5
    models: tuple[str, ...] = ()  # revisions that answered
    alarms: Counts = field(default_factory=dict)  # by level
    alarms_untold: int = 0  # no channel took the alert in time
    acknowledged: int = 0
    acknowledged_median_s: float | None = None
    acknowledged_longest_s: float | None = None
    danger_reply_p95_s: float | None = None
    visits: Counts = field(default_factory=dict)  # done at the backend: schedule, reschedule, cancel, confirm
    visits_failed: Counts = field(default_factory=dict)  # by outcome
    reminders: Counts = field(default_factory=dict)  # planned, sent, delivered, read, failed, dropped
    reminder_calls: Counts = field(default_factory=dict)  # on the call list, by reason
    other_calls: Counts = field(default_factory=dict)  # hand-offs and replies on the call list, by reason
    calls_done: int = 0
    unanswered: int = 0  # no answer within ten minutes
    unanswered_ids: tuple[str, ...] = ()  # the first of them
    given_up: int = 0
    failed_replies: int = 0  # refused by Meta, or not delivered
    replies: int = 0  # whose time was measured
    reply_p50_s: float | None = None  # from the end of the burst to Meta's acceptance
    reply_p95_s: float | None = None
    reply_p99_s: float | None = None
    waits: Counts = field(default_factory=dict)  # turns that had to wait, by reason
    waited_longest_s: float | None = None
    optouts: int = 0
    optins: int = 0
    returned: int = 0  # given back to the assistant by a person
    reactivated: int = 0  # opt-outs that a person lifted
    moment: Moment | None = None  # None: the day was counted later

    @property
    def danger(self) -> int:
        """All alarms."""
        return sum(self.alarms.values())

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self) | {"day": self.day.isoformat()}, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> DayFigures:
        """Read what `to_json` wrote, also an older or newer version of it: what is missing has its default.

        Raises:
            ValueError: it is no JSON object with a day.
        """
        raw: Any = json.loads(text)
        if not isinstance(raw, dict) or "day" not in raw:
            raise ValueError("no figures of a day")
        values = _known(cls, raw) | {"day": dt.date.fromisoformat(raw["day"])}
        if values.get("moment"):
            values["moment"] = Moment(**_known(Moment, raw["moment"]))
        return cls(**values)


def _known(cls: Any, raw: dict[str, Any]) -> dict[str, Any]:
    """Fields of the class that are there, lists as tuples."""
    names = {f.name for f in dataclasses.fields(cls)}
    return {name: tuple(v) if isinstance(v, list) else v for name, v in raw.items() if name in names}


def quantile(values: list[float], share: float) -> float | None:
    """The value that `share` of the sorted values do not exceed (nearest rank); None of none."""
    if not values:
        return None
    return values[max(0, -int(-share * len(values) // 1) - 1)]
