"""The appointments backend: does it keep the contract? Reads only, of all patients or of a day; never a write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import partial

from shared.errors import AssistantError, BadCredentials, PartnerRefused, RetryLater
from shared.settings import Settings
from workers.agenda import Agenda
from workers.appointments import build_appointments
from workers.doctor.check import Check, failed, ok, warning
from workers.doctor.reach import why
from workers.doctor.runner import TIMEOUT_S, Group

UPCOMING, SLOTS, MISSED = "backend visits", "backend free times", "backend missed visits"
_HOURS = 48


def groups(settings: Settings) -> list[Group]:
    """One thread for each route."""
    today = dt.datetime.now(settings.timezone).date()
    return [
        Group(UPCOMING, partial(check, settings, UPCOMING, upcoming)),
        Group(SLOTS, partial(check, settings, SLOTS, partial(slots, today + dt.timedelta(days=1)))),
        Group(MISSED, partial(check, settings, MISSED, partial(missed, today - dt.timedelta(days=1)))),
    ]


def check(settings: Settings, name: str, ask: Callable[[Agenda], Check]) -> list[Check]:
    """Ask one thing; rows that our reader passes over are told."""
    limits = {"SEGUIMIENTO_TIMEOUT": min(TIMEOUT_S, settings.SEGUIMIENTO_TIMEOUT)}
    agenda = build_appointments(settings.model_copy(update=limits))
    try:
        answer = ask(agenda)
    except AssistantError as error:
        return [explain(name, error)]
    finally:
        agenda.close()
    if agenda.skipped_rows:
        found = f"{agenda.skipped_rows} entries cannot be read: those visits do not exist for the assistant"
        return [warning(name, found, "each needs appointment_id and datetime with offset (docs/architecture.md)")]
    return [answer]


def upcoming(agenda: Agenda) -> Check:
    return ok(UPCOMING, f"{len(agenda.upcoming(_HOURS))} in the next {_HOURS} hours")


def slots(day: dt.date, agenda: Agenda) -> Check:
    return ok(SLOTS, f"{len(agenda.free_slots(day))} on {day.isoformat()}")


def missed(day: dt.date, agenda: Agenda) -> Check:
    visits = agenda.missed(day)
    if visits is None:
        advice = (
            "nothing, if the backend does not know who came; else let it answer GET /appointments/missed, or set "
            "SEGUIMIENTO_MARKS_MISSED"
        )
        return warning(MISSED, "the backend does not know them: messages after a missed visit are off", advice)
    return ok(MISSED, f"{len(visits)} on {day.isoformat()}")


def explain(name: str, error: AssistantError) -> Check:
    """Say what an error of the client means here."""
    if isinstance(error, BadCredentials):
        return failed(name, f"HTTP {error.code}: the token is refused", "correct SEGUIMIENTO_TOKEN")
    if isinstance(error, RetryLater) and error.code == "unreadable":
        return failed(
            name, "an answer of another shape than the contract's", "see whether SEGUIMIENTO_SERVICE_URL is right"
        )
    if isinstance(error, PartnerRefused):
        advice = "see whether SEGUIMIENTO_SERVICE_URL names the root of the contract's routes"
        return failed(name, f"HTTP {error.code}: no such route", advice)
    if isinstance(error.code, int):
        return failed(name, f"HTTP {error.code}", "read the log of the backend")
    return failed(
        name, f"{why(error)}: no visit can be booked", "start the backend, or correct SEGUIMIENTO_SERVICE_URL"
    )
