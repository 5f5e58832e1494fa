"""The centre's present backend (APPOINTMENTS_API=seguimiento): words, staff id, what its times mean. Reads only."""

from __future__ import annotations

import datetime as dt
from functools import partial

from shared.errors import AssistantError
from shared.settings import Settings
from workers.doctor.backend_checks import explain
from workers.doctor.check import Check, failed, ok, warning
from workers.doctor.runner import Group
from workers.seguimiento.api import Api
from workers.seguimiento.report import Report, look

WORDS, STAFF, CLOCK = "backend words", "backend staff id", "backend times"


def groups(settings: Settings) -> list[Group]:
    """One thread, or none when another backend is used."""
    return [Group(WORDS, partial(check, settings))] if settings.APPOINTMENTS_API == "seguimiento" else []


def check(settings: Settings) -> list[Check]:
    api = Api(settings)
    try:
        report = look(settings, api, dt.datetime.now(dt.UTC))
    except AssistantError as error:
        return [explain(WORDS, error)]
    finally:
        api.close()
    return [judge_words(report), judge_staff(report), judge_clock(report)]


def judge_words(report: Report) -> Check:
    off = f"a person has to do: {', '.join(report.off)}"
    if not report.missing:
        return ok(WORDS, off)
    advice = "the centre may add the words; until then those wishes go on the call list"
    return warning(WORDS, f"missing {', '.join(report.missing)}; {off}", advice)


def judge_staff(report: Report) -> Check:
    if report.has_staff:
        return ok(STAFF, "SEGUIMIENTO_STAFF_ID is one of its staff")
    found = "SEGUIMIENTO_STAFF_ID is none of its staff: visits cannot be moved, confirmed or cancelled"
    return failed(STAFF, found, "take an id of GET /api/user")


def judge_clock(report: Report) -> Check:
    if not report.coming:
        return warning(CLOCK, "no coming visit tells which clock they mean", "look again when there are some")
    inside = ", ".join(f"{count} read as {name}" for name, count in report.fits.items())
    found = f"of {report.coming} coming visits fall within OPENING_HOURS: {inside}; SEGUIMIENTO_CLOCK={report.clock}"
    if report.better_clock is None:
        return ok(CLOCK, found)
    return failed(CLOCK, found, f"ask the centre, and set SEGUIMIENTO_CLOCK={report.better_clock} if it agrees")
