"""Client of the clinic's appointments backend (contract in docs/architecture.md). Called by the road and the reminders.

A write whose outcome is unknown is never reported as done or failed: it is read back first, then tried once more with
the same Idempotency-Key.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import logging
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote

import redis
import requests

from shared.conversation import Appointment, PatientRecord
from shared.errors import AssistantError, NotFound, OutcomeUnknown, PartnerRefused, RetryLater
from shared.settings import Settings
from workers import appointment_rows as rows
from workers.agenda import Agenda
from workers.backend import PARTNER, Backend, must_be_list, unreadable
from workers.seguimiento import Seguimiento

log = logging.getLogger(__name__)

_ALL_COMING_HOURS = 24 * 730  # a visit further away than two years is not looked for
T = TypeVar("T")


class Appointments:
    """Reads and writes visits. One per process, shared by its threads. `phone` is E.164 with plus everywhere.

    All methods raise RetryLater (certainly nothing was done), BadCredentials and PartnerRefused; what else is said at
    each. `skipped_rows` counts rows of lists that could not be read.
    """

    takes_alerts = True

    def __init__(self, settings: Settings, session: requests.Session | None = None) -> None:
        self._backend = Backend(settings, session)
        self._zone = settings.timezone
        self.skipped_rows = 0

    # Writes. `key` is the Idempotency-Key: the same for every repetition of one decision.

    def schedule(self, phone: str, start: dt.datetime, reason: str | None, name: str | None, key: str) -> Appointment:
        """Book a visit.

        Raises:
            SlotUnavailable: taken, closed or past; with other times if the backend offers any.
            OutcomeUnknown: it may be booked; nobody could find out.
        """
        optional = {"name": name or "", "reason": reason or ""}
        body = {"phone": phone, "datetime": self._iso(start)} | {
            field: value for field, value in optional.items() if value
        }

        def understand(answer: object) -> Appointment | None:
            return rows.read_appointment(answer, self._zone, phone=phone, **optional)

        def find() -> Appointment | None:
            mine = (visit for visit in self.of_patient(phone) if visit.status != "cancelled")
            return next((visit for visit in mine if visit.start == start), None)

        return self._write("/appointments/schedule", body, key, understand, find)

    def cancel(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        """Cancel a visit; returns it if the backend tells more than that it is cancelled.

        Args:
            phone: of the patient, if known: makes a read-back cheaper.

        Raises:
            NotFound: there is no such visit.
            OutcomeUnknown: it may be cancelled.
        """

        def find() -> tuple[Appointment | None] | None:
            row = self._find_row(appointment_id, phone)
            is_gone = row is None or rows.status_of(row) == "cancelled"
            return (rows.read_appointment(row, self._zone),) if is_gone else None

        body = {"appointment_id": appointment_id}
        return self._write("/appointments/cancel", body, key, self._visit_if_told, find)[0]

    def reschedule(self, appointment_id: str, start: dt.datetime, key: str, *, phone: str | None = None) -> Appointment:
        """Move a visit.

        Raises:
            SlotUnavailable, NotFound: as for schedule and cancel; the old time stands.
            OutcomeUnknown: it may have been moved.
        """

        def understand(answer: object) -> Appointment | None:
            return rows.read_appointment(answer, self._zone, phone=phone or "")

        def find() -> Appointment | None:
            visit = rows.read_appointment(self._find_row(appointment_id, phone), self._zone)
            return visit if visit and visit.start == start else None

        body = {"appointment_id": appointment_id, "datetime": self._iso(start)}
        return self._write("/appointments/reschedule", body, key, understand, find)

    def confirm(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        """Note that the patient will come; returns the visit if the backend tells more than that it is confirmed.

        Raises:
            NotFound: there is no such visit.
            OutcomeUnknown: it may be noted.
        """

        def find() -> tuple[Appointment | None] | None:
            row = self._find_row(appointment_id, phone)
            return (rows.read_appointment(row, self._zone),) if rows.status_of(row) == "confirmed" else None

        body = {"appointment_id": appointment_id}
        return self._write("/appointments/confirm", body, key, self._visit_if_told, find)[0]

    def alert(self, patient_ref: str, category: str, level: str, at: dt.datetime, timeout_s: float = 2.0) -> None:
        """Tell the supervisors of a danger sign: one try.

        Args:
            patient_ref: phone with plus, or a user id.
            category, level: of `shared.prediction.Danger`.
            at: when the patient wrote it.
            timeout_s: to connect, and again for the answer.

        Raises:
            OutcomeUnknown: it may have arrived; repeating is harmless, the key is made from the arguments.
        """
        who = "phone" if patient_ref.startswith("+") else "user_id"
        body = {who: patient_ref, "category": category, "level": level, "at": self._iso(at)}
        key = hashlib.blake2b("|".join(body.values()).encode(), digest_size=16).hexdigest()
        self._backend.post("/alerts", body, key, timeout_s)

    # Reads

    def upcoming(self, hours: int = 48) -> list[Appointment]:
        """Visits of the next hours that are not cancelled, of all patients."""
        return self._list("/appointments/upcoming", {"hours": str(hours)})

    def of_patient(self, phone: str) -> list[Appointment]:
        """The coming visits of one patient; [] also for somebody unknown."""
        return self._list("/appointments", {"phone": phone})

    def missed(self, date: dt.date) -> list[Appointment] | None:
        """Visits of that day to which nobody came; None when the backend does not know such things."""
        try:
            return self._list("/appointments/missed", {"date": date.isoformat()})
        except NotFound:
            return None

    def free_slots(self, date: dt.date) -> list[dt.datetime]:
        """Free times of one day, in the clinic's zone, in order."""
        body = self._backend.get("/appointments/slots", {"date": date.isoformat()})
        free = must_be_list(body.get("free") if isinstance(body, dict) else None)
        clocks = [rows.read_clock(value) for value in free]
        self._count_skipped(clocks.count(None))
        return sorted(dt.datetime.combine(date, clock, self._zone) for clock in clocks if clock)

    def patient(self, phone: str) -> PatientRecord:
        """What the backend knows of a patient; somebody unknown is a record with `registered` False."""
        try:
            body = self._backend.get(f"/patients/{quote(phone, safe='')}", {})
        except NotFound:
            return PatientRecord()
        return rows.read_patient(body) if isinstance(body, dict) else unreadable()

    def look_around(self) -> dict[str, Any]:
        return {}  # the contract says it all

    def close(self) -> None:
        """Close the pooled connections."""
        self._backend.close()

    def _write(
        self,
        path: str,
        body: dict[str, str],
        key: str,
        understand: Callable[[object], T | None],
        find: Callable[[], T | None],
    ) -> T:
        """Write, read back when the outcome is unknown, write once more with the same key, read back again.

        `find` returns the effect if it is there; so a first try that was still under way is recognised, whatever the
        second one was told ("taken": by ourselves; "not found": cancelled by ourselves).
        """
        for is_last in (False, True):
            refusal: AssistantError | None = None
            try:
                done = understand(self._backend.post(path, body, key))
                if done is not None:
                    return done
            except OutcomeUnknown:
                pass
            except (PartnerRefused, RetryLater) as error:
                if not is_last:
                    raise
                refusal = error
            try:
                found = find()
            except AssistantError:
                continue  # cannot see: the second try is safe all the same, it carries the same key
            if found is not None:
                return found
            if isinstance(refusal, PartnerRefused):
                raise refusal  # it was seen that nothing was done, and it will not be
        raise OutcomeUnknown(f"{PARTNER}: a write that could not be read back", code=path)

    def _visit_if_told(self, answer: object) -> tuple[Appointment | None] | None:
        return (rows.read_appointment(answer, self._zone),) if isinstance(answer, dict) else None

    def _list(self, path: str, params: dict[str, str]) -> list[Appointment]:
        found = [rows.read_appointment(row, self._zone) for row in self._backend.get_list(path, params)]
        self._count_skipped(found.count(None))
        return [visit for visit in found if visit]

    def _find_row(self, appointment_id: str, phone: str | None) -> Any:
        """The row of this visit as it came, or None: an odd row is still a visit that exists."""
        if phone:
            listed = self._backend.get_list("/appointments", {"phone": phone})
        else:
            listed = self._backend.get_list("/appointments/upcoming", {"hours": str(_ALL_COMING_HOURS)})
        return next((row for row in listed if rows.id_of(row) == appointment_id), None)

    def _count_skipped(self, count: int) -> None:
        if count:
            self.skipped_rows += count
            log.warning("rows of the appointments backend could not be read", extra={"rows": count})

    def _iso(self, at: dt.datetime) -> str:
        if at.tzinfo is None:
            raise ValueError("a time without zone")
        return at.astimezone(self._zone).isoformat(timespec="seconds")


def build_appointments(settings: Settings, client: redis.Redis | None = None) -> Agenda:
    """The client that APPOINTMENTS_API asks for; nothing is contacted yet.

    Args:
        settings: SEGUIMIENTO_*, and for `seguimiento` the centre's opening hours and slots.
        client: the state store, for locks between workers; only reads do without.
    """
    if settings.APPOINTMENTS_API == "seguimiento":
        return Seguimiento(settings, client)
    return Appointments(settings)
