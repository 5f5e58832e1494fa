"""What is known of a patient for the person who takes over: number, last messages, hand-off, window.

Read in two round trips for a whole list. Holds what must not be logged.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import redis
from pydantic import ValidationError

from shared.cipher import Cipher
from shared.conversation import Conversation, Role
from shared.state import staff
from shared.state.inbox import Entry
from shared.state.store import cipher_of
from webhook.ops import wording

_WINDOW_MS = round(staff.WINDOW.total_seconds() * 1000)


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was said. `who`: patient, assistant or staff."""

    who: str
    text: str
    at_ms: int
    note: str = ""  # unanswered, or what became of a person's words
    by: str = ""  # the operator


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient as staff see them."""

    id: str
    digits: str  # with country code, no plus; "" when only a user id is known
    wrote_ms: int  # last message; 0 unknown
    handoff: dict[str, Any] | None
    optout_ms: int  # 0: gets messages
    lines: tuple[Line, ...]  # oldest first

    @property
    def number(self) -> str:
        return wording.number(self.digits)

    @property
    def handoff_ms(self) -> int:
        """Since when a person has them; 0 when nobody does, or it is not known."""
        try:
            return _ms(datetime.fromisoformat(str((self.handoff or {}).get("at"))))
        except ValueError:
            return 0

    def window_until_ms(self) -> int:
        """Until when free text may be sent; 0 when the patient never wrote."""
        return self.wrote_ms + _WINDOW_MS if self.wrote_ms else 0

    def last(self, count: int) -> tuple[Line, ...]:
        return self.lines[-count:]


def read_one(client: redis.Redis, patient: str) -> Patient:
    """One patient, also one of whom nothing is known (any more)."""
    return read_many(client, [patient])[patient]


def read_many(client: redis.Redis, ids: Iterable[str]) -> dict[str, Patient]:
    """Patients by id."""
    wanted = list(dict.fromkeys(filter(None, ids)))
    if not wanted:
        return {}
    with client.pipeline(transaction=False) as pipe:
        for p in wanted:
            pipe.hmget(f"address:{p}", "number", "wrote_ms")
            pipe.get(f"handoff:{p}")
            pipe.zscore("optouts", p)
            pipe.get(f"conversation:{p}")
            pipe.lrange(f"inbox:{p}", 0, 49)
            pipe.lrange(f"written:{p}", 0, -1)
        found = pipe.execute()
    cipher = cipher_of(client)
    rows = [found[i : i + 6] for i in range(0, len(found), 6)]
    written = {p: staff.read_written(row[5], cipher) for p, row in zip(wanted, rows, strict=True)}
    states = _states(client, [one.delivery for many in written.values() for one in many])
    patients = {}
    for p, ((digits, wrote), handoff, optout, conversation, inbox, _) in zip(wanted, rows, strict=True):
        lines = [*_turns(conversation, cipher), *_waiting(inbox, cipher)]
        lines += [Line("staff", w.text, _ms(w.at), states.get(w.delivery, ""), w.by) for w in written[p]]
        lines.sort(key=lambda line: line.at_ms)  # stable: a turn's question stays before its answer
        patients[p] = Patient(
            id=p,
            digits=cipher.open(digits or ""),
            wrote_ms=int(float(wrote or 0)),
            handoff=read_json(handoff),
            optout_ms=int(optout or 0),
            lines=tuple(lines),
        )
    return patients


def read_json(text: str | None) -> dict[str, Any] | None:
    """A JSON object, or None for anything else."""
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _turns(text: str | None, cipher: Cipher) -> list[Line]:
    try:
        turns = Conversation.from_json(cipher.open(text)).turns if text else ()
    except ValidationError:
        return []
    who = {Role.PATIENT: "patient", Role.ASSISTANT: "assistant"}
    return [Line(who[turn.role], turn.text, _ms(turn.at)) for turn in turns]


def _waiting(rows: Sequence[str], cipher: Cipher) -> list[Line]:
    lines = []
    for raw in rows:
        try:
            message = Entry.read(raw, cipher).message
        except ValueError:
            continue
        text = message.text or f"({wording.KINDS.get(message.kind, message.kind)})"
        lines.append(Line("patient", text, _ms(message.at), "sin responder"))
    return lines


def _states(client: redis.Redis, deliveries: Sequence[str]) -> dict[str, str]:
    """What became of each delivery, in words."""
    if not deliveries:
        return {}
    with client.pipeline(transaction=False) as pipe:
        for delivery in deliveries:
            pipe.hmget(f"delivery:{delivery}", "status", "state")
        found = pipe.execute()
    return {
        delivery: wording.SENT.get(status or state or "", "")
        for delivery, (status, state) in zip(deliveries, found, strict=True)
    }


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)
