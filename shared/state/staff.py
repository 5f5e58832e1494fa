"""What a person does on the operators' page: write to a patient, give one back, tick off a call, lift an opt-out.

Each is one atomic step that checks what is still true and says who did it in the audit. Called by `webhook.ops`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any

import redis

from shared.cipher import CLEAR, Cipher
from shared.messages import Delivery, Reply
from shared.state.at_rest import stored_delivery
from shared.state.inbox import HANDOFF_TTL_S, RING_AGAIN_MS
from shared.state.store import Value, script, seal

WINDOW = timedelta(hours=24)  # after the patient's last message Meta takes free text for so long
MAX_CHARS = 1000


class Wrote(IntEnum):
    """What became of a person's words."""

    QUEUED = 1
    BEFORE = 0  # the same form was sent before: nothing is sent twice
    NO_HANDOFF = -1  # the assistant has the patient again
    WINDOW_CLOSED = -2


@dataclass(frozen=True, slots=True)
class Written:
    """One text that a person sent; kept as long as a hand-off lasts."""

    delivery: str
    by: str
    at: datetime
    text: str


def reply_id(patient: str, form_id: str) -> str:
    """The delivery id of what is written in one form: the same however often it is submitted."""
    return "d_" + hashlib.blake2b(f"{patient}:{form_id}:staff".encode(), digest_size=12).hexdigest()


def reply(client: redis.Redis, patient: str, form_id: str, text: str, by: str, now: datetime) -> tuple[Wrote, str]:
    """Put a person's words into the patient's outbox, through the hand-off.

    Args:
        client: state store.
        patient: opaque id.
        form_id: given once with the form, so that two submits are one message.
        text: at most MAX_CHARS characters.
        by: the operator, for the audit.
        now: aware.

    Returns:
        What became of it, and the delivery id.
    """
    wrote_ms = int(float(client.hget(f"address:{patient}", "wrote_ms") or 0))
    delivery = Delivery(
        id=reply_id(patient, form_id),
        reply=Reply(text=text),
        created_at=now,
        expires_at=datetime.fromtimestamp(wrote_ms / 1000, UTC) + WINDOW,
        through_handoff=True,
    )
    box = f"{patient}:normal"
    keys = [f"delivery:{delivery.id}", f"outbox:{box}", "outgoing", f"handoff:{patient}", f"address:{patient}"]
    line = {"delivery": delivery.id, "by": by, "at": now.isoformat(), "text": text}
    args: list[Value] = [
        patient,
        delivery.id,
        stored_delivery(client, delivery),
        box,
        RING_AGAIN_MS,
        json.dumps({"by": by}),
        seal(client, json.dumps(line, ensure_ascii=False)),
        HANDOFF_TTL_S,
        round(WINDOW.total_seconds() * 1000),
    ]
    return Wrote(script("staff_reply")(client, [*keys, f"written:{patient}"], args)), delivery.id


def read_written(rows: list[str], cipher: Cipher = CLEAR) -> list[Written]:
    """Read the lines of `written:{p}`, oldest first; one that cannot be read is left out (pure)."""
    found = []
    for row in rows:
        try:
            line: dict[str, Any] = json.loads(cipher.open(row))
            at = datetime.fromisoformat(line["at"])
            found.append(Written(str(line["delivery"]), str(line["by"]), at, str(line["text"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def give_back(client: redis.Redis, patient: str, by: str) -> bool:
    """The assistant answers this patient's next message again; False when it did already."""
    keys = [f"handoff:{patient}", "handoffs"]
    return bool(script("staff_return")(client, keys, [patient, json.dumps({"by": by})]))


def call_done(client: redis.Redis, call_id: str, by: str) -> bool:
    """Take a line off the staff call list; False when it was gone."""
    return bool(script("staff_call_done")(client, ["calls"], [call_id, by]))


def reactivate(client: redis.Redis, patient: str, by: str) -> bool:
    """Lift an opt-out at the patient's request; False when there was none. Consent to reminders is not given by it."""
    keys = [f"optout:{patient}", "optouts"]
    return bool(script("staff_reactivate")(client, keys, [patient, json.dumps({"by": by})]))
