"""What became of one message, delivery or alarm, step by step, folded from the audit (pure). No text is in it.

Read by `python -m workers.timeline` and the operators' page; `shared.state.trace` gets the records from Redis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.state.audit import Event, Record

WRITTEN = "written_by_patient"  # the patient's own clock; every other step has the name of its audit event
_LINKS = (Event.COMMITTED, Event.ALARM, Event.GIVEN_UP)  # events that name messages and the replies to them


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happened. `after_ms`: since the step before, None for the first."""

    at: datetime  # UTC
    what: str  # an audit event, or WRITTEN
    after_ms: int | None
    patient: str
    ids: tuple[str, ...]
    detail: dict[str, Any] = field(default_factory=dict)


def timeline(records: Iterable[Record], identifier: str) -> list[Step]:
    """Fold the audit into the steps of one message (m_), delivery (d_, r_) or alarm (a_), in order of time.

    Args:
        records: of the audit, in order; those of others are left out.
        identifier: an opaque id. A message brings the deliveries that answer it, a delivery the messages it answers.

    Returns:
        [] when nothing is known of it.
    """
    kept = list(records)
    wanted = related(kept, identifier)
    found = [record for record in kept if wanted.intersection(record.ids)]
    found.sort(key=lambda record: (record.at, _place(record.position)))
    moments: list[tuple[datetime, str, Record]] = []
    for record in found:
        if record.event == Event.ACCEPTED and (wrote := _wrote_at(record)):
            moments.append((wrote, WRITTEN, record))
        moments.append((record.at, record.event, record))
    moments.sort(key=lambda moment: moment[0])  # stable: what happened in the same millisecond keeps its order
    steps: list[Step] = []
    for at, what, record in moments:
        after = (at - steps[-1].at) // timedelta(milliseconds=1) if steps else None
        detail = {} if what == WRITTEN else record.detail
        steps.append(Step(at, what, after, record.patient, record.ids, detail))
    return steps


def related(records: Sequence[Record], identifier: str) -> set[str]:
    """The ids whose records tell the story of `identifier`: itself, what answers it, what it answers, its alarm."""
    theirs = ("d_", "r_") if identifier.startswith("m_") else ("m_",)
    if identifier.startswith("a_"):
        theirs = ("m_", "d_")
    wanted = {identifier}
    for record in records:
        alarm = str(record.detail.get("alarm") or "")
        if record.event in _LINKS and (identifier in record.ids or identifier == alarm):
            wanted |= {i for i in record.ids if i.startswith(theirs)}
            wanted |= {alarm} if alarm else set()
    return wanted


def begins(steps: Sequence[Step]) -> bool:
    """Whether the story is there from its beginning, so that nothing older need be looked for."""
    return any(step.what in (Event.ACCEPTED, Event.PLANNED, Event.WRITTEN) for step in steps)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a message or delivery stands now, read from Redis beside the audit (`shared.state.trace.standing`)."""

    place: int | None = None  # in the patient's inbox, 0 is next; None: it is not there
    due_in_s: float | None = None  # until the turn is looked at; None: nobody will be rung
    delayed_s: float = 0.0  # a retry waits so long
    in_hand: bool = False  # a worker holds the patient's lease
    handoff: str = ""  # why a person has the patient
    deliveries: dict[str, str] = field(default_factory=dict)  # delivery id -> state
    letter: str = ""  # id of the dead letter that holds it


def _wrote_at(record: Record) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(record.detail["wrote_ms"]) / 1000, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return None


def _place(position: str) -> tuple[int, ...]:
    """A stream position in an order that grows: `1-10` comes after `1-9`."""
    return tuple(int(part) for part in position.split("-") if part.isdigit())
