"""Who a phone belongs to, and which visits there are: the reads behind everything. Called by `agenda`.

A patient's own visits are always read anew; other people's come from the table, at most a minute old unless asked for.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable

from shared.conversation import PatientRecord
from shared.errors import NotFound
from workers.seguimiento.answers import PARTNER, BareError
from workers.seguimiento.api import Api
from workers.seguimiento.clock import Clock
from workers.seguimiento.rows import UNKNOWN, Visit, local_number, read_patient, read_visit, word
from workers.seguimiento.table import KEEP_S, Table

log = logging.getLogger(__name__)


class Finder:
    """Safe for threads. `skipped_rows` counts rows that could not be read."""

    def __init__(self, api: Api, clock: Clock, now: Callable[[], dt.datetime]) -> None:
        self._api, self._clock, self._now = api, clock, now
        self._table = Table(api, clock)
        self._odd_words: set[str] = set()
        self.skipped_rows = 0

    def patient(self, phone: str) -> PatientRecord:
        """What is known of a patient. A number that the backend cannot hold is not looked up."""
        number = local_number(phone)
        if number is None:
            return PatientRecord()
        try:
            return read_patient(self._api.get_object(f"/paciente/telefono/{number}"), self._clock)
        except NotFound:
            return PatientRecord()
        except BareError:
            visit = self._in_table(phone)
            return PatientRecord(registered=visit is not None, name=visit.name or None if visit else None)

    def patient_id(self, phone: str) -> str | None:
        """The backend's id of a patient; None for somebody unknown."""
        number = local_number(phone)
        if number is None:
            return None
        try:
            return word(self._api.get_object(f"/paciente/telefono/{number}"), "id") or None
        except NotFound:
            return None
        except BareError:
            visit = self._in_table(phone)
            return visit.patient_id if visit else None

    def visits_of(self, patient_id: str) -> list[Visit]:
        """All visits of a patient, past and cancelled ones too, in no order."""
        rows = self._api.get_list(f"/cita/paciente/{patient_id}")
        found = [read_visit(row, self._clock) for row in rows]
        if skipped := found.count(None):
            self.skipped_rows += skipped
            log.warning("rows of the appointments backend could not be read", extra={"rows": skipped})
        return [visit for visit in found if visit]

    def coming_of(self, phone: str) -> list[Visit]:
        """The visits of a patient that are still to come, in order; a word that we do not know is logged once."""
        patient_id = self.patient_id(phone)
        visits = self.visits_of(patient_id) if patient_id else []
        ahead = [visit for visit in visits if visit.is_live and self.is_ahead(visit)]
        for odd in {visit.state for visit in ahead if visit.status == UNKNOWN} - self._odd_words:
            self._odd_words.add(odd)
            log.warning("unknown state of a visit", extra={"state_word": odd or "none"})
        return sorted(ahead, key=by_time)

    def visit(self, appointment_id: str, phone: str | None) -> Visit:
        """A fresh read of one visit, among the patient's own where it is known whose it is.

        Raises:
            NotFound: there is none, or it is not this patient's.
        """
        if phone:
            patient_id = self.patient_id(phone)
            visits = self.visits_of(patient_id) if patient_id else []
        else:
            visits = self.all(0)
        found = next((visit for visit in visits if visit.id == appointment_id), None)
        if found is None:
            raise NotFound(f"{PARTNER}: no such visit", code=404)
        return found

    def all(self, max_age_s: float = KEEP_S) -> list[Visit]:
        """Everybody's visits, ever, as they were at most so long ago; 0: as they are now."""
        page = self._table.visits(max_age_s)
        self.skipped_rows = max(self.skipped_rows, page.skipped)
        return page.visits

    def coming(self, max_age_s: float = KEEP_S) -> list[Visit]:
        """Everybody's live visits from today on."""
        today = self.today()
        return [visit for visit in self.all(max_age_s) if visit.is_live and visit.when.start.date() >= today]

    def forget(self) -> None:
        """Something was written: the table that is kept is not true any more."""
        self._table.forget()

    def today(self) -> dt.date:
        """Of the centre's clock."""
        return self._now().astimezone(self._clock.zone).date()

    def is_ahead(self, visit: Visit) -> bool:
        """Still to come; a visit of which only the day is told counts on its day."""
        if not visit.when.has_hour or visit.status == UNKNOWN:
            return visit.when.start.date() >= self.today()
        return visit.when.start > self._now()

    def _in_table(self, phone: str) -> Visit | None:
        """A visit of this phone: a patient who has one without state cannot be shown, but stands in the table."""
        return next((visit for visit in self.all() if visit.phone == phone), None)


def by_time(visit: Visit) -> tuple[dt.datetime, str]:
    """A key for sorting: the backend's lists have no order."""
    return visit.when.start, visit.id
