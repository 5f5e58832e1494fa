"""Control API, part two: be the circumstances. Faults, rules, clocks, templates, agenda, raw webhooks, reset."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

import requests
from flask import Blueprint, Response, jsonify, request
from pydantic import AwareDatetime, BaseModel, ConfigDict

from simulator.appointment_json import appointment_id, number_of, reference
from simulator.clock import Clock
from simulator.control import MAX_WAIT_S, ControlError, handle_errors, json_body, number_argument
from simulator.faults import Fault
from simulator.people import NUMBER
from simulator.rules import PairRate, Rules, Throughput
from simulator.templates import Template
from simulator.webhooks import encode, sign
from simulator.world import World


class ClockWish(BaseModel):
    """Body of POST /control/clock: set, move, or (with neither) back to the wall clock."""

    model_config = ConfigDict(extra="forbid")

    which: Literal["cloud", "backend", "both"] = "both"
    at: AwareDatetime | None = None
    ticking: bool = False
    advance_s: float | None = None


class AgendaWish(BaseModel):
    """Body of POST /control/agenda: an appointment as staff would write it, or a new state for one."""

    model_config = ConfigDict(extra="forbid")

    appointment_id: str | None = None
    phone: str | None = None
    name: str = ""
    datetime: AwareDatetime | None = None
    status: str = "scheduled"
    reason: str = ""


class RegisteredPatient(BaseModel):
    """Body of POST /control/agenda/patients: a patient whom the clinic's backend knows."""

    model_config = ConfigDict(extra="forbid")

    phone: str
    name: str
    last_visit: str | None = None
    whatsapp_consent: dict[str, str] | None = None


class RawWebhook(BaseModel):
    """Body of POST /control/webhook: any bytes, signed rightly or not, posted once."""

    model_config = ConfigDict(extra="forbid")

    payload: Any = None  # JSON, written as Meta writes it …
    text: str | None = None  # … or text, sent as UTF-8 …
    hex: str | None = None  # … or any bytes
    secret: str | None = None  # sign with another secret
    signature: str | None = None  # or send this header


def create_blueprint(world: World) -> Blueprint:
    """Return the routes under /control that concern everything but patients and messages."""
    blueprint = Blueprint("control_world", __name__)
    handle_errors(blueprint)
    _add_faults_and_rules(blueprint, world)
    _add_agenda(blueprint, world)
    _add_state(blueprint, world)
    return blueprint


def _add_faults_and_rules(blueprint: Blueprint, world: World) -> None:
    @blueprint.get("/faults")
    def faults() -> Response:
        with world.changes:
            return jsonify({"faults": [fault.model_dump() for fault in world.faults.all()]})

    @blueprint.post("/faults")
    def add_fault() -> tuple[Response, int]:
        fault = Fault.model_validate(json_body())
        with world.changes:
            return jsonify(world.faults.add(fault).model_dump()), 201

    @blueprint.delete("/faults")
    @blueprint.delete("/faults/<int:fault_id>")
    def clear_faults(fault_id: int | None = None) -> tuple[str, int]:
        with world.changes:
            world.faults.clear(fault_id)
        return "", 204

    @blueprint.get("/rules")
    def rules() -> Response:
        return jsonify(world.rules.model_dump(mode="json"))

    @blueprint.post("/rules")
    def change_rules() -> Response:
        changed = Rules.model_validate({**world.rules.model_dump(), **json_body()})
        with world.changes:
            if (changed.pair_rate, changed.throughput) != (world.rules.pair_rate, world.rules.throughput):
                world.pair_rate, world.throughput = PairRate(), Throughput()
            world.rules = changed
        world.changes.bump()
        return jsonify(changed.model_dump(mode="json"))

    @blueprint.get("/templates")
    def templates() -> Response:
        with world.changes:
            return jsonify({"templates": [template.model_dump() for template in world.templates.all()]})

    @blueprint.post("/templates")
    def add_template() -> tuple[Response, int]:
        template = Template.model_validate(json_body())
        with world.changes:
            world.templates.add(template)
        return jsonify(template.model_dump()), 201


