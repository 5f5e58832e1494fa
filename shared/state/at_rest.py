"""In which form messages and replies lie in Redis: patients' words encrypted, what the Lua scripts look at beside them.

An inbox holds `received_ms|token`, an outbox `delivery_id|{"sealed": token, "created_at": …, "through_handoff": …}`.
Without keys, and as a former release wrote them, both hold the JSON itself. Pure; called by the modules of this folder.
"""

from __future__ import annotations

import hashlib
import json

import redis

from shared.cipher import Cipher
from shared.messages import Delivery
from shared.state.store import seal

_SEALED = '{"sealed"'
_FOR_SCRIPTS = {"created_at", "through_handoff"}  # claim.lua and replay_delivery.lua read these


def stored_delivery(client: redis.Redis, delivery: Delivery) -> str:
    """The item of an outbox that holds this delivery."""
    body = delivery.to_json()
    sealed = seal(client, body)
    return wrapped(delivery, sealed) if sealed != body else f"{delivery.id}|{body}"


def wrapped(delivery: Delivery, sealed: str) -> str:
    """The item, given the token of the delivery's JSON."""
    seen = delivery.model_dump(mode="json", include=_FOR_SCRIPTS, exclude_defaults=True)
    return f"{delivery.id}|{json.dumps({'sealed': sealed, **seen}, separators=(',', ':'))}"


def read_delivery(raw: str, cipher: Cipher) -> Delivery:
    """Read an item of an outbox.

    Raises:
        ValueError: it is no delivery.
        UnreadableSecret: no key of ours fits.
    """
    body = raw.partition("|")[2]
    if body.startswith(_SEALED):
        body = cipher.open(str(json.loads(body)["sealed"]))
    return Delivery.from_json(body)


def sent_key(wamid: str) -> str:
    """`sent:{hash of wamid}`: Meta's id spells the phone number. Half of it is random, so that no key is needed."""
    return "sent:" + hashlib.blake2b(wamid.encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()
