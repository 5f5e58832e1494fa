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
from workers.seguimiento.answers import PARTNER
from workers.seguimiento.api import Api
from workers.seguimiento.booking import UNREGISTERED, Booker, Wish, known_again, treatment_of, visit_id_of
from workers.seguimiento.catalogues import Catalogues
from workers.seguimiento.finding import Finder, by_time
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
)
from workers.seguimiento.slots import Slots
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
        self._api = Api(settings, session)
        self._catalogues = Catalogues(self._api)
        self._finder = Finder(self._api, self._slots.clock, now)
        self._locks = SlotLocks(client)
        staff_id = settings.SEGUIMIENTO_STAFF_ID or ""
        self._writer = Writer(self._api, self._catalogues, self._slots.clock, staff_id)
        self._booker = Booker(self._api, self._catalogues, self._slots.clock, staff_id)

    # Writes

    def schedule(self, phone: str, start: dt.datetime, reason: str | None, name: str | None, key: str) -> Appointment:
        """Book a visit for a registered patient with a treatment in course; everybody else needs a person."""
        patient_id = self._finder.patient_id(phone)
        if patient_id is None:
            raise NeedsPerson(UNREGISTERED)
        wish = Wish(visit_id_of(patient_id, key), patient_id, start.astimezone(self._slots.clock.zone), reason, name)

        def own_visits() -> list[Visit]:
            return self._finder.visits_of(patient_id)

        if mine := known_again(own_visits(), wish):  # this decision was carried out before
            return self._as_booked(mine, wish, phone, own_visits)
        treatment_id = treatment_of(self._api, patient_id)
        with self._locks.hold(wish.start):
            self._check_slot(wish.start, self._finder.coming(0))
            mine = self._booker.create(wish, treatment_id, self._now(), own_visits)
            self._finder.forget()
            self._yield_to_staff(mine, own_visits)
        return appointment(mine, phone)

    def cancel(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        """Cancel a visit if the centre has a state for it; else the wish is noted on the visit and a person does it."""
        visit = self._finder.visit(appointment_id, phone)
        if visit.status == "cancelled":
            return appointment(visit, phone or "")
        self._must_be_live(visit)
        state = self._catalogues.cancelled()
        if state is None:
            note = f"pide cancelar ({NOTE}, {self._finder.today():%d/%m/%Y})"
            with suppress(AssistantError):  # the call list has it in any case
                self._change(appointment_id, phone, Change(note=note))
            raise NeedsPerson(CANCEL)
        note = f"cancelada por el paciente ({NOTE}, {self._finder.today():%d/%m/%Y})"
        return appointment(self._change(appointment_id, phone, Change(state=state, note=note)), phone or "")

    def reschedule(self, appointment_id: str, start: dt.datetime, key: str, *, phone: str | None = None) -> Appointment:
        """Move a visit. It becomes Programado, also a confirmed one: their own reminders see no other state."""
        start = start.astimezone(self._slots.clock.zone)
        change = Change(state=PROGRAMADO, start=start)
        visit = self._finder.visit(appointment_id, phone)
        self._must_be_live(visit)
        if change.is_done(visit):
            return appointment(visit, phone or "")
        with self._locks.hold(start):
            others = [other for other in self._finder.coming(0) if other.id != appointment_id]
            self._check_slot(start, others)
            moved = self._change(appointment_id, phone, change)
        return appointment(moved, phone or "")

    def confirm(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        self._must_be_live(self._finder.visit(appointment_id, phone))
        return appointment(self._change(appointment_id, phone, Change(state=CONFIRMADO)), phone or "")

    def alert(self, patient_ref: str, category: str, level: str, at: dt.datetime, timeout_s: float = 2.0) -> None:
        """Never: it says "sent" before anything is sent, and a failing n8n ends the backend's process."""
        raise PartnerRefused(f"{PARTNER}: it takes no alerts", code="no_alerts")

    # Reads

    def upcoming(self, hours: int = 48) -> list[Appointment]:
        """Visits in a state that we do not know are left out: nobody is reminded of them."""
        end = self._now() + dt.timedelta(hours=hours)
        known = [visit for visit in self._finder.coming() if visit.status != UNKNOWN and self._finder.is_ahead(visit)]
        return [appointment(visit) for visit in sorted(known, key=by_time) if visit.when.start <= end]

    def of_patient(self, phone: str) -> list[Appointment]:
        return [appointment(visit, phone) for visit in self._finder.coming_of(phone)]

    def missed(self, date: dt.date) -> list[Appointment] | None:
        """None unless the centre says that it marks them: a past visit that is still open proves nothing."""
        if not self._settings.SEGUIMIENTO_MARKS_MISSED:
            return None
        visits = [visit for visit in self._finder.all() if is_missed(visit, date)]
        return [appointment(visit) for visit in sorted(visits, key=by_time)]

    def free_slots(self, date: dt.date) -> list[dt.datetime]:
        return self._slots.free(date, self._finder.coming(), self._now())

    def patient(self, phone: str) -> PatientRecord:
        return self._finder.patient(phone)

    @property
    def skipped_rows(self) -> int:
        """Rows that could not be read."""
        return self._finder.skipped_rows

    def look_around(self) -> dict[str, Any]:
        """Words, staff id, reading of times, and the calls that are off (`report.Report`)."""
        return asdict(look(self._settings, self._api, self._now()))

    def close(self) -> None:
        self._api.close()

    # Judging

    def _must_be_live(self, visit: Visit) -> None:
        if not visit.is_live:
            raise NotFound(f"{PARTNER}: that visit is over", code=404)

    def _check_slot(self, start: dt.datetime, visits: list[Visit]) -> None:
        now = self._now()
        reason = self._slots.why_not(start, visits, now)
        if reason is not None:
            raise SlotUnavailable(reason, self._slots.nearest(start, visits, now))

    # Changing

    def _change(self, appointment_id: str, phone: str | None, change: Change) -> Visit:
        try:
            changed = self._writer.change(lambda: self._finder.visit(appointment_id, phone), change)
        finally:
            self._finder.forget()
        return changed

    def _as_booked(self, visit: Visit, wish: Wish, phone: str, own_visits: Callable[[], list[Visit]]) -> Appointment:
        """The visit of a decision that was carried out before, as it stands now."""
        if visit.id == wish.visit_id and visit.is_live and visit.when.start == wish.start:
            self._yield_to_staff(visit, own_visits)  # the turn may have been cut off before it looked
        if visit.status == "cancelled":  # by us, because staff had been quicker; or by staff
            raise SlotUnavailable(
                "slot_taken", self._slots.nearest(visit.when.start, self._finder.coming(0), self._now())
            )
        return appointment(visit, phone)

    def _yield_to_staff(self, mine: Visit, own_visits: Callable[[], list[Visit]]) -> None:
        """Look at the slot again: staff, who take no lock, may have filled it in the same moment.

        Raises:
            SlotUnavailable: they had; ours is cancelled.
            NeedsPerson: they had, and ours cannot be cancelled: staff see two.
        """
        try:
            visits = self._finder.coming(0)
        except AssistantError:
            log.warning("a slot could not be looked at again after a booking")
            return
        if not self._slots.came_too_late(mine, visits):
            return
        state = self._catalogues.cancelled()
        if state is None:
            raise NeedsPerson(RACE)

        def find() -> Visit:
            return next(visit for visit in own_visits() if visit.id == mine.id)

        try:
            self._writer.change(find, Change(state=state, note=f"hora ya ocupada ({NOTE})"))
        except (AssistantError, StopIteration):
            raise OutcomeUnknown(f"{PARTNER}: two visits in one place", code="race") from None
        finally:
            self._finder.forget()
        others = [visit for visit in visits if visit.id != mine.id]
        raise SlotUnavailable("slot_taken", self._slots.nearest(mine.when.start, others, self._now()))
