"""The tables of the centre's present backend, in memory, with what is odd about them. Guarded by one lock.

Rows come in order of last writing. Times are kept without zone, in the server's clock. The last write wins.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from simulator.seguimiento_shapes import Died, Json, bare_error, checked_uuid, service_error, shown_time, stored_time
from simulator.seguimiento_switches import Counters, Switches

STATES = ("Programado", "Confirmado", "Asistido", "Perdido")
TYPES = ("Toma de medicamentos", "Revisión médica", "Visita a domicilio")
REASONS = ("No tiene tiempo", "No le dieron tiempo en el trabajo", "Estaba fuera de la ciudad", "Otro")
COURSES = ("Curado", "Tratamiento Completo", "Fracaso", "Fallecido", "Abandonada", "Transferida", "En Curso")
DEADLY = ("Perdido", "Asistio")


class SeguimientoStore:
    """All it knows. `now` is the time of the simulated world, aware."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.lock = threading.RLock()
        self._now = now
        self.clear()

    def clear(self) -> None:
        with self.lock:
            self.switches, self.counters = Switches(), Counters()
            self._started, self._dead_until = time.monotonic(), 0.0
            self.states = [self.entry(word) for word in STATES]
            self.types = [self.entry(word) for word in TYPES]
            self.courses = [self.entry(word) for word in COURSES]
            self.reasons = [self.entry(word) for word in REASONS]
            self.patients: list[Json] = []
            self.treatments: list[Json] = []
            self.staff: list[Json] = []
            self.visits: list[Json] = []

    # The process

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.switches.time_zone)

    @property
    def uptime(self) -> float:
        return max(0.0, time.monotonic() - self._started)

    def is_dead(self) -> bool:
        return time.monotonic() < self._dead_until

    def die(self) -> None:
        """End the process; it is started again after `down_s`."""
        self.counters.deaths += 1
        self._started = self._dead_until = time.monotonic() + self.switches.down_s

    # Rows

    def stamp(self) -> datetime:
        """Now, as the server's clock writes it."""
        return self._now().astimezone(self.zone).replace(tzinfo=None)

    def entry(self, description: str, *, active: bool = True) -> Json:
        """A row of a catalogue."""
        at = self._now().astimezone(UTC).isoformat()
        return {
            "id": str(uuid.uuid4()),
            "descripcion": description,
            "estado": active,
            "created_at": at,
            "updated_at": at,
        }

    def add_staff(self, name: str, row_id: str) -> Json:
        row = {
            "id": row_id,
            "nombre": name,
            "usuario": name.split()[0].lower(),
            "contrasena": "$2b$10$secreto-del-personal",
            "email": "personal@example.org",
            "telefono": "70099999",
            "rol": None,
            "notificar_email": True,
            "notificar_whatsapp": True,
        }
        self.staff.append(row)
        return row

    def add_patient(self, number: int, name: str, document: str = "", *, active: bool = True) -> Json:
        row = {
            "id": str(uuid.uuid4()),
            "nombre": name,
            "telefono": number,
            "numero_doc": document or f"{number}-LP",
            "genero": "F",
            "email": "paciente@example.org",
            "fecha_nacimiento": "1990-05-02T00:00:00.000Z",
            "tiene_whatsapp": True,
            "estado": active,
        }
        self.patients.append(row)
        return row

    def add_treatment(self, patient: Json, begun: datetime, state: str = "En Curso") -> Json:
        row = {
            "id": str(uuid.uuid4()),
            "patient": patient,
            "fecha_inicio": begun,
            "fecha_fin": None,
            "observaciones": "Esquema I",
            "estado": self.entry(state),
        }
        self.treatments.append(row)
        return row

    def add_visit(self, treatment: Json, at: str, state: str | None, kind: str, *, user: bool = False) -> Json:
        """A visit as staff or scripts write it; `state` None leaves a row that some routes cannot show."""
        known = {row["descripcion"]: row for row in self.states}
        if state is not None and state not in known:
            self.states.append(known.setdefault(state, self.entry(state, active=False)))
        return self.save(
            {
                "id": str(uuid.uuid4()),
                "treatment": treatment,
                "state": known[state] if state is not None else None,
                "type": next(row for row in self.types if row["descripcion"] == kind),
                "user": self.staff[0] if user else None,
                "fecha_programada": stored_time(at, self.zone, "fecha_programada"),
                "fecha_actual": self.stamp(),
                "observaciones": "Control",
            }
        )

    def find(self, table: list[Json], row_id: str) -> Json | None:
        return next((row for row in table if row["id"] == row_id), None)

    def save(self, visit: Json) -> Json:
        """Write a row: it goes to the end of the table."""
        with self.lock:
            now = self.stamp()
            old = self.find(self.visits, visit["id"])
            stored = visit | {"created_at": old["created_at"] if old else now, "updated_at": now}
            self.visits = [row for row in self.visits if row["id"] != visit["id"]] + [stored]
            return stored

    # Writes that come over HTTP

    def create(self, body: Json) -> Json:
        """POST /cita. `idUser` is ignored; nothing about time is checked."""
        failed = "Error al crear cita"
        ids = {name: checked_uuid(body[name], failed) for name in ("idTratamiento", "idEstado", "idTipo")}
        with self.lock:
            treatment = self.find(self.treatments, ids["idTratamiento"])
            state, kind = self.find(self.states, ids["idEstado"]), self.find(self.types, ids["idTipo"])
            if treatment is None or state is None or kind is None:
                raise bare_error()
            if not isinstance(body.get("observaciones"), str):
                column = 'null value in column "observaciones" of relation "cita" violates not-null constraint'
                raise service_error(failed, column)
            row_id = self._own_id(body, failed)
            visit = {
                "id": row_id,
                "treatment": treatment,
                "state": state,
                "type": kind,
                "user": None,
                "fecha_programada": stored_time(body["fecha_programada"], self.zone, "fecha_programada"),
                "fecha_actual": stored_time(body["fecha_actual"], self.zone, "fecha_actual"),
                "observaciones": body["observaciones"],
            }
            self._maybe_die(visit)
            return self.save(visit)

    def _own_id(self, body: Json, failed: str) -> str:
        if "id" not in body or not self.switches.takes_own_id:
            return str(uuid.uuid4())
        row_id = checked_uuid(body["id"], failed)
        if row_id != body["id"] and self.find(self.visits, row_id):
            raise service_error(failed, 'duplicate key value violates unique constraint "PK_cita"')
        return row_id

    def update(self, visit_id: str, body: Json) -> Json:
        """PUT /cita/:id. An id that is missing or null becomes the first row of its table."""
        failed = "Error al actualizar cita"
        with self.lock:
            old = self.find(self.visits, checked_uuid(visit_id, failed))
            if old is None:
                raise service_error(failed, "Cita no encontrada", 404)
            tables: dict[str, tuple[str, list[Json]]] = {
                "idTratamiento": ("treatment", self.treatments),
                "idEstado": ("state", self.states),
                "idTipo": ("type", self.types),
                "idUser": ("user", self.staff),
            }
            changed = dict(old)
            for name, (column, table) in tables.items():
                given = body.get(name)
                found = self.find(table, checked_uuid(given, failed)) if given is not None else table[0]
                if found is None:
                    raise bare_error()
                changed[column] = found
            if body.get("fecha_programada") is not None:
                changed["fecha_programada"] = stored_time(body["fecha_programada"], self.zone, "fecha_programada")
            if isinstance(body.get("observaciones"), str):
                changed["observaciones"] = body["observaciones"]
            self._maybe_die(changed)
            return self.save(changed)

    def move_by_itself(self, patient_id: str, at: object, reason: str) -> Json | None:
        """PUT /cita/update-assistant: it takes the last row of the unsorted list, whatever was meant."""
        with self.lock:
            mine = [row for row in self.visits if row["treatment"]["patient"]["id"] == patient_id]
            opened = [
                row for row in mine if row["state"] and row["state"]["descripcion"] in ("Programado", "Pendiente")
            ]
            moved = next((row for row in self.states if row["descripcion"] == "Reprogramado"), None)
            if not mine or moved is None:
                return None
            when = stored_time(at, self.zone, "fecha_programada")
            return self.save((opened or mine)[-1] | {"fecha_programada": when, "observaciones": reason, "state": moved})

    def _maybe_die(self, visit: Json) -> None:
        if visit["state"] is not None and visit["state"]["descripcion"] in DEADLY:
            if self.switches.dies_saving:
                self.save(visit)
            self.die()
            raise Died

    # How rows are shown

    def shown(self, visit: Json, *, whole: bool = True, echo: Json | None = None) -> Json:
        """A visit as JSON; `whole` with treatment, patient and staff. `echo`: times as they were sent."""
        row: Json = {
            name: shown_time(visit[name], self.zone)
            for name in ("fecha_programada", "fecha_actual", "created_at", "updated_at")
        }
        row |= {"id": visit["id"], "observaciones": visit["observaciones"]}
        row |= {"estado": visit["state"], "tipo": visit["type"]}
        if whole:
            row |= {"tratamiento": self.shown_treatment(visit["treatment"]), "user": visit["user"]}
        sent: dict[str, Any] = {
            name: echo[name] for name in ("fecha_programada", "fecha_actual") if echo and name in echo
        }
        return row | sent

    def shown_treatment(self, treatment: Json) -> Json:
        return {
            "id": treatment["id"],
            "fecha_inicio": shown_time(treatment["fecha_inicio"], self.zone),
            "fecha_fin": None,
            "observaciones": treatment["observaciones"],
            "paciente": treatment["patient"],
        }
