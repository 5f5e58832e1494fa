"""Control API of the present backend's stand-in: what it holds, what was called, its switches, rows of staff."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from flask import Blueprint, Response, jsonify
from pydantic import BaseModel, ConfigDict

from simulator.control import ControlError, handle_errors, json_body
from simulator.seguimiento_shapes import Answered, Json
from simulator.seguimiento_switches import Switches
from simulator.world import World


class SwitchWish(BaseModel):
    """Body of PATCH /control/seguimiento: switches, and words of states that shall exist or not."""

    model_config = ConfigDict(extra="forbid")

    switches: dict[str, object] = {}
    add_states: list[str] = []
    retire_states: list[str] = []


class VisitWish(BaseModel):
    """Body of POST /control/seguimiento/visits: a row as staff or a script writes it."""

    model_config = ConfigDict(extra="forbid")

    number: int  # of a patient, 8 digits
    fecha_programada: str
    state: str | None = "Programado"
    type: str = "Revisión médica"
    notes: str = "Control"
    with_user: bool = False
    created_at: datetime | None = None  # naive: the server's clock


class PatientWish(BaseModel):
    """Body of POST /control/seguimiento/patients; `treatment` None registers nobody's treatment."""

    model_config = ConfigDict(extra="forbid")

    number: int
    name: str
    treatment: str | None = "En Curso"
    begun: date | None = None


def create_blueprint(world: World) -> Blueprint:
    """Return the routes under /control/seguimiento."""
    blueprint = Blueprint("seguimiento_control", __name__)
    handle_errors(blueprint)
    store = world.seguimiento

    @blueprint.get("")
    def everything() -> Response:
        with store.lock:
            visits = [store.shown(row) for row in store.visits]
            return jsonify(
                {
                    "switches": store.switches.model_dump(),
                    "counters": store.counters.model_dump(),
                    "uptime": store.uptime,
                    "patients": store.patients,
                    "staff": [{"id": row["id"], "nombre": row["nombre"]} for row in store.staff],
                    "states": [row["descripcion"] for row in store.states if row["estado"]],
                    "visits": visits,
                }
            )

    @blueprint.patch("")
    def switch() -> Response:
        wish = SwitchWish.model_validate(json_body())
        with store.lock:
            store.switches = Switches.model_validate(store.switches.model_dump() | wish.switches)
            store.states = [row for row in store.states if row["descripcion"] not in wish.retire_states]
            known = {row["descripcion"] for row in store.states}
            store.states += [store.entry(word) for word in wish.add_states if word not in known]
            return everything()

    @blueprint.post("/visits")
    def add_visit() -> tuple[Response, int]:
        wish = VisitWish.model_validate(json_body())
        with store.lock:
            treatment = next((t for t in store.treatments if t["patient"]["telefono"] == wish.number), None)
            if treatment is None:
                raise ControlError(404, "no such patient, or none with a treatment")
            try:
                visit = store.add_visit(treatment, wish.fecha_programada, wish.state, wish.type, user=wish.with_user)
            except Answered as wrong:
                raise ControlError(400, str(wrong.body)) from None
            kept = store.find(store.visits, visit["id"]) or visit
            kept["observaciones"] = wish.notes
            if wish.created_at is not None:
                kept["created_at"] = wish.created_at
            return jsonify(store.shown(kept)), 201

    @blueprint.post("/patients")
    def add_patient() -> tuple[Response, int]:
        wish = PatientWish.model_validate(json_body())
        with store.lock:
            patient: Json = store.add_patient(wish.number, wish.name)
            if wish.treatment is not None:
                begun = wish.begun or (store.stamp().date() - timedelta(days=30))
                store.add_treatment(patient, datetime.combine(begun, time()), wish.treatment)
            return jsonify(patient), 201

    return blueprint
