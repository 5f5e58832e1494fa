"""What became of one message, delivery or alarm: `python -m workers.timeline ID [--json]`.

ID is m_…, d_…, r_…, a_…, or Meta's wamid.… of either direction. Read from the audit and from where things stand in
Redis now; times are the clinic's, without any text of the patient. Ends with 1 when nothing is known.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

import redis
from tqdm import tqdm

from shared.settings import ProcessRole, Settings, load
from shared.state import audit, store, trace
from shared.state.audit import Event, Record
from shared.timeline import WRITTEN, Standing, Step

_SHOW_PROGRESS_AFTER_S = 1.0
_DELIVERY = ("d_", "r_")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.timeline", description=__doc__)
    parser.add_argument("id", help="m_…, d_…, r_…, a_… or wamid.…")
    parser.add_argument("--json", action="store_true", help="steps and standing as one JSON object")
    asked = parser.parse_args(arguments)
    settings = load(ProcessRole.TOOL)
    client = store.connect(settings, timeout_s=10)
    try:
        return _show(client, settings, asked.id, as_json=asked.json)
    except redis.RedisError as error:
        print(f"Redis is unreachable: {type(error).__name__}", file=sys.stderr)
        return 2
    finally:
        client.close()


def _show(client: redis.Redis, settings: Settings, name: str, *, as_json: bool) -> int:
    identifier = trace.resolve(client, name, settings.patient_id_key)
    if identifier is None:
        print("That is no id: write m_…, d_…, r_…, a_… or wamid.…", file=sys.stderr)
        return 2
    total = client.xlen(audit.KEY)
    steps = trace.steps_of(client, identifier, datetime.now(UTC), lambda records: _watched(records, total))
    now = trace.standing(client, identifier, steps)
    verdict = conclude(identifier, steps, now)
    if not steps and now.place is None and not now.letter and not now.deliveries:
        print(f"Nothing is known of {identifier}: {verdict} (AUDIT_DAYS={settings.AUDIT_DAYS}).", file=sys.stderr)
        return 1
    if as_json:
        print(json.dumps({"id": identifier, "verdict": verdict, "steps": [_row(step) for step in steps]}, indent=2))
        return 0
    patient = next((step.patient for step in steps if step.patient), "an unknown patient")
    print(f"{identifier} of {patient}")
    for step in steps:
        print(line(step, settings.timezone))
    print(verdict)
    return 0


def _watched(records: Iterator[Record], total: int) -> Iterable[Record]:
    """Records with a progress bar on stderr, once the reading takes long."""
    return tqdm(
        records, total=total, unit=" events", desc="audit", file=sys.stderr, leave=False, delay=_SHOW_PROGRESS_AFTER_S
    )


def _row(step: Step) -> dict[str, Any]:
    return {
        "at": step.at.isoformat(),
        "what": step.what,
        "after_ms": step.after_ms,
        "patient": step.patient,
        "ids": list(step.ids),
        "detail": step.detail,
    }


def line(step: Step, zone: tzinfo) -> str:
    """One step as a line: local time, milliseconds since the step before, what happened."""
    at = step.at.astimezone(zone).isoformat(sep=" ", timespec="milliseconds")[:23]
    after = "" if step.after_ms is None else f"+{step.after_ms:,} ms"
    return f"{at}  {after:>14}  {describe(step)}"


def describe(step: Step) -> str:
    """What happened in this step, in a few words (pure)."""
    words = _WORDS.get(step.what)
    if words is None:
        told = ", ".join(f"{name} {value}" for name, value in step.detail.items())
        return f"{step.what}: {told}" if told else step.what
    about = " ".join(i for i in step.ids if i.startswith(_DELIVERY))
    return words(step.detail) + (f" [{about}]" if about else "")


def _understood(detail: Mapping[str, Any]) -> str:
    model = detail.get("model") or "no model"
    sure = detail.get("confidence")
    danger = f", danger {detail['danger']}" if detail.get("danger") else ""
    return f"understood as {detail.get('intent')} by {detail.get('source')} ({sure}; {model}){danger}"


def _committed(detail: Mapping[str, Any]) -> str:
    handoff = f", handed over: {detail['handoff']}" if detail.get("handoff") else ""
    return f"committed: {detail.get('action')}{handoff}"


def _why(detail: Mapping[str, Any]) -> str:
    told = [str(detail[name]) for name in ("why", "code") if detail.get(name)]
    return f" ({', '.join(told)})" if told else ""


def _backend(detail: Mapping[str, Any]) -> str:
    took = f" in {detail['seconds']} s" if detail.get("seconds") is not None else ""
    return f"backend: {detail.get('call')} -> {detail.get('outcome')}{took}"


_WORDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    WRITTEN: lambda d: "written by the patient (the phone's clock, whole seconds)",
    Event.ACCEPTED: lambda d: f"accepted: {d.get('kind')} by {d.get('channel')}",
    Event.ALARM: lambda d: f"alarm: {d.get('level')}, {d.get('category')}, staff told: {bool(d.get('told'))}",
    Event.ACKNOWLEDGED: lambda d: f"alarm acknowledged by {d.get('by')}",
    Event.WAITS: lambda d: f"waits {d.get('wait_s')} s: {d.get('why')}",
    Event.NOTICED: lambda d: f"the patient is told of a wait of {d.get('waited_s')} s",
    Event.DRAINED: lambda d: f"drained by {d.get('worker')}, a turn of {d.get('messages')} message(s)",
    Event.UNDERSTOOD: _understood,
    Event.BACKEND: _backend,
    Event.COMMITTED: _committed,
    Event.GIVEN_UP: lambda d: f"given up: {d.get('why')}",
    Event.PLANNED: lambda d: f"reminder planned for {d.get('start')} ({d.get('reminder')})",
    Event.SENDING: lambda d: f"sending, attempt {d.get('attempt')}",
    Event.SENT: lambda d: "sent: Meta took it",
    Event.UNKNOWN: lambda d: "outcome unknown: it may have been sent",
    Event.QUEUED: lambda d: f"not sent, back in the outbox{_why(d)}",
    Event.FAILED: lambda d: f"failed{_why(d)}",
    Event.DROPPED: lambda d: f"dropped{_why(d)}",
    Event.STATUS: lambda d: f"status of Meta: {d.get('status')}{_why(d)}",
    Event.CALL: lambda d: f"on the staff call list{_why(d)}",
    Event.CALL_SETTLED: lambda d: "arrived after all: off the call list",
    Event.CALL_DONE: lambda d: f"call done by {d.get('by')}",
    Event.REPLAYED: lambda d: f"put back by {d.get('by')}",
}


def conclude(identifier: str, steps: Sequence[Step], now: Standing) -> str:
    """The last line: how it ended, or why it has not yet (pure)."""
    if now.place is not None:
        return f"Not answered yet: {_waiting(steps, now)}."
    if now.letter:
        return f"Not answered: dead letter {now.letter} (python -m workers.dead show {now.letter})."
    states = delivery_states(steps) | now.deliveries
    if states:
        return " ".join(_delivered(i, state, _status_of(i, steps)) for i, state in states.items())
    if not steps:
        return "a wrong id, or older than the audit"
    actions = [str(step.detail.get("action")) for step in steps if step.what == Event.COMMITTED]
    if actions and (actions[-1] == "handoff" or now.handoff):
        return f"No reply was due: a person has the patient ({now.handoff or 'the hand-off is over'})."
    if actions:
        return f"Answered without a delivery ({actions[-1]})."
    return "Not in the inbox, not in the outbox and no dead letter: it was not answered."


def _waiting(steps: Sequence[Step], now: Standing) -> str:
    """Why a message still lies in the inbox."""
    told = f"in the inbox at place {(now.place or 0) + 1}"
    causes = [str(step.detail.get("why")) for step in steps if step.what == Event.WAITS]
    if now.in_hand:
        told += ", a worker has the patient in hand"
    elif now.delayed_s:
        told += f", tried again in {now.delayed_s:.0f} s" + (f" after {causes[-1]}" if causes else "")
    elif now.due_in_s is None:
        told += ", and nobody will be rung for it"
    elif now.due_in_s > 0:
        told += f", looked at in {now.due_in_s:.1f} s" + (f" (waits for: {causes[-1]})" if causes else "")
    else:
        told += ", due: no worker has taken it (see /health)"
    return told + (f"; a person has the patient ({now.handoff})" if now.handoff else "")


def delivery_states(steps: Sequence[Step]) -> dict[str, str]:
    """The state in which each delivery was left by the steps (pure)."""
    begun = (Event.COMMITTED, Event.ALARM, Event.GIVEN_UP, Event.PLANNED, Event.WRITTEN, Event.REPLAYED, Event.QUEUED)
    moved = (Event.SENDING, Event.SENT, Event.UNKNOWN, Event.FAILED, Event.DROPPED)
    states: dict[str, str] = {}
    for step in steps:
        for delivery in (i for i in step.ids if i.startswith(_DELIVERY)):
            if step.what in begun:
                states[delivery] = "queued"
            elif step.what in moved:
                states[delivery] = step.what
            elif step.what == Event.STATUS:  # it settles a send whose outcome was unknown
                states[delivery] = "failed" if step.detail.get("status") == "failed" else "sent"
    return states


def _status_of(delivery: str, steps: Sequence[Step]) -> str:
    told = [s.detail.get("status") for s in steps if s.what == Event.STATUS and delivery in s.ids]
    return str(told[-1]) if told else ""


def _delivered(delivery: str, state: str, status: str) -> str:
    told = {
        "queued": "is in the outbox",
        "sending": "is being sent",
        "unknown": "may have been sent: a status of Meta settles it, or it is sent again",
        "sent": f"was sent, Meta says: {status}" if status else "was sent, no status of Meta yet",
        "failed": "failed",
        "dropped": "was dropped: not wanted any more",
    }.get(state, state)
    return f"{delivery} {told}."


if __name__ == "__main__":
    raise SystemExit(main())