def _add_agenda(blueprint: Blueprint, world: World) -> None:
    store = world.store

    @blueprint.get("/agenda")
    def agenda() -> Response:
        days = number_argument("days", 60, 3660)
        return jsonify({"appointments": world.agenda(days)})

    @blueprint.post("/agenda")
    def change_agenda() -> tuple[Response, int]:
        wish = AgendaWish.model_validate(json_body())
        if wish.appointment_id is not None:
            number = number_of(wish.appointment_id)
            if number is None or not store.set_status(number, wish.status):
                raise ControlError(404, "no such appointment")
        else:
            if wish.phone is None or wish.datetime is None:
                raise ControlError(400, "phone and datetime are needed")
            number = store.insert(_e164(wish.phone), wish.name, wish.datetime, wish.status, wish.reason)
        world.changes.bump()
        return jsonify({"appointment_id": appointment_id(number), "ref": reference(number), "status": wish.status}), 201

    @blueprint.post("/agenda/patients")
    def register() -> tuple[Response, int]:
        wish = RegisteredPatient.model_validate(json_body())
        store.add_patient(_e164(wish.phone), wish.name, wish.last_visit, wish.whatsapp_consent)
        return jsonify(store.patient(_e164(wish.phone))), 201

    @blueprint.get("/writes")
    def writes() -> Response:
        with world.changes:
            return jsonify({"writes": list(world.writes)})

    @blueprint.get("/alerts")
    def alerts() -> Response:
        return jsonify({"alerts": store.alerts()})


def _add_state(blueprint: Blueprint, world: World) -> None:
    @blueprint.get("/clock")
    def clock() -> Response:
        return jsonify({"cloud": world.clock.now().isoformat(), "backend": world.backend_clock.now().isoformat()})

    @blueprint.post("/clock")
    def change_clock() -> Response:
        wish = ClockWish.model_validate(json_body())
        chosen = {"cloud": [world.clock], "backend": [world.backend_clock]}
        for one in chosen.get(wish.which, [world.clock, world.backend_clock]):
            _set_clock(one, wish)
        world.changes.bump()
        return clock()

    @blueprint.post("/webhook")
    def raw_webhook() -> Response:
        wish = RawWebhook.model_validate(json_body())
        if wish.hex is not None:
            body = bytes.fromhex(wish.hex)
        else:
            body = wish.text.encode() if wish.text is not None else encode(wish.payload)
        signature = wish.signature
        if signature is None:
            signature = sign(wish.secret or world.options.app_secret, body)
        try:
            answer = world.webhooks.post_now(body, {"X-Hub-Signature-256": signature})
        except requests.RequestException as problem:
            raise ControlError(502, f"the webhook did not answer: {type(problem).__name__}") from problem
        return jsonify({"http_status": answer.status_code, "body": answer.text[:10_000], "bytes": len(body)})

    @blueprint.get("/summary")
    def summary() -> Response:
        with world.changes:
            counts = vars(world.webhooks.counts).copy()
            sizes = {"messages": len(world.chats.messages), "calls": len(world.chats.calls)}
        return jsonify({"webhooks": counts, "timers": world.timers.pending, "version": world.changes.version, **sizes})

    @blueprint.get("/idle")
    def idle() -> Response:
        """Wait until no webhook and no status is on its way."""

        def quiet() -> bool | None:
            return True if not world.webhooks.counts.pending and not world.timers.pending else None

        timeout_s = number_argument("timeout", 10, MAX_WAIT_S)
        end = datetime.now().astimezone() + timedelta(seconds=timeout_s)
        settled = quiet()
        while not settled and datetime.now().astimezone() < end and not world.changes.closed.is_set():
            settled = world.changes.wait_until(quiet, 0.05)  # a timer that ends rings no bell
        return jsonify({"idle": bool(settled)})

    @blueprint.post("/reset")
    def reset() -> Response:
        body = request.get_json(silent=True) if request.is_json else None
        world.reset(seed=not (isinstance(body, dict) and body.get("seed") is False))
        return jsonify({"reset": True})


def _set_clock(clock: Clock, wish: ClockWish) -> None:
    if wish.at is not None:
        clock.set(wish.at, ticking=wish.ticking)
    elif wish.advance_s is not None:
        clock.advance(wish.advance_s)
    else:
        clock.reset()


def _e164(phone: str) -> str:
    digits = phone.strip().lstrip("+")
    if not NUMBER.match(digits):
        raise ControlError(400, "phone must be E.164, such as +59170000001")
    return "+" + digits
