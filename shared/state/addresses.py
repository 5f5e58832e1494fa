"""Which number or user id belongs to which patient: the only place where addresses are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import redis

from shared.messages import Identity, IdentityChange
from shared.state.inbox import ADDRESS_TTL_S
from shared.state.store import seal, unseal


def address_of(client: redis.Redis, patient: str) -> Identity:
    """Where a patient can be written to. Not to be logged."""
    kept: Any = client.hmget(f"address:{patient}", "number", "user_id")
    number, user_id = (unseal(client, value) if value else None for value in kept)
    return Identity(number=number, user_id=user_id)


def address_fields(client: redis.Redis, identity: Identity) -> dict[Any, Any]:
    """The fields of `address:{p}` that say this; what is not known is left as it is."""
    known = (("number", identity.number), ("user_id", identity.user_id))
    return {name: seal(client, value) for name, value in known if value}


def patient_of(client: redis.Redis, ids: Sequence[str]) -> str:
    """The patient behind candidate ids (`shared.identity.candidate_ids`), the surest first."""
    known = client.mget([f"alias:{i}" for i in ids])
    return next((str(p) for p in known if p), ids[-1])


def learn(client: redis.Redis, patient: str, identity: Identity, ids: Sequence[str]) -> None:
    """Add what was learnt of a patient (a shared contact card, a new number); harmless when repeated."""
    fields = address_fields(client, identity)
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
