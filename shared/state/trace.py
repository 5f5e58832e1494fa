"""What Redis knows of one message, delivery or alarm: its records in the audit, and where it stands now.

Used by `python -m workers.timeline` and the operators' page; `shared.timeline` folds the records into steps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import redis

from shared.cipher import Cipher
from shared.identity import message_id
from shared.state import audit, dead
from shared.state.at_rest import sent_key
from shared.state.audit import Record
from shared.state.store import cipher_of
from shared.timeline import Standing, Step, begins, timeline

RECENT = timedelta(days=2)  # looked at first: most questions are about today
_OPAQUE = ("m_", "d_", "r_", "a_")
Watch = Callable[[Iterator[Record]], Iterable[Record]]


def resolve(client: redis.Redis, name: str, key: bytes) -> str | None:
    """Turn what an operator has in hand into an id of ours: an opaque id, or Meta's `wamid.…` of either direction.

    Args:
        client: state store.
        name: as typed.
        key: PATIENT_ID_KEY.

    Returns:
        None when it is neither.
    """
    if name.startswith(_OPAQUE):
        return name
    if name.startswith("wamid."):
        return str(client.get(sent_key(name)) or message_id(key, name))
    return None


def steps_of(client: redis.Redis, identifier: str, now: datetime, watch: Watch = iter) -> list[Step]:
    """The timeline of one id; the last two days are read first, everything when the story began before.

    Args:
        client: state store.
        identifier: opaque id.
        now: the present time.
        watch: may wrap the reading of records, to show progress.
    """
    steps = timeline(_records(client, identifier, now - RECENT, watch), identifier)
    if begins(steps):
        return steps
    return timeline(_records(client, identifier, "-", watch), identifier)


def standing(client: redis.Redis, identifier: str, steps: list[Step]) -> Standing:
    """Where the message or delivery of these steps stands at this moment."""
    patient = next((step.patient for step in steps if step.patient), "") or _patient_of(client, identifier)
    ids = {i for step in steps for i in step.ids} | {identifier}
    deliveries = sorted(i for i in ids if i.startswith(("d_", "r_")))
    with client.pipeline(transaction=False) as pipe:
        pipe.lrange(f"inbox:{patient}", 0, -1)
        pipe.zscore("waiting", patient)
        pipe.pttl(f"delay:{patient}")
        pipe.exists(f"lease:{patient}")
        pipe.get(f"handoff:{patient}")
        pipe.time()
        for delivery in deliveries:
            pipe.hget(f"delivery:{delivery}", "state")
        rows, due_ms, delay_ms, lease, handoff, (seconds, micros), *states = pipe.execute()
    place = next((n for n, raw in enumerate(rows) if _holds(raw, identifier, cipher_of(client))), None)
    letter = next((x.id for x in dead.list_letters(client, 10_000) if _concerns(x, identifier)), "")
    return Standing(
        place=place,
        due_in_s=max(0.0, due_ms / 1000 - seconds - micros / 1e6) if due_ms is not None else None,
        delayed_s=max(0, delay_ms) / 1000,
        in_hand=bool(lease),
        handoff=str(json.loads(handoff).get("reason", "")) if handoff else "",
        deliveries={d: state for d, state in zip(deliveries, states, strict=True) if state},
        letter=letter,
    )


def _holds(raw: str, identifier: str, cipher: Cipher) -> bool:
    return f'"{identifier}"' in cipher.open(raw.partition("|")[2])


def _concerns(letter: dead.Letter, identifier: str) -> bool:
    return identifier in letter.messages or identifier == letter.delivery


def _records(client: redis.Redis, identifier: str, since: datetime | str, watch: Watch) -> list[Record]:
    """All records of the patient whom `identifier` belongs to; two readings, so that only one patient is kept."""
    patient = _patient_of(client, identifier)
    if not patient:
        for record in watch(audit.read(client, since)):
            if record.patient and (identifier in record.ids or identifier == record.detail.get("alarm")):
                patient = record.patient
                break
    if not patient:
        return []
    return [record for record in watch(audit.read(client, since)) if record.patient == patient]


def _patient_of(client: redis.Redis, identifier: str) -> str:
    """Whose it is, if Redis says it without the audit; else ""."""
    if identifier.startswith("a_"):
        return str(client.hget(f"alarm:{identifier}", "patient") or "")
    box: Any = client.hget(f"delivery:{identifier}", "box")
    return str(box or "").partition(":")[0]
