"""Control API, part one: be the patients. Write, read along, wait for replies. Described in docs/simulator.md."""

from __future__ import annotations

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request
from pydantic import BaseModel, ConfigDict, ValidationError
from werkzeug.exceptions import HTTPException

from simulator.chats import Message
from simulator.people import IdentityKind, Patient
from simulator.statuses import send_status
from simulator.world import World
from simulator.writing import Bundle, Wish, write

Json = dict[str, Any]
MAX_WAIT_S = 60.0


class NewPatient(BaseModel):
    """Body of POST /control/patients."""

    model_config = ConfigDict(extra="forbid")

    number: str | None = None
    name: str = ""
    user_id: str | None = None
    username: str | None = None
    identity: IdentityKind = "both"


class PatientChange(BaseModel):
    """Body of PATCH /control/patients/<id>: only what is given changes."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    on_whatsapp: bool | None = None
    phone_on: bool | None = None
    read_receipts: bool | None = None


class StatusWish(BaseModel):
    """Body of POST /control/statuses: one more status for a message that was sent."""

    model_config = ConfigDict(extra="forbid")

    wamid: str
    status: str
    code: int | None = None
    repeat: int = 1


class ControlError(Exception):
    """Answered with `status` and {"error": sentence}."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def json_body() -> Json:
    """Return the request's JSON object.

    The type is demanded, so that a page of another site cannot post here through a visitor's browser.

    Raises:
        ControlError: 415 or 400.
    """
    if not request.is_json:
        raise ControlError(415, "Content-Type must be application/json")
    body = request.get_json(silent=True)
    if not isinstance(body, dict):
        raise ControlError(400, "the body must be a JSON object")
    return body


def number_argument(name: str, default: float, most: float) -> float:
    """Return a number of the query string, at most `most`.

    Raises:
        ControlError: 400 if it is no number or negative.
    """
    try:
        value = float(request.args.get(name, default))
    except ValueError:
        value = -1
    if not value >= 0:
        raise ControlError(400, f"{name} must be a number, zero or more")
    return min(value, most)


def handle_errors(blueprint: Blueprint) -> None:
    """Answer a problem of the caller with {"error": sentence}."""

    def answer(status: int, sentence: object) -> Response:
        response = jsonify({"error": sentence})
        response.status_code = status
        return response

    @blueprint.errorhandler(ControlError)
    def _(problem: ControlError) -> Response:
        return answer(problem.status, str(problem))

    @blueprint.errorhandler(ValidationError)
    def _(problem: ValidationError) -> Response:
        return answer(400, json.loads(problem.json(include_url=False, include_context=False)))

    @blueprint.errorhandler(ValueError)
    def _(problem: ValueError) -> Response:
        return answer(400, str(problem))

    @blueprint.errorhandler(HTTPException)
    def _(problem: HTTPException) -> Response:
        return answer(problem.code or 500, problem.description or "")


def create_blueprint(world: World) -> Blueprint:
    """Return the routes under /control that concern patients and messages."""
    blueprint = Blueprint("control", __name__)
    handle_errors(blueprint)

    def patient_of(key: str) -> Patient:
        patient = world.people.find(key)
        if patient is None:
            raise ControlError(404, "no such patient")
        return patient

    def message_of(wamid: str) -> Message:
        message = world.chats.get(wamid)
        if message is None:
            raise ControlError(404, "no such message")
        return message

    @blueprint.get("/patients")
    def patients() -> Response:
        with world.changes:
            return jsonify({"patients": [patient.to_json() for patient in world.people]})

    @blueprint.post("/patients")
    def add_patient() -> tuple[Response, int]:
        wish = NewPatient.model_validate(json_body())
        with world.changes:
            patient = world.people.add(wish.number, wish.name, wish.user_id, wish.identity, wish.username)
        world.changes.bump()
        return jsonify(patient.to_json()), 201

    @blueprint.get("/patients/<key>")
    def one_patient(key: str) -> Response:
        with world.changes:
            return jsonify(patient_of(key).to_json())

    @blueprint.patch("/patients/<key>")
    def change_patient(key: str) -> Response:
        change = PatientChange.model_validate(json_body())
        with world.changes:
            patient = patient_of(key)
            for name, value in change.model_dump(exclude_none=True).items():
                setattr(patient, name, value)
        world.changes.bump()
        return jsonify(patient.to_json())

    @blueprint.post("/messages")
    def send_message() -> tuple[Response, int]:
        body = json_body()
        bundle = Bundle.model_validate(body) if "messages" in body else Bundle(messages=[Wish.model_validate(body)])
        records = write(world, bundle)
        sent = [{"seq": record.seq, "wamid": record.wamid, "patient": record.patient} for record in records]
        return jsonify({"messages": sent}), 202

    @blueprint.get("/messages")
    def messages() -> Response:
        after, limit = int(number_argument("after", 0, 1e12)), int(number_argument("limit", 1000, 20_000))
        with world.changes:
            key = request.args.get("patient")
            found = world.chats.select(patient_of(key).id if key else None, _direction(), after, limit)
            return jsonify({"messages": [message.to_json() for message in found]})

    @blueprint.get("/messages/<path:wamid>")
    def one_message(wamid: str) -> Response:
        with world.changes:
            return jsonify(message_of(wamid).to_json())

    @blueprint.get("/replies")
    def replies() -> Response:
        """Wait until `count` messages to the patient stand after sequence number `after`."""
        after, count = int(number_argument("after", 0, 1e12)), max(1, int(number_argument("count", 1, 20_000)))
        key = request.args.get("patient")

        def find() -> list[Message]:
            patient = world.people.find(key) if key else None
            if key and patient is None:
                return []
            return world.chats.select(patient.id if patient else None, "to_patient", after, 20_000)

        def enough() -> list[Message] | None:
            found = find()
            return found if len(found) >= count else None

        complete = world.changes.wait_until(enough, number_argument("timeout", 10, MAX_WAIT_S))
        with world.changes:
            found = complete if complete is not None else find()
            body = [message.to_json() for message in found]
        return jsonify({"messages": body, "timed_out": complete is None})

    @blueprint.get("/calls")
    def calls() -> Response:
        after, limit = int(number_argument("after", 0, 1e12)), int(number_argument("limit", 1000, 100_000))
        with world.changes:
            found = [call for call in world.chats.calls if call["seq"] > after][:limit]
        return jsonify({"calls": found})

    @blueprint.post("/statuses")
    def add_status() -> tuple[Response, int]:
        wish = StatusWish.model_validate(json_body())
        with world.changes:
            message = message_of(wish.wamid)
        for _ in range(wish.repeat):
            send_status(world, message, wish.status, wish.code)
        return jsonify({"sent": wish.repeat}), 202

    return blueprint


def _direction() -> str | None:
    direction = request.args.get("direction")
    if direction not in (None, "to_clinic", "to_patient"):
        raise ControlError(400, "direction must be to_clinic or to_patient")
    return direction
