"""Delivery statuses: their JSON (whatsapp-cloud-api.md 4 and 5), and the ladder sent -> delivered -> read."""

from __future__ import annotations

from typing import Any

import requests

from simulator.chats import Message
from simulator.faults import Fault
from simulator.incoming import contact_of
from simulator.meta_errors import MetaError
from simulator.people import Patient
from simulator.webhooks import Result, encode, envelope
from simulator.world import World

Json = dict[str, Any]


def build_status(
    message: Message, patient: Patient, status: str, timestamp: int, metadata: Json, code: int | None = None
) -> Json:
    """Return an element of `changes[]` that carries one status.

    A `failed` status has errors and no contacts; the username comes only with `delivered` and `read`.
    """
    by_number = bool(message.body.get("to"))
    update: Json = {"id": message.wamid, "status": status, "timestamp": str(timestamp)}
    if by_number:
        update["recipient_id"] = message.body["to"].lstrip("+")  # the number of then, even if it changed since
    if patient.user_id and not (status == "failed" and by_number):
        update["recipient_user_id"] = patient.user_id
    if message.delivery_id is not None:
        update["biz_opaque_callback_data"] = message.delivery_id
    value: Json = {"messaging_product": "whatsapp", "metadata": metadata}
    if status == "failed":
        update["errors"] = [MetaError(code or 131000).to_status_error()]
    else:
        if status in ("sent", "delivered"):
            category = "utility" if message.kind == "template" else "service"
            update["pricing"] = {"billable": True, "pricing_model": "PMP", "type": "regular", "category": category}
        value["contacts"] = [contact_of(patient, with_username=status != "sent")]
    return {"field": "messages", "value": value | {"statuses": [update]}}


def send_status(world: World, message: Message, status: str, code: int | None = None) -> None:
    """Record a status on the message and post it; when it is answered 200 is noted beside it."""
    recorded = _record(world, message, status, code)
    if recorded is None:
        return
    change, entry = recorded

    def heard(result: Result) -> None:
        if result.ok:
            entry["acknowledged_at"] = world.clock.now().isoformat()

    world.webhooks.send_change(message.patient, change, heard)


def climb(world: World, message: Message, patient: Patient, fault: Fault | None) -> None:
    """Let the statuses of an accepted message follow, as the fault wants them.

    With "before_answer" the first one is posted before this function returns, that is before the send is answered.
    """
    mode = fault.statuses if fault else "normal"
    if mode == "none":
        return
    if mode == "before_answer":
        recorded = _record(world, message, "sent", None)
        if recorded is not None:
            change, entry = recorded
            try:
                answer = world.webhooks.post_now(encode(envelope(world.options.account_id, [change])))
                if answer.status_code == 200:
                    entry["acknowledged_at"] = world.clock.now().isoformat()
            except requests.RequestException:
                world.changes.bump()  # the webhook is down; Meta would try again, the next statuses tell the same
    rules = world.rules
    delays_ms = {"sent": rules.sent_after_ms, "delivered": rules.delivered_after_ms, "read": rules.read_after_ms}
    if mode == "failed" or not patient.on_whatsapp:
        code = fault.failed_code if fault and mode == "failed" else 131026
        _later(world, message, "failed", rules.delivered_after_ms / 1000, code)
        return
    steps = _steps(message, patient, mode)
    delays_s = [delays_ms[status] / 1000 for status in steps]
    if mode == "reversed":
        steps.reverse()  # at the same moments, the other way round
    for status, delay_s in zip(steps, delays_s, strict=True):
        late_s = fault.status_delay_s if fault and mode == "late" else 0
        for _ in range(2 if mode == "repeated" else 1):
            _later(world, message, status, delay_s + late_s)


def _steps(message: Message, patient: Patient, mode: str) -> list[str]:
    steps = ["sent", "delivered", "read"]
    if message.kind == "reaction" or not patient.phone_on:
        steps = ["sent"]
    elif not patient.read_receipts:
        steps = ["sent", "delivered"]
    return steps[1:] if mode == "before_answer" else steps


def _later(world: World, message: Message, status: str, delay_s: float, code: int | None = None) -> None:
    world.timers.after(delay_s, lambda: send_status(world, message, status, code))


def _record(world: World, message: Message, status: str, code: int | None) -> tuple[Json, Json] | None:
    with world.changes:
        patient = world.people.get(message.patient)
        if patient is None:  # a reset came in between
            return None
        now = world.clock.now()
        entry: Json = {"status": status, "at": now.isoformat()}
        if status == "failed":
            entry["code"] = code or 131000
        message.statuses.append(entry)
        change = build_status(message, patient, status, int(now.timestamp()), world.metadata, code)
    world.changes.bump()
    return change, entry
