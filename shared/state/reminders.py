"""Reminders in Redis: the claim of each visit, who agreed to them, whom Meta lets us write to, what has not arrived."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import redis

from shared.messages import Delivery, Identity
from shared.state.addresses import address_fields
from shared.state.at_rest import stored_delivery
from shared.state.inbox import ADDRESS_TTL_S
from shared.state.store import Value, script

CLAIM_TTL_S = 30 * 86400
ARRIVED = dt.timedelta(hours=6)  # before the visit, somebody has to call who was not reached
LEAST_TIME_TO_ARRIVE = dt.timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Claim:
    """One reminder to be put into a patient's outbox, once.

    `address` is where the patient is written to, `ids` the candidate ids behind it (`shared.identity.candidate_ids`).
    """

    delivery: Delivery
    address: Identity
    ids: tuple[str, ...]
    call: dict[str, Any]  # the line for the call list, should it fail
    arrived_by: dt.datetime


def claim_key(appointment_id: str, start: dt.datetime, kind: str) -> str:
    """`reminded:{appointment}:{start}:{kind}`; the start in UTC, so that one instant has one name."""
    return f"reminded:{appointment_id}:{start.astimezone(dt.UTC):%Y-%m-%dT%H:%M}:{kind}"


def claim(client: redis.Redis, wanted: Sequence[Claim]) -> int:
    """Claim reminders and queue them, in three round trips; returns how many were not claimed before.

    A patient known by another name keeps it; an opted-out one is left alone.
    """
    if not wanted:
        return 0
    known = client.mget([f"alias:{one.ids[0]}" for one in wanted])
    patients = [str(p) if p else one.ids[0] for p, one in zip(known, wanted, strict=True)]
    with client.pipeline(transaction=False) as pipe:
        for patient, one in zip(patients, wanted, strict=True):
            pipe.exists(f"optout:{patient}")
            # The address first: a reminder in an outbox must find its way.
            pipe.hset(f"address:{patient}", mapping=address_fields(client, one.address))
            pipe.expire(f"address:{patient}", ADDRESS_TTL_S)
        opted_out = pipe.execute()[::3]
    calls: list[tuple[list[str], list[Value]]] = []
    for patient, one, out in zip(patients, wanted, opted_out, strict=True):
        visit = one.delivery.reminder_of
        if out or visit is None:
            continue
        box = f"{patient}:reminder"
        keys = [
            claim_key(visit.appointment_id, visit.start, visit.kind),
            f"outbox:{box}",
            "reminders",
            f"delivery:{one.delivery.id}",
            "unconfirmed",
        ]
        args: list[Value] = [
            CLAIM_TTL_S,
            stored_delivery(client, one.delivery),
            box,
            _ms(visit.due),
            one.delivery.id,
            _ms(one.arrived_by),
            json.dumps(one.call | {"patient": patient, "kind": "reminder"}),
        ]
        calls.append((keys, args))
    return sum(script("remind").many(client, calls)) if calls else 0


def claim_elsewhere(client: redis.Redis, patient: str, call: dict[str, str], *, by: str) -> str | None:
    """Claim a visit's reminder for a program that sends it itself; it shares the claim of our own reminders.

    Should Meta not tell that it arrived, the visit goes on the call list as with ours.

    Args:
        client: state store.
        patient: patient id.
        call: the line for that list: appointment, ref, start (ISO with offset), reminder (its kind).
        by: the program, for the audit.

    Returns:
        The delivery id, to be sent along as `biz_opaque_callback_data`; None when somebody else was first.
    """
    start = dt.datetime.fromisoformat(call["start"])
    key = claim_key(call["appointment"], start, call["reminder"])
    delivery_id = "r_" + hashlib.blake2b(key.encode(), digest_size=12).hexdigest()
    arrived_by = max(start - ARRIVED, dt.datetime.now(dt.UTC) + LEAST_TIME_TO_ARRIVE)
    line = call | {"kind": "reminder", "patient": patient}
    args: list[Value] = [
        CLAIM_TTL_S,
        f"{delivery_id} {by} {uuid.uuid4().hex}",
        delivery_id,
        patient,
        _ms(arrived_by),
        json.dumps(line),
        json.dumps(line | {"by": by}),
    ]
    done = script("remind_elsewhere")(client, [key, f"delivery:{delivery_id}", "unconfirmed"], args)
    return delivery_id if done else None


def put_on_call_list(client: redis.Redis, line_id: str, line: dict[str, Any]) -> None:
    """Add a line to the staff call list, once per id."""
    script("call")(client, [], [line_id, json.dumps(line)])


def agreed_in_chat(client: redis.Redis, patient: str) -> bool:
    """The patient said yes to reminders in the chat, and has not written BAJA since."""
    return bool(client.exists(f"consent:{patient}"))


def opted_out(client: redis.Redis, patient: str) -> bool:
    return bool(client.exists(f"optout:{patient}"))


def may_reach(client: redis.Redis, patient: str, people_a_day: int) -> bool:
    """Count a patient among those whom we write to unasked; False when Meta's limit of people in 24 h is reached."""
    keys = ["contacted", f"address:{patient}"]
    return bool(script("reach")(client, keys, [patient, people_a_day]))


def call_about_unconfirmed(client: redis.Redis, *, at_most: int = 500) -> int:
    """Put reminders that should have arrived by now and did not on the call list; returns how many were looked at."""
    return int(script("unconfirmed")(client, ["unconfirmed"], [at_most]))


def _ms(at: dt.datetime) -> int:
    return round(at.timestamp() * 1000)
