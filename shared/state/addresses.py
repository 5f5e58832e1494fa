"""Which number or user id belongs to which patient: the only place where addresses are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from shared.messages import Identity, IdentityChange
from shared.state.inbox import ADDRESS_TTL_S


def address_of(client: redis.Redis, patient: str) -> Identity:
    """Where a patient can be written to. Not to be logged."""
    fields = client.hgetall(f"address:{patient}")
    return Identity(number=fields.get("number"), user_id=fields.get("user_id"))


def patient_of(client: redis.Redis, ids: Sequence[str]) -> str:
    """The patient behind candidate ids (`shared.identity.candidate_ids`), the surest first."""
    known = client.mget([f"alias:{i}" for i in ids])
    return next((str(p) for p in known if p), ids[-1])


def learn(client: redis.Redis, patient: str, identity: Identity, ids: Sequence[str]) -> None:
    """Add what was learnt of a patient (a shared contact card, a new number); harmless when repeated."""
    fields: dict[Any, Any] = {k: v for k, v in (("number", identity.number), ("user_id", identity.user_id)) if v}
    with client.pipeline(transaction=True) as pipe:
        if fields:
            pipe.hset(f"address:{patient}", mapping=fields)
            pipe.expire(f"address:{patient}", ADDRESS_TTL_S)
        for i in ids:
            if i != patient:
                pipe.set(f"alias:{i}", patient, ex=ADDRESS_TTL_S)
        pipe.execute()


def apply_change(client: redis.Redis, change: IdentityChange, before: Sequence[str], after: Sequence[str]) -> None:
    """A patient's number or user id was replaced: the new name leads to the same patient.

    Args:
        client: state store.
        change: old and new identity.
        before: candidate ids of the old identity.
        after: candidate ids of the new one.
    """
    if before and after:
        learn(client, patient_of(client, before), change.after, after)
