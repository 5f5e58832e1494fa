"""Writes on visits that exist: fresh read, PUT with all four ids, read back. Called by `workers.seguimiento.agenda`.

A PUT that lacks an id moves the visit to another patient, so all four are always sent. Every PUT sets absolute values:
repeating one after a read is safe. What is answered is never believed; only a GET tells what is stored.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.errors import AssistantError, NeedsPerson, NotFound, OutcomeUnknown, PartnerRefused
from workers.seguimiento.answers import PARTNER, AlreadyThere, BareError
from workers.seguimiento.api import Api
from workers.seguimiento.catalogues import Catalogues
from workers.seguimiento.clock import Clock
from workers.seguimiento.rows import Visit, read_visit

PERSON = "por_persona"
TRIES = 2


@dataclass(frozen=True)
class Change:
    """What a visit shall become. None leaves it as it is."""

    state: str | None = None
    start: dt.datetime | None = None
    note: str = ""  # appended to the notes

    def is_done(self, visit: Visit) -> bool:
        """Whether the visit is like this already; the note counts only when it is all that is asked."""
        if self.state is None and self.start is None:
            return self.note in visit.notes
        return self.state in (None, visit.state) and self.start in (None, visit.when.start)


class Writer:
    """Changes visits, one at a time per patient (the turn's lease sees to that)."""

    def __init__(self, api: Api, catalogues: Catalogues, clock: Clock, staff_id: str) -> None:
        self._api, self._catalogues, self._clock, self._staff_id = api, catalogues, clock, staff_id

    def change(self, find: Callable[[], Visit], change: Change) -> Visit:
        """Make a visit what it shall be, and return it as it is stored.

        Args:
            find: a fresh read of the visit with treatment, patient and staff; raises NotFound when it is gone.
            change: what is asked.

        Raises:
            NeedsPerson: the row lacks an id without which it must not be touched.
            OutcomeUnknown: it may have been changed.
            NotFound, PartnerRefused, RetryLater, BadCredentials: it was not.
        """
        visit = find()
        for attempt in range(TRIES):
            if change.is_done(visit):
                return visit
            self._put(visit, change)
            try:
                stored = self.read(visit.id)
                if stored is not None and change.is_done(stored):
                    # Read alone, a row tells neither treatment nor patient.
                    return replace(
                        visit, when=stored.when, state=stored.state, state_id=stored.state_id, notes=stored.notes
                    )
                visit = find() if attempt + 1 < TRIES else visit
            except AssistantError:
                break  # cannot see
        raise OutcomeUnknown(f"{PARTNER}: a change that could not be read back", code="PUT")

    def read(self, visit_id: str) -> Visit | None:
        """The stored visit, without treatment and patient; None when there is none. Raises as a read does."""
        try:
            return read_visit(self._api.get(f"/cita/{visit_id}"), self._clock)
        except NotFound:
            return None

    def _put(self, visit: Visit, change: Change) -> None:
        """One PUT; one more when an id was not known any more. An unknown outcome is left to the read after it."""
        for is_last in (False, True):
            try:
                self._api.write("PUT", f"/cita/{visit.id}", self._body(visit, change))
            except (OutcomeUnknown, AlreadyThere):
                return
            except BareError as error:
                if is_last:
                    raise PartnerRefused(str(error), code=error.code) from None
                self._catalogues.forget()
            else:
                return

    def _body(self, visit: Visit, change: Change) -> dict[str, str]:
        state_id = self._catalogues.state(change.state) if change.state else visit.state_id
        if not (visit.can_be_put and state_id):
            raise NeedsPerson(PERSON)
        body = {
            "idTratamiento": visit.treatment_id,
            "idEstado": state_id,
            "idTipo": visit.type_id,
            "idUser": visit.user_id or self._staff_id,
        }
        if change.start is not None:
            body["fecha_programada"] = self._clock.write(change.start)
        if change.note and change.note not in visit.notes:
            body["observaciones"] = f"{visit.notes} | {change.note}" if visit.notes else change.note
        return body
