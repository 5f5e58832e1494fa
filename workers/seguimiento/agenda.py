"""`Seguimiento`: the clinic's agenda kept by its present backend. Called by the road, the reminders and the doctor.

Everything about time is decided here, because the backend books whatever it is told: past, closed or taken. Before a
write comes a fresh read, after it a read back, and only then something is said. What it cannot do is `NeedsPerson`.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import redis
import requests

from shared.conversation import Appointment, PatientRecord
from shared.errors import AssistantError, NeedsPerson, NotFound, OutcomeUnknown, PartnerRefused, SlotUnavailable
from shared.settings import Settings
from workers.seguimiento.answers import PARTNER, BareError
from workers.seguimiento.api import Api
from workers.seguimiento.booking import UNREGISTERED, Booker, Wish, known_again, treatment_of, visit_id_of
from workers.seguimiento.catalogues import Catalogues
from workers.seguimiento.locks import SlotLocks
from workers.seguimiento.report import look
from workers.seguimiento.rows import (
    CONFIRMADO,
    NOTE,
    PROGRAMADO,
    UNKNOWN,
    Visit,
    appointment,
    is_missed,
    local_number,
    read_patient,
    read_visit,
    word,
)
from workers.seguimiento.slots import Slots
from workers.seguimiento.table import KEEP_S, Page, Table
from workers.seguimiento.writing import PERSON, Change, Writer

log = logging.getLogger(__name__)

CANCEL, RACE = "anular", PERSON


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


class Seguimiento:
    """See `workers.agenda.Agenda`. One per process, shared by its threads."""

    takes_alerts = False  # it has no route for it: e-mail and Slack tell staff

    def __init__(
        self,
        settings: Settings,
        client: redis.Redis | None = None,
        *,
        session: requests.Session | None = None,
        now: Callable[[], dt.datetime] = utc_now,
    ) -> None:
        """Nothing is contacted yet.

        Args:
            settings: SEGUIMIENTO_*, OPENING_HOURS, SLOT_*, CENTER_TIMEZONE.
            client: where all workers keep the locks of slots that are being booked.
            session: HTTP session of a test.
            now: the time.
        """
        self._settings, self._now = settings, now
        self._slots = Slots.of(settings)
        self._clock = self._slots.clock
        self._marks_missed = settings.SEGUIMIENTO_MARKS_MISSED
        self.api = Api(settings, session)
        self.catalogues = Catalogues(self.api)
        self.table = Table(self.api, self._clock)
        self._locks = SlotLocks(client)
        staff_id = settings.SEGUIMIENTO_STAFF_ID or ""
        self._writer = Writer(self.api, self.catalogues, self._clock, staff_id)
        self._booker = Booker(self.api, self.catalogues, self._clock, staff_id)
        self._odd_words: set[str] = set()
        self.skipped_rows = 0

    # Writes

    def schedule(self, phone: str, start: dt.datetime, reason: str | None, name: str | None, key: str) -> Appointment:
        """Book a visit for a registered patient with a treatment in course; everybody else needs a person."""
        patient_id = self._patient_id(phone)
        if patient_id is None:
            raise NeedsPerson(UNREGISTERED)
        wish = Wish(visit_id_of(patient_id, key), patient_id, start.astimezone(self._clock.zone), reason, name)

        def own_visits() -> list[Visit]:
            return self._visits_of(patient_id)

        if mine := known_again(own_visits(), wish):  # this decision was carried out before
            return self._as_booked(mine, wish, phone, own_visits)
        treatment_id = treatment_of(self.api, patient_id)
        with self._locks.hold(wish.start):
            self._check_slot(wish.start, self._coming(0))
            mine = self._booker.create(wish, treatment_id, self._now(), own_visits)
            self.table.forget()
            self._yield_to_staff(mine, own_visits)
        return appointment(mine, phone)

    def cancel(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        """Cancel a visit if the centre has a state for it; else the wish is noted on the visit and a person does it."""
        visit = self._find(appointment_id, phone)
        if visit.status == "cancelled":
            return appointment(visit, phone or "")
        self._must_be_live(visit)
        state = self.catalogues.cancelled()
        if state is None:
            note = f"pide cancelar ({NOTE}, {self._today():%d/%m/%Y})"
            with suppress(AssistantError):  # the call list has it in any case
                self._change(appointment_id, phone, Change(note=note))
            raise NeedsPerson(CANCEL)
        note = f"cancelada por el paciente ({NOTE}, {self._today():%d/%m/%Y})"
        return appointment(self._change(appointment_id, phone, Change(state=state, note=note)), phone or "")

    def reschedule(self, appointment_id: str, start: dt.datetime, key: str, *, phone: str | None = None) -> Appointment:
        """Move a visit. It becomes Programado, also a confirmed one: their own reminders see no other state."""
        start = start.astimezone(self._clock.zone)
        change = Change(state=PROGRAMADO, start=start)
        visit = self._find(appointment_id, phone)
        self._must_be_live(visit)
        if change.is_done(visit):
            return appointment(visit, phone or "")
        with self._locks.hold(start):
            others = [other for other in self._coming(0) if other.id != appointment_id]
            self._check_slot(start, others)
            moved = self._change(appointment_id, phone, change)
        return appointment(moved, phone or "")

    def confirm(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        self._must_be_live(self._find(appointment_id, phone))
        return appointment(self._change(appointment_id, phone, Change(state=CONFIRMADO)), phone or "")

    def alert(self, patient_ref: str, category: str, level: str, at: dt.datetime, timeout_s: float = 2.0) -> None:
        """Never: it says "sent" before anything is sent, and a failing n8n ends the backend's process."""
        raise PartnerRefused(f"{PARTNER}: it takes no alerts", code="no_alerts")

    # Reads

    def upcoming(self, hours: int = 48) -> list[Appointment]:
        """Visits in a state that we do not know are left out: nobody is reminded of them."""
        now = self._now()
        end = now + dt.timedelta(hours=hours)
        visits = [v for v in self._coming() if v.status != UNKNOWN and self._is_ahead(v, now) and v.when.start <= end]
        return [appointment(visit) for visit in sorted(visits, key=_by_time)]

    def of_patient(self, phone: str) -> list[Appointment]:
        patient_id = self._patient_id(phone)
        if patient_id is None:
            return []
        now = self._now()
        visits = [visit for visit in self._visits_of(patient_id) if visit.is_live and self._is_ahead(visit, now)]
        for visit in visits:
            self._note_odd_word(visit)
        return [appointment(visit, phone) for visit in sorted(visits, key=_by_time)]

    def missed(self, date: dt.date) -> list[Appointment] | None:
        """None unless the centre says that it marks them: a past visit that is still open proves nothing."""
        if not self._marks_missed:
            return None
        visits = [visit for visit in self._page().visits if is_missed(visit, date)]
        return [appointment(visit) for visit in sorted(visits, key=_by_time)]

    def free_slots(self, date: dt.date) -> list[dt.datetime]:
        return self._slots.free(date, self._coming(), self._now())

    def patient(self, phone: str) -> PatientRecord:
        number = local_number(phone)
        if number is None:
            return PatientRecord()
        try:
            return read_patient(self.api.get_object(f"/paciente/telefono/{number}"), self._clock)
        except NotFound:
            return PatientRecord()
        except BareError:  # one of their visits has no state: the patient cannot be shown, but stands in the table
            name = next((visit.name for visit in self._page().visits if visit.phone == phone), None)
            return PatientRecord(registered=name is not None, name=name or None)

    def look_around(self) -> dict[str, Any]:
        """Words, staff id, reading of times, and the calls that are off (`report.Report`)."""
        return asdict(look(self._settings, self.api, self._now()))

    def close(self) -> None:
        self.api.close()

    # Finding

    def _patient_id(self, phone: str) -> str | None:
        """The backend's id of a patient; None for somebody unknown, and for a number that it cannot hold."""
        number = local_number(phone)
        if number is None:
            return None
        try:
            return word(self.api.get_object(f"/paciente/telefono/{number}"), "id") or None
        except NotFound:
            return None
        except BareError:
            visit = next((visit for visit in self._page().visits if visit.phone == phone), None)
            return visit.patient_id if visit else None

    def _visits_of(self, patient_id: str) -> list[Visit]:
        return self._read_all(self.api.get_list(f"/cita/paciente/{patient_id}"))

    def _find(self, appointment_id: str, phone: str | None) -> Visit:
        """A fresh read of one visit, among the patient's own where it is known whose it is."""
        if phone:
            patient_id = self._patient_id(phone)
            visits = self._visits_of(patient_id) if patient_id else []
        else:
            visits = self._page(0).visits
        found = next((visit for visit in visits if visit.id == appointment_id), None)
        if found is None:
            raise NotFound(f"{PARTNER}: no such visit", code=404)
        return found

    def _page(self, max_age_s: float = KEEP_S) -> Page:
        page = self.table.visits(max_age_s)
        self.skipped_rows = max(self.skipped_rows, page.skipped)
        return page

    def _coming(self, max_age_s: float = KEEP_S) -> list[Visit]:
        """All live visits from today on."""
        today = self._today()
        return [v for v in self._page(max_age_s).visits if v.is_live and v.when.start.date() >= today]

    def _read_all(self, rows: list[Any]) -> list[Visit]:
        found = [read_visit(row, self._clock) for row in rows]
        if skipped := found.count(None):
            self.skipped_rows += skipped
            log.warning("rows of the appointments backend could not be read", extra={"rows": skipped})
        return [visit for visit in found if visit]

    # Judging

    def _today(self) -> dt.date:
        return self._now().astimezone(self._clock.zone).date()

    def _is_ahead(self, visit: Visit, now: dt.datetime) -> bool:
        """Still to come; a visit of which only the day is known counts on its day."""
        if not visit.when.has_hour or visit.status == UNKNOWN:
            return visit.when.start.date() >= self._today()
        return visit.when.start > now

    def _must_be_live(self, visit: Visit) -> None:
        if not visit.is_live:
            raise NotFound(f"{PARTNER}: that visit is over", code=404)

    def _check_slot(self, start: dt.datetime, visits: list[Visit]) -> None:
        now = self._now()
        reason = self._slots.why_not(start, visits, now)
        if reason is not None:
            raise SlotUnavailable(reason, self._slots.nearest(start, visits, now))

    def _note_odd_word(self, visit: Visit) -> None:
        if visit.status == UNKNOWN and visit.state not in self._odd_words:
            self._odd_words.add(visit.state)
            log.warning("unknown state of a visit", extra={"state_word": visit.state or "none"})

    # Changing

    def _change(self, appointment_id: str, phone: str | None, change: Change) -> Visit:
        try:
            changed = self._writer.change(lambda: self._find(appointment_id, phone), change)
        finally:
            self.table.forget()
        return changed

    def _as_booked(self, visit: Visit, wish: Wish, phone: str, own_visits: Callable[[], list[Visit]]) -> Appointment:
        """The visit of a decision that was carried out before, as it stands now."""
        if visit.id == wish.visit_id and visit.is_live and visit.when.start == wish.start:
            self._yield_to_staff(visit, own_visits)  # the turn may have been cut off before it looked
        if visit.status == "cancelled":  # by us, because staff had been quicker; or by staff
            raise SlotUnavailable("slot_taken", self._slots.nearest(visit.when.start, self._coming(0), self._now()))
        return appointment(visit, phone)

    def _yield_to_staff(self, mine: Visit, own_visits: Callable[[], list[Visit]]) -> None:
        """Look at the slot again: staff, who take no lock, may have filled it in the same moment.

        Raises:
            SlotUnavailable: they had; ours is cancelled.
            NeedsPerson: they had, and ours cannot be cancelled: staff see two.
        """
        try:
            visits = self._coming(0)
        except AssistantError:
            log.warning("a slot could not be looked at again after a booking")
            return
        if not self._slots.came_too_late(mine, visits):
            return
        state = self.catalogues.cancelled()
        if state is None:
            raise NeedsPerson(RACE)

        def find() -> Visit:
            return next(visit for visit in own_visits() if visit.id == mine.id)

        try:
            self._writer.change(find, Change(state=state, note=f"hora ya ocupada ({NOTE})"))
        except (AssistantError, StopIteration):
            raise OutcomeUnknown(f"{PARTNER}: two visits in one place", code="race") from None
        finally:
            self.table.forget()
        others = [visit for visit in visits if visit.id != mine.id]
        raise SlotUnavailable("slot_taken", self._slots.nearest(mine.when.start, others, self._now()))


def _by_time(visit: Visit) -> tuple[dt.datetime, str]:
    return visit.when.start, visit.id
