"""What a worker asks of the clinic's agenda, whichever backend keeps it. `phone` is E.164 with plus everywhere.

`workers.appointments.Appointments` speaks our contract, `workers.seguimiento.Seguimiento` the centre's present backend;
APPOINTMENTS_API chooses (`workers.appointments.build_appointments`).
"""

from __future__ import annotations

import datetime as dt
from typing import Any, Protocol

from shared.conversation import Appointment, PatientRecord


class Agenda(Protocol):
    """Reads and writes visits. One per process, shared by its threads.

    All methods raise RetryLater (certainly nothing was done), BadCredentials and PartnerRefused; writes also
    OutcomeUnknown (it may have been done, and nobody could find out) and NeedsPerson (this backend cannot do it). A
    visit that starts at midnight has a day and no hour yet.
    """

    @property
    def skipped_rows(self) -> int:
        """How many rows of lists could not be read."""

    @property
    def takes_alerts(self) -> bool:
        """Whether a danger sign can be told to it: else e-mail and Slack must."""

    # Writes. `key` is the same for every repetition of one decision.

    def schedule(self, phone: str, start: dt.datetime, reason: str | None, name: str | None, key: str) -> Appointment:
        """Book a visit; SlotUnavailable when taken, closed or past, with other times if there are any."""

    def cancel(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        """Cancel a visit; NotFound when there is none. Returns it if the backend tells more than that."""

    def reschedule(self, appointment_id: str, start: dt.datetime, key: str, *, phone: str | None = None) -> Appointment:
        """Move a visit; SlotUnavailable and NotFound as above, the old time then stands."""

    def confirm(self, appointment_id: str, key: str, *, phone: str | None = None) -> Appointment | None:
        """Note that the patient will come; NotFound when there is no such visit."""

    def alert(self, patient_ref: str, category: str, level: str, at: dt.datetime, timeout_s: float = 2.0) -> None:
        """Tell the supervisors of a danger sign: one try, harmless when repeated. See `takes_alerts`."""

    # Reads

    def upcoming(self, hours: int = 48) -> list[Appointment]:
        """Visits of the next hours that are not cancelled, of all patients."""

    def of_patient(self, phone: str) -> list[Appointment]:
        """The coming visits of one patient; [] also for somebody unknown."""

    def missed(self, date: dt.date) -> list[Appointment] | None:
        """Visits of that day to which nobody came; None when the backend does not know such things."""

    def free_slots(self, date: dt.date) -> list[dt.datetime]:
        """Free times of one day, in the clinic's zone, in order."""

    def patient(self, phone: str) -> PatientRecord:
        """What is known of a patient; somebody unknown is a record with `registered` False."""

    def look_around(self) -> dict[str, Any]:
        """What is found of the backend, without a word of a patient: for the log of a start and GET /health.

        {} when there is nothing to tell. Raises as reads do.
        """

    def close(self) -> None:
        """Close the pooled connections."""
