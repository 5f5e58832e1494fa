"""A new visit: `POST /cita` with an id of our own, made from the key of the decision. Called by `agenda`.

The id makes a repetition recognisable: what is found under it is not written again, since a second POST would overwrite
what staff changed meanwhile. Releases that ignore our id are met by looking for the patient's visit at that time.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from shared.errors import AssistantError, NeedsPerson, NotFound, OutcomeUnknown, PartnerRefused
from shared.prediction import Reason
from workers.seguimiento.answers import PARTNER, AlreadyThere, BareError
from workers.seguimiento.api import Api
from workers.seguimiento.catalogues import Catalogues
from workers.seguimiento.clock import Clock
from workers.seguimiento.rows import MEDICINES, NOTE, PROGRAMADO, REVISION, Visit, newest_in_course

UNREGISTERED = "sin_registro"
_NAMESPACE = uuid.UUID("6a0c5d4e-6a53-5c0b-9d0a-3f1c2b7e8d90")
_TRIES = 2
OwnVisits = Callable[[], list[Visit]]  # a fresh read of all visits of the patient


@dataclass(frozen=True)
class Wish:
    """What is to be booked for whom."""

    visit_id: str
    patient_id: str
    start: dt.datetime
    reason: str | None
    name: str | None

    @property
    def type(self) -> str:
        return MEDICINES if self.reason == Reason.MEDICAMENTOS else REVISION

    @property
    def notes(self) -> str:
        """`WhatsApp: control, a nombre de …`; never empty, the column must be filled."""
        said = [self.reason or "", f"a nombre de {self.name}" if self.name else ""]
        return ": ".join([NOTE, *filter(None, [", ".join(filter(None, said))])])


def visit_id_of(patient_id: str, key: str) -> str:
    """Our id of the visit that this decision books: lower case, the same for every repetition.

    It is the patient's own: an id that met another one's visit would overwrite it.
    """
    return str(uuid.uuid5(_NAMESPACE, f"{patient_id}:{key}"))


def treatment_of(api: Api, patient_id: str) -> str:
    """The treatment in course that a visit belongs to.

    Raises:
        NeedsPerson: there is none: registering and treating people is work of the staff.
    """
    try:
        treatments = api.get_list(f"/tratamiento/paciente/{patient_id}")
    except NotFound:
        treatments = []
    found = newest_in_course(treatments)
    if found is None:
        raise NeedsPerson(UNREGISTERED)
    return found


class Booker:
    """Creates visits and knows them again."""

    def __init__(self, api: Api, catalogues: Catalogues, clock: Clock, staff_id: str) -> None:
        self._api, self._catalogues, self._clock, self._staff_id = api, catalogues, clock, staff_id

    def create(self, wish: Wish, treatment_id: str, now: dt.datetime, own_visits: OwnVisits) -> Visit:
        """Write it, and return it as it is stored.

        Raises:
            OutcomeUnknown: it may have been written.
            PartnerRefused, RetryLater, BadCredentials: it was not.
        """
        for attempt in range(_TRIES):
            answered_id = self._post(wish, treatment_id, now)
            try:
                found = known_again(own_visits(), wish, answered_id)
            except AssistantError:
                break  # cannot see; the turn is not repeated, a person looks
            if found is not None and found.when.start == wish.start:
                return found
            if found is not None or attempt + 1 == _TRIES:
                break  # stored at another time than was asked: its clock is not the one of SEGUIMIENTO_CLOCK
        raise OutcomeUnknown(f"{PARTNER}: a booking that could not be read back", code="POST")

    def _post(self, wish: Wish, treatment_id: str, now: dt.datetime) -> str | None:
        """One POST, one more when an id was not known any more; the id it answered, None when it did not."""
        for is_last in (False, True):
            body = {
                "id": wish.visit_id,
                "idTratamiento": treatment_id,
                "idEstado": self._catalogues.state(PROGRAMADO),
                "idTipo": self._catalogues.type(wish.type),
                "idUser": self._staff_id,
                "fecha_programada": self._clock.write(wish.start),
                "fecha_actual": self._clock.write(now),
                "observaciones": wish.notes,
            }
            try:
                answer = self._api.write("POST", "/cita", body)
            except (OutcomeUnknown, AlreadyThere):
                return None
            except BareError as error:
                if is_last:
                    raise PartnerRefused(str(error), code=error.code) from None
                self._catalogues.forget()
            else:
                answered = answer.get("id") if isinstance(answer, dict) else None
                return answered if isinstance(answered, str) else None
        return None


def known_again(visits: list[Visit], wish: Wish, answered_id: str | None = None) -> Visit | None:
    """The visit of this wish among the patient's own: by its id, or a live one at that very time (pure)."""
    by_id = next((visit for visit in visits if visit.id in (wish.visit_id, answered_id)), None)
    at_that_time = (v for v in visits if v.is_live and v.when.has_hour and v.when.start == wish.start)
    return by_id or next(at_that_time, None)
