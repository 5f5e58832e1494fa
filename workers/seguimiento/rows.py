"""JSON of the present backend -> our records (pure).

Only the named fields are looked at: rows embed staff with passwords and patients with all their data. A row that lacks
what we need is None, never an exception.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from typing import Any

from shared.conversation import Appointment, PatientRecord
from shared.prediction import Reason
from workers.seguimiento.clock import Clock, Moment

PROGRAMADO, CONFIRMADO = "Programado", "Confirmado"
CANCELADO = ("Cancelado", "Cancelada")
ASISTIDO, PERDIDO = "Asistido", "Perdido"
MEDICINES, REVISION = "Toma de medicamentos", "Revisión médica"
EN_CURSO = "En Curso"
AUTOMATIC = "Cita generada automáticamente"  # visits before the patient was known here, written as missed
NOTE = "WhatsApp"  # begins what we write into a visit's notes

_STATUS = {
    PROGRAMADO: "scheduled",
    "Pendiente": "scheduled",
    CONFIRMADO: "confirmed",
    "Reprogramado": "rescheduled",
    **dict.fromkeys(CANCELADO, "cancelled"),
    ASISTIDO: "attended",
    "Asistio": "attended",
    PERDIDO: "missed",
}
UNKNOWN = "unknown"
_OVER = frozenset({"cancelled", "attended", "missed"})


@dataclass(frozen=True)
class Visit:
    """One row of the agenda. Ids are "" where the row has none; `phone` has its plus, or is ""."""

    id: str
    when: Moment
    state: str  # their word; "" when the row has no state
    state_id: str = ""
    type: str = ""
    type_id: str = ""
    treatment_id: str = ""
    patient_id: str = ""
    user_id: str = ""
    phone: str = ""
    name: str = ""
    notes: str = ""
    created_at: str = ""

    @property
    def status(self) -> str:
        """Our word: scheduled, confirmed, rescheduled, cancelled, attended, missed, unknown."""
        return _STATUS.get(self.state, UNKNOWN)

    @property
    def is_live(self) -> bool:
        """Whether it holds its place; an unknown word does: nobody else may be sent there."""
        return self.status not in _OVER

    @property
    def can_be_put(self) -> bool:
        """Whether all ids of an update are known; a PUT that lacks one moves the visit to a stranger."""
        return bool(self.treatment_id and self.type_id)


def read_visit(row: object, clock: Clock) -> Visit | None:
    """One row of a listing, or of a single answer, which tells neither treatment nor patient."""
    if not isinstance(row, dict):
        return None
    when, visit_id = clock.read(row.get("fecha_programada")), word(row, "id")
    if when is None or not visit_id:
        return None
    treatment = _inner(row, "tratamiento")
    patient = _inner(treatment, "paciente")
    return Visit(
        id=visit_id,
        when=when,
        state=word(_inner(row, "estado"), "descripcion"),
        state_id=word(_inner(row, "estado"), "id"),
        type=word(_inner(row, "tipo"), "descripcion"),
        type_id=word(_inner(row, "tipo"), "id"),
        treatment_id=word(treatment, "id"),
        patient_id=word(patient, "id"),
        user_id=word(_inner(row, "user"), "id"),
        phone=phone_of(patient.get("telefono")),
        name=word(patient, "nombre"),
        notes=word(row, "observaciones"),
        created_at=word(row, "created_at"),
    )


def read_patient(row: dict[str, Any], clock: Clock) -> PatientRecord:
    """What is known of a registered patient. Their yes/no about having WhatsApp is no consent."""
    return PatientRecord(
        registered=True, name=word(row, "nombre") or None, last_visit=clock.read_day(row.get("ultima_cita"))
    )


def appointment(visit: Visit, phone: str = "") -> Appointment:
    """A visit as the dialogue knows it. Of one in a state that we do not know only the day is told."""
    start = visit.when.start
    if visit.status == UNKNOWN:
        start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    return Appointment(
        id=visit.id,
        ref=ref_of(visit.id),
        start=start,
        status=visit.status,
        phone=phone or visit.phone,
        name=visit.name,
        reason=_reason(visit),
    )


def ref_of(visit_id: str) -> str:
    """`CC-0417`: the backend has no codes, so one is made of the id. For speech only, never a key."""
    number = int.from_bytes(hashlib.blake2b(visit_id.encode(), digest_size=8).digest(), "big")
    return f"CC-{number % 10_000:04d}"


def _reason(visit: Visit) -> str:
    """The reason that we wrote ourselves, else what the type says."""
    written = visit.notes.removeprefix(f"{NOTE}: ").split(",")[0].split(" |")[0].strip()
    if visit.notes.startswith(NOTE) and written in set(Reason):
        return written
    return Reason.MEDICAMENTOS.value if visit.type == MEDICINES else ""


def local_number(phone: str) -> str | None:
    """`+59170000001` -> `70000001`, as the backend keeps it; None for every other number, which it cannot hold."""
    digits = phone.removeprefix("+591")
    return digits if phone.startswith("+591") and len(digits) == 8 and digits.isascii() and digits.isdigit() else None


def phone_of(number: object) -> str:
    """The backend's number with +591; "" when it has not 8 digits."""
    digits = str(number) if isinstance(number, int | str) and not isinstance(number, bool) else ""
    return f"+591{digits}" if len(digits) == 8 and digits.isascii() and digits.isdigit() else ""


def newest_in_course(treatments: list[Any]) -> str | None:
    """The id of the treatment that a new visit belongs to; None when none is in course."""
    going = [
        (word(row, "fecha_inicio"), word(row, "id"))
        for row in treatments
        if isinstance(row, dict) and word(_inner(row, "estado"), "descripcion") == EN_CURSO and word(row, "id")
    ]
    return max(going)[1] if going else None


def is_missed(visit: Visit, day: dt.date) -> bool:
    """Nobody came on that day; not one of the visits that registering an old treatment makes up."""
    return visit.state == PERDIDO and visit.when.start.date() == day and not visit.notes.startswith(AUTOMATIC)


def word(row: dict[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""


def _inner(row: dict[str, Any], key: str) -> dict[str, Any]:
    value = row.get(key)
    return value if isinstance(value, dict) else {}
