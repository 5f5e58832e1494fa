"""Plays the centre's present backend over HTTP, warts included; mounted under /seguimiento. See docs/simulator.md.

No key is asked for. "Not found" hides under 200, writes echo what was sent, two GETs send messages to people (counted
here), and two states end the process.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from flask import Blueprint, Response, jsonify, request

from simulator.misfortune import error_answer, hang_up, wait
from simulator.seguimiento_shapes import (
    Answered,
    Died,
    Json,
    bare_error,
    checked_number,
    checked_uuid,
    envelope,
    framework_error,
    service_error,
    shown_time,
)
from simulator.seguimiento_store import SeguimientoStore
from simulator.world import World

MAX_BODY = 100 * 1024
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
Action = Callable[[], Answered]
_VISIT_IDS = ("idTratamiento", "idEstado", "idTipo", "idUser")


def create_blueprint(world: World, name: str = "seguimiento_api") -> Blueprint:
    """Return its routes, relative to where it is mounted. Paths ignore case and a final slash."""
    blueprint = Blueprint(name, __name__)
    store = world.seguimiento

    @blueprint.route("/api/<path:path>", methods=_METHODS)
    def answer(path: str) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        kind, act = _routed(store, method, path.rstrip("/"))
        if store.is_dead():
            return hang_up()
        with world.changes:
            fault = world.faults.take("backend", set(), {kind})
        if fault is not None:
            wait(world, fault.delay_s)
            if fault.drop == "before":
                return hang_up()
            if fault.has_error_answer and not fault.commit:
                return error_answer(fault)
        if kind == "table":
            wait(world, store.switches.table_delay_s)
        answered = _careful(store, act)
        if answered is None or (fault is not None and fault.drop == "after"):
            return hang_up()
        if fault is not None:
            wait(world, fault.delay_answer_s)
            if fault.has_error_answer:
                return error_answer(fault)
        world.changes.bump()
        return _response(answered)

    return blueprint


def _careful(store: SeguimientoStore, act: Action) -> Answered | None:
    """Do it; None when the process died of it."""
    try:
        with store.lock:
            return act()
    except Answered as answered:
        return bare_error() if store.switches.bare and answered.status >= 500 else answered
    except Died:
        return None


def _response(answered: Answered) -> Response:
    response = jsonify(answered.body)
    response.status_code = answered.status
    response.headers["Keep-Alive"] = "timeout=5"
    if request.method == "GET" and answered.status == 200:
        response.add_etag()
        response.make_conditional(request)
    return response


def _routed(store: SeguimientoStore, method: str, path: str) -> tuple[str, Action]:
    """The kind of a call, for faults, and what answers it."""
    routes: list[tuple[str, str, str, Callable[..., Answered]]] = [
        ("GET", r"health", "health", lambda: _health(store)),
        ("GET", r"paciente/telefono/(.+)", "patient", lambda number: _by_phone(store, number)),
        ("GET", r"paciente/riesgo-salud/(.+)", "risk", lambda number: _risk(store, number)),
        ("GET", r"cita/estado-cita", "catalogue", lambda: envelope(store.states, "Estados de cita")),
        ("GET", r"cita/tipo-cita", "catalogue", lambda: envelope(store.types, "Tipos de cita")),
        ("GET", r"tratamiento/estado-tratamiento", "catalogue", lambda: envelope(store.courses, "Estados")),
        ("GET", r"cita/motivo", "catalogue", lambda: envelope(store.reasons, "Motivos")),
        ("POST", r"cita/estado-cita", "catalogue", lambda: _add_state(store)),
        ("GET", r"cita/recordatorio", "remind", lambda: _remind(store)),
        ("GET", r"cita/paciente/(.+)", "visits", lambda patient: _of_patient(store, patient)),
        ("GET", r"cita", "table", lambda: envelope([store.shown(row) for row in store.visits], "Lista de citas")),
        ("POST", r"cita", "create", lambda: _create(store)),
        ("PUT", r"cita/update-assistant", "assistant", lambda: _assistant(store)),
        ("GET", r"cita/(.+)", "visit", lambda visit: _one(store, visit)),
        ("PUT", r"cita/(.+)", "update", lambda visit: _update(store, visit)),
        ("GET", r"tratamiento/paciente/(.+)", "treatments", lambda patient: _treatments(store, patient)),
        ("GET", r"user", "staff", lambda: envelope(store.staff, "Lista de usuarios")),
    ]
    for wanted, pattern, kind, act in routes:
        match = re.fullmatch(pattern, path, re.IGNORECASE)
        if match and wanted == method:
            return kind, partial(act, *match.groups())
    return "unknown", lambda: framework_error(404, f"Cannot {method} /api/{path}", "Not Found")


def _body() -> Json:
    """The JSON of a write. Raises what the framework says of anything else."""
    if (request.content_length or 0) > MAX_BODY:
        raise Answered(413, {"statusCode": 413, "message": "request entity too large"})
    body = request.get_json(force=True, silent=True)
    if not isinstance(body, dict):
        raise framework_error(400, "Unexpected token in JSON at position 0", "Bad Request")
    return body


def _health(store: SeguimientoStore) -> Answered:
    at = datetime.now(UTC).isoformat()
    return Answered(200, {"status": "OK", "database": "connected", "timestamp": at, "uptime": store.uptime})


def _by_phone(store: SeguimientoStore, text: str) -> Answered:
    number = checked_number(text, "Error al obtener paciente")
    patient = next((row for row in store.patients if row["telefono"] == number), None)
    if patient is None:
        return envelope(None, "Paciente no encontrado", code=404)
    mine = [row for row in store.visits if row["treatment"]["patient"] is patient]
    if any(row["state"] is None for row in mine):
        raise bare_error()
    in_state = {
        word: sorted(row["fecha_programada"] for row in mine if row["state"]["descripcion"] == word)
        for word in ("Programado", "Asistido")
    }
    told = {
        "Nombre": patient["nombre"],
        "Citas": [store.shown(row, whole=False) for row in mine],
        "proxima_cita": shown_time(next(iter(in_state["Programado"]), None), store.zone),  # also one long past
        "ultima_cita": shown_time(next(reversed(in_state["Asistido"]), None), store.zone),
    }
    return envelope(patient | told, "Paciente encontrado")


def _risk(store: SeguimientoStore, text: str) -> Answered:
    number = checked_number(text, "Error al obtener paciente")
    store.counters.riesgo_salud += 1
    if not any(row["telefono"] == number for row in store.patients):
        raise service_error("Error al notificar", "Paciente no encontrado", 404)
    if store.switches.n8n == "refused":
        store.die()  # after it said 200
    return envelope([row for row in store.staff if row["notificar_whatsapp"]], "Notificacion enviada")


def _remind(store: SeguimientoStore) -> Answered:
    store.counters.recordatorio += 1
    return envelope({"totalCitas": 0, "recordatoriosEnviados": []}, "Recordatorios enviados")


def _add_state(store: SeguimientoStore) -> Answered:
    word = str(_body().get("descripcion"))
    if any(row["descripcion"] == word for row in store.states):
        raise service_error("Error al crear estado", 'duplicate key value violates unique constraint "UQ_estado"')
    store.states.append(store.entry(word))
    return envelope(store.states[-1], "Estado creado", status=201)


def _of_patient(store: SeguimientoStore, text: str) -> Answered:
    patient = checked_uuid(text, "Error al obtener citas")
    mine = [store.shown(row) for row in store.visits if row["treatment"]["patient"]["id"] == patient]
    return envelope(mine, "Lista de citas del paciente")


def _one(store: SeguimientoStore, text: str) -> Answered:
    visit = store.find(store.visits, checked_uuid(text, "Error al obtener cita"))
    if visit is None:
        return envelope(None, "Cita no encontrada", code=404)
    return envelope(store.shown(visit, whole=False), "Cita encontrada")


def _create(store: SeguimientoStore) -> Answered:
    body = _body()
    wrong = [f"{name} must be a string" for name in _VISIT_IDS if not isinstance(body.get(name), str)]
    wrong += [f"{name} must be a Date instance" for name in ("fecha_programada", "fecha_actual") if name not in body]
    if wrong:
        raise framework_error(400, wrong, "Bad Request")
    shown = store.shown(store.create(body), echo=body)
    return envelope({name: shown[name] for name in shown if name != "user"}, "Cita creada", status=201)


def _update(store: SeguimientoStore, visit: str) -> Answered:
    body = _body()
    return envelope(store.shown(store.update(visit, body), echo=body), "Cita actualizada")


def _assistant(store: SeguimientoStore) -> Answered:
    body = _body()
    store.counters.update_assistant += 1
    moved = store.move_by_itself(str(body.get("id_paciente")), body.get("fecha_programada"), str(body.get("motivo")))
    if moved is None:
        return envelope(None, "No hay citas", code=404)
    return envelope(store.shown(moved), "Cita reprogramada")


def _treatments(store: SeguimientoStore, text: str) -> Answered:
    patient = checked_uuid(text, "Error al obtener tratamientos")
    if not any(row["id"] == patient for row in store.patients):
        return envelope(None, "Paciente no encontrado", code=404)
    mine = [row for row in store.treatments if row["patient"]["id"] == patient]
    return envelope(
        [store.shown_treatment(row) | {"estado": row["estado"]} for row in mine], "Lista de tratamientos del paciente"
    )
