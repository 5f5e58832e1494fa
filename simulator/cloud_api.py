"""Plays Meta's Graph API: POST /{version}/{phone_number_id}/messages. Checks, records, answers, sends statuses."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, jsonify, request

from simulator.bubbles import outgoing_text
from simulator.chats import Message, new_wamid
from simulator.faults import Fault
from simulator.limits import check_common, check_content, check_read_mark
from simulator.meta_errors import MetaError
from simulator.misfortune import error_answer, hang_up, wait
from simulator.people import Patient
from simulator.rules import window_is_open
from simulator.statuses import climb
from simulator.templates import render
from simulator.world import World

TYPING = timedelta(seconds=25)
_VERSION = re.compile(r"^v\d{1,2}\.\d$")


@dataclass
class Call:
    """What one POST turned out to be; recorded whatever happens."""

    body: dict[str, Any]
    patient: Patient | None
    kind: str
    wamid: str | None = None


def create_blueprint(world: World) -> Blueprint:
    """Return the route of the Graph API; to be mounted at the root."""
    blueprint = Blueprint("cloud_api", __name__)

    @blueprint.post("/<version>/<phone_number_id>/messages")
    def messages(version: str, phone_number_id: str) -> Response:
        call = _look_at_call(world)
        fault = _take_fault(world, call)
        if fault is not None:
            wait(world, fault.delay_s)
            if fault.drop == "before":
                _record_call(world, call, None, None)
                return hang_up()
            if fault.has_error_answer and not fault.commit:
                _record_call(world, call, fault.status, fault.code)
                return error_answer(fault)
        try:
            authorise(world, version, phone_number_id, world.options.phone_number_id)
            answer = _mark_read(world, call) if call.kind == "read" else _accept(world, call, fault)
        except MetaError as error:
            _record_call(world, call, error.status, error.code)
            refusal = jsonify(error.to_json())
            refusal.status_code = error.status
            return refusal
        if fault is not None:
            wait(world, fault.delay_answer_s)
            if fault.drop == "after":
                return hang_up()
            if fault.has_error_answer:
                return error_answer(fault)
        return jsonify(answer)

    return blueprint


def _look_at_call(world: World) -> Call:
    """Say whom and what a call is about without judging it, so that faults can match a broken one too."""
    parsed = request.get_json(force=True, silent=True)
    body: dict[str, Any] = parsed if isinstance(parsed, dict) else {}
    if "status" in body:
        with world.changes:
            about = world.chats.get(str(body.get("message_id")))
            return Call(body, world.people.find(about.patient) if about else None, "read")
    kind = str(body.get("type", "text"))
    interactive = body.get("interactive")
    if kind == "interactive" and isinstance(interactive, dict):
        kind = str(interactive.get("type"))
    with world.changes:
        return Call(body, world.people.find(str(body.get("to") or body.get("recipient") or "")), kind)


def _take_fault(world: World, call: Call) -> Fault | None:
    to = str(call.body.get("to") or call.body.get("recipient") or "").lstrip("+")
    keys = {to, *((call.patient.id, call.patient.number or "", call.patient.user_id or "") if call.patient else ())}
    with world.changes:
        return world.faults.take("cloud", keys - {""}, {call.kind, str(call.body.get("type", "text"))})


def authorise(world: World, version: str, object_id: str, expected_id: str, *, management: bool = False) -> None:
    """Let a call pass that brings our token and names an object of ours.

    Raises:
        MetaError: as the Graph API refuses it.
    """
    if not _VERSION.match(version):
        raise MetaError(100, f"(#2500) Unknown path components: /{version}")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise MetaError(0, "Authentication Error")
    if token.strip() != world.options.access_token:
        raise MetaError(190, "Invalid OAuth access token - Cannot parse access token")
    world.account.check_token(management=management)
    if object_id != expected_id:
        raise MetaError(
            100,
            f"Unsupported {request.method.lower()} request. Object with ID '{object_id}' does not exist, cannot be "
            "loaded due to missing permissions, or does not support this operation.",
            subcode=33,
        )


def _mark_read(world: World, call: Call) -> dict[str, Any]:
    wamid = check_read_mark(call.body)
    with world.changes:
        message = world.chats.get(wamid)
        if message is None and world.rules.check_wamids:
            raise MetaError(131009, "message_id is not a message that this number received")
        if message is not None:
            if message.direction != "to_clinic":
                raise MetaError(131009, "message_id is not a message that this number received")
            world.chats.mark_read(message)
            if "typing_indicator" in call.body and call.patient is not None:
                call.patient.typing_until = world.clock.now() + TYPING
                world.timers.after(TYPING.total_seconds(), world.changes.bump)
    _record_call(world, call, 200, None)
    return {"success": True}


def _accept(world: World, call: Call, fault: Fault | None) -> dict[str, Any]:
    body = call.body
    check_common(body, world.options.display_phone_number)
    kind = check_content(body)
    with world.changes:
        if kind == "template":
            render(world.templates.get(body["template"]), body["template"])
        patient = world.people.find_or_add(body.get("to") or body["recipient"])
        call.patient, call.kind = patient, kind
        _check_volume(world, patient, kind)
        if kind == "reaction" and world.rules.check_wamids and world.chats.get(body["reaction"]["message_id"]) is None:
            raise MetaError(131009, "reaction.message_id is not a message of this chat")
        call.wamid = new_wamid()
        message = _record_message(world, call, patient)
        # The order of calls is the order of messages: both are recorded under the same lock.
        _record_call(world, call, 200, None)
    climb(world, message, patient, fault)
    if body.get("to"):
        contact = {"input": body["to"], "wa_id": patient.number or body["to"].lstrip("+")}
    else:
        contact = {"input": body["recipient"], "user_id": body["recipient"]}
    return {
        "messaging_product": "whatsapp",
        "contacts": [contact],
        "messages": [{"id": call.wamid, "message_status": "accepted"}],
    }


def _check_volume(world: World, patient: Patient, kind: str) -> None:
    rules = world.rules
    now = world.clock.now()
    if rules.throughput and world.throughput.count(time.monotonic()) > rules.throughput_per_s:
        raise MetaError(130429)
    if kind != "template" and not window_is_open(rules.window, patient.wrote_at, patient.wrote_by_wall_clock, now):
        raise MetaError(131047)
    if rules.pair_rate and not world.pair_rate.allow(patient.id, now.timestamp()):
        raise MetaError(131056, subcode=2494055)


def _record_message(world: World, call: Call, patient: Patient) -> Message:
    now = world.clock.now()
    patient.typing_until = now  # a reply ends the typing indicator
    text = outgoing_text(call.body, world.templates)
    delivery_id = call.body.get("biz_opaque_callback_data")
    return world.chats.add("to_patient", patient.id, call.wamid or "", call.kind, text, call.body, now, delivery_id)


def _record_call(world: World, call: Call, status: int | None, code: int | None) -> None:
    with world.changes:
        world.chats.add_call(
            at=world.clock.now().isoformat(),
            patient=call.patient.id if call.patient else None,
            kind=call.kind,
            http_status=status,
            code=code,
            wamid=call.wamid,
            delivery_id=call.body.get("biz_opaque_callback_data"),
            body=call.body,
        )
    world.changes.bump()
