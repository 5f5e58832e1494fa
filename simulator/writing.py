"""A patient writes: records the message, and posts it to the webhook, alone or with others in one body.

Called by the control API, and through it by the page.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator.bubbles import incoming_text
from simulator.chats import Message, new_wamid
from simulator.incoming import NOT_OPENING_WINDOW, SYSTEM_KINDS, build_message, contact_of
from simulator.people import Patient, made_up_user_id
from simulator.webhooks import Result, encode, envelope
from simulator.world import World

Json = dict[str, Any]


class Wish(BaseModel):
    """One message to send. What a kind needs (`text`, `title`, …) stands beside it: docs/simulator.md."""

    model_config = ConfigDict(extra="allow")

    patient: str
    kind: str = "text"
    name: str = ""  # of a patient who is not known yet
    wamid: str | None = None
    timestamp: int | None = None  # Unix seconds; None = now
    repeat: int = Field(default=1, ge=1, le=100)  # the same POST that often


class Bundle(BaseModel):
    """Several messages at once."""

    model_config = ConfigDict(extra="forbid")

    messages: list[Wish] = Field(min_length=1, max_length=20_000)
    batch: int = Field(default=1, ge=1, le=1000)  # messages per POST
    batch_as: Literal["messages", "changes", "entries"] = "messages"  # on which level they stand side by side
    shuffle: int | None = None  # seed: the POSTs go out in another order than they were written
    repeat: int = Field(default=1, ge=1, le=100)


def write(world: World, bundle: Bundle) -> list[Message]:
    """Record the messages in their order and start posting them.

    Raises:
        ValueError: if a wish cannot be built; then nothing was sent.
    """
    with world.changes:
        built = [_build(world, wish) for wish in bundle.messages]
        records = [_record(world, *parts) for parts in built]
    posts: list[tuple[str, bytes, list[Message], int]] = []
    for start in range(0, len(built), bundle.batch):
        members = built[start : start + bundle.batch]
        repeat = max([bundle.repeat, *(wish.repeat for wish, _, _ in members)])
        body = encode(_payload(world, members, bundle.batch_as))
        posts.append((members[0][1].id, body, records[start : start + bundle.batch], repeat))
    if bundle.shuffle is not None:
        random.Random(bundle.shuffle).shuffle(posts)
    for patient_id, body, covered, repeat in posts:
        for _ in range(repeat):
            world.webhooks.send_body(patient_id, body, partial(_acknowledge, covered))
    world.changes.bump()
    return records


def _build(world: World, wish: Wish) -> tuple[Wish, Patient, Json]:
    patient = world.people.find_or_add(wish.patient, wish.name)
    if wish.name and not patient.name:
        patient.name = wish.name
    details: Json = dict(wish.model_extra or {})
    seconds = wish.timestamp if wish.timestamp is not None else int(world.clock.now().timestamp())
    if wish.kind in SYSTEM_KINDS:
        _complete_change(details, patient)
    wamid = wish.wamid or new_wamid()
    return wish, patient, build_message(patient, wamid, seconds, wish.kind, details, world.options.display_phone_number)


def _complete_change(details: Json, patient: Patient) -> None:
    """A new number comes with a new BSUID, for whoever has one."""
    details["previous_user_id"] = patient.user_id
    if "new_number" in details:
        details["new_number"] = str(details["new_number"]).lstrip("+")
    if patient.user_id is not None:
        details.setdefault("new_user_id", made_up_user_id(f"{patient.user_id}{details.get('new_number')}"))


def _record(world: World, wish: Wish, patient: Patient, message: Json) -> Message:
    at = datetime.fromtimestamp(int(message["timestamp"]), UTC)
    if wish.kind not in NOT_OPENING_WINDOW and (patient.wrote_at is None or at >= patient.wrote_at):
        patient.wrote_at, patient.wrote_by_wall_clock = at, wish.timestamp is None
    if wish.kind in SYSTEM_KINDS:
        new = message["system"]
        number = new.get("wa_id") if wish.kind == "user_changed_number" else patient.number
        world.people.change(patient, number, new.get("user_id", patient.user_id))
    return world.chats.add("to_clinic", patient.id, message["id"], wish.kind, incoming_text(message), message, at)


def _payload(world: World, members: list[tuple[Wish, Patient, Json]], batch_as: str) -> Json:
    groups = [members] if batch_as == "messages" else [[member] for member in members]
    changes = [{"field": "messages", "value": _value(world, group)} for group in groups]
    if batch_as != "entries":
        return envelope(world.options.account_id, changes)
    whole = envelope(world.options.account_id, [])
    whole["entry"] = [{"id": world.options.account_id, "changes": [change]} for change in changes]
    return whole


def _value(world: World, group: list[tuple[Wish, Patient, Json]]) -> Json:
    value: Json = {"messaging_product": "whatsapp", "metadata": world.metadata}
    # System messages come without contacts; otherwise each person stands there once.
    contacts = {patient.id: contact_of(patient) for wish, patient, _ in group if wish.kind not in SYSTEM_KINDS}
    if contacts:
        value["contacts"] = list(contacts.values())
    return value | {"messages": [message for _, _, message in group]}


def _acknowledge(covered: list[Message], result: Result) -> None:
    for message in covered:
        message.webhook_attempts = max(message.webhook_attempts, result.attempts)
        message.webhook_status = result.status
        if message.webhook != "accepted":  # a repeated POST that fails does not undo the first one's 200
            message.webhook = "accepted" if result.ok else "gave_up" if result.final else "retrying"
