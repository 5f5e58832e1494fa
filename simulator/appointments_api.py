"""Plays the clinic's appointments backend over HTTP: the reference for the contract of docs/architecture.md, section 5.

Mounted under /backend of the simulator, and at the root of its own port on demand.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from simulator.appointment_json import number_of
from simulator.appointments_store import Answer
from simulator.faults import Fault
from simulator.misfortune import error_answer, hang_up, wait
from simulator.people import NUMBER
from simulator.world import World

Json = dict[str, Any]


class _BadRequest(Exception):
    """The request does not say what it must; answered 400."""


def create_blueprint(world: World, name: str = "appointments_api") -> Blueprint:
    """Return the backend's routes, relative to where it is mounted."""
    blueprint = Blueprint(name, __name__)
    store = world.store

    def write(route: str, build: Callable[[Json], Callable[[], Answer]]) -> Response:
        """Answer a POST. `build` reads the body and returns the action that one transaction carries out."""
        body = request.get_json(force=True, silent=True)
        fields: Json = body if isinstance(body, dict) else {}

        def act() -> Response:
            if not isinstance(body, dict):
                raise _BadRequest("the body must be a JSON object")
            key = request.headers.get("Idempotency-Key") or None
            if key is None and world.rules.require_idempotency_key:
                raise _BadRequest("Idempotency-Key is missing")
            (status, answer), replayed = store.write(route, key, fields, build(fields))
            world.note_write(route, fields, status, answer, replayed=replayed)
            response = _json(status, answer)
            if replayed:
                response.headers["Idempotent-Replayed"] = "true"
            world.changes.bump()
            return response

        number = number_of(fields.get("appointment_id"))
        phone = fields.get("phone") or (store.phone_of(number) if number is not None else None)
        return _play(world, route, phone, act)

    def read(route: str, phone: str | None, answer: Callable[[], Answer]) -> Response:
        return _play(world, route, phone, lambda: _json(*answer()))

    def schedule(body: Json) -> Callable[[], Answer]:
        phone, start = _phone(body.get("phone")), _datetime(body.get("datetime"))
        return lambda: store.schedule(phone, start, str(body.get("reason") or ""), str(body.get("name") or ""))

    def on_appointment(change: Callable[[int], Answer]) -> Callable[[Json], Callable[[], Answer]]:
        def build(body: Json) -> Callable[[], Answer]:
            if "appointment_id" not in body:
                raise _BadRequest("appointment_id is missing")
            number = number_of(body["appointment_id"])
            return lambda: change(number) if number is not None else (404, {"error": "not_found"})

        return build

    def reschedule(body: Json) -> Callable[[], Answer]:
        start = _datetime(body.get("datetime"))
        return on_appointment(lambda number: store.reschedule(number, start))(body)

    def alert(body: Json) -> Callable[[], Answer]:
        missing = [name for name in ("category", "level", "at") if not body.get(name)]
        if missing or not (body.get("phone") or body.get("user_id")):
            raise _BadRequest("an alert needs phone or user_id, category, level and at")
        return lambda: store.add_alert(body)

    @blueprint.post("/appointments/schedule")
    @blueprint.post("/appointments")
    def _schedule() -> Response:
        return write("schedule", schedule)

    @blueprint.post("/appointments/cancel")
    def _cancel() -> Response:
        return write("cancel", on_appointment(store.cancel))

    @blueprint.post("/appointments/reschedule")
    def _reschedule() -> Response:
        return write("reschedule", reschedule)

    @blueprint.post("/appointments/confirm")
    def _confirm() -> Response:
        return write("confirm", on_appointment(store.confirm))

    @blueprint.post("/alerts")
    def _alert() -> Response:
        return write("alerts", alert)

    @blueprint.get("/appointments/upcoming")
    def _upcoming() -> Response:
        return read("upcoming", None, lambda: (200, store.upcoming(_hours(request.args.get("hours", "48")))))

    @blueprint.get("/appointments")
    def _list() -> Response:
        phone = request.args.get("phone")
        return read("list", phone, lambda: (200, store.upcoming(phone=_phone(phone))))

    @blueprint.get("/appointments/slots")
    def _slots() -> Response:
        def answer() -> Answer:
            day = _date(request.args.get("date"))
            return 200, {"date": day.isoformat(), "free": [f"{at:%H:%M}" for at in store.free_slots(day)]}

        return read("slots", None, answer)

    @blueprint.get("/appointments/missed")
    def _missed() -> Response:
        def answer() -> Answer:
            day = _date(request.args.get("date"))
            return (200, store.missed(day)) if world.rules.knows_missed else (404, {"error": "not_found"})

        return read("missed", None, answer)

    @blueprint.get("/patients/<phone>")
    def _patient(phone: str) -> Response:
        def answer() -> Answer:
            known = store.patient(_phone(phone))
            return (200, known) if known is not None else (404, {"error": "not_found"})

        return read("patient", phone, answer)

    @blueprint.get("/health")
    def _health() -> Response:
        return _json(200, {"status": "ok"})

    return blueprint


def _play(world: World, route: str, phone: object, act: Callable[[], Response]) -> Response:
    """Check the token, then do what was asked, with whatever misfortune was ordered for it."""
    token = world.options.backend_token
    given = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if token is not None and not hmac.compare_digest(given.encode(), token.encode()):
        return _json(401, {"error": "unauthorized"})
    keys = {str(phone).strip().lstrip("+")} if phone else set()
    with world.changes:
        fault = world.faults.take("backend", keys, {route})
    if fault is None:
        return _careful(act)
    return _with_fault(world, fault, act)


def _with_fault(world: World, fault: Fault, act: Callable[[], Response]) -> Response:
    wait(world, fault.delay_s)
    if fault.drop == "before":
        return hang_up()
    if fault.has_error_answer and not fault.commit:
        return error_answer(fault)
    response = _careful(act)
    wait(world, fault.delay_answer_s)
    if fault.drop == "after":
        return hang_up()
    return error_answer(fault) if fault.has_error_answer else response


def _careful(act: Callable[[], Response]) -> Response:
    try:
        return act()
    except _BadRequest as problem:
        return _json(400, {"error": "invalid", "message": str(problem)})


def _json(status: int, body: object) -> Response:
    response = jsonify(body)
    response.status_code = status
    return response


def _phone(value: object) -> str:
    """Return a phone in E.164; a plus that a query string turned into a space is put back."""
    text = str(value or "").strip()
    digits = text.removeprefix("+")
    if not NUMBER.match(digits):
        raise _BadRequest("phone must be E.164, such as +59170000001")
    return "+" + digits


def _datetime(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise _BadRequest("datetime must be ISO 8601 with an offset, such as 2026-11-24T10:00:00-04:00")
    return at


def _date(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise _BadRequest("date must be YYYY-MM-DD") from None


def _hours(value: str) -> float:
    try:
        hours = float(value)
    except ValueError:
        hours = -1
    if not 0 <= hours <= 24 * 3660:
        raise _BadRequest("hours must be a number from 0 to 87840")
    return hours
