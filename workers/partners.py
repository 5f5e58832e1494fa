"""Does at the appointments backend what the dialogue decided, and reports what came of it as a value."""

from __future__ import annotations

import time

from shared.errors import AssistantError, NeedsPerson, NotFound, OutcomeUnknown, PartnerRefused, SlotUnavailable
from shared.messages import Identity
from workers.dialogue.decision import (
    BackendCall,
    ByPerson,
    Cancel,
    Confirm,
    Done,
    Free,
    FreeSlots,
    Missing,
    Outcome,
    Refused,
    Reschedule,
    Schedule,
    Taken,
    TakenReason,
    Unknown,
)
from workers.services import Services


def execute(services: Services, identity: Identity, call: BackendCall) -> Outcome:
    """Execute one call. Writes carry the flow's number as idempotency key: repeated, they change nothing.

    Raises:
        RetryLater: nothing was done; the turn is repeated later.
        BadCredentials: likewise, until a person acts.
    """
    began = time.perf_counter()
    try:
        return _execute(services, "+" + (identity.number or ""), call)
    except SlotUnavailable as taken:
        return Taken(TakenReason(taken.reason), taken.alternatives)
    except NotFound:
        return Missing()
    except NeedsPerson as needed:
        services.metrics.count("backend_failures_total", cause="NeedsPerson")
        return ByPerson(needed.why)
    except PartnerRefused as refused:
        services.metrics.count("backend_failures_total", cause="PartnerRefused")
        services.alerts.incident("backend_refused", str(refused.code or ""))
        return Refused()
    except OutcomeUnknown:
        services.metrics.count("backend_failures_total", cause="OutcomeUnknown")
        services.alerts.incident("backend_unknown", type(call).__name__)
        return Unknown()
    except AssistantError as error:  # the turn is repeated later
        services.metrics.count("backend_failures_total", cause=type(error).__name__)
        raise
    finally:
        services.metrics.observe("backend_seconds", time.perf_counter() - began)


def _execute(services: Services, phone: str, call: BackendCall) -> Outcome:
    agenda = services.appointments
    match call:
        case FreeSlots():
            return Free(tuple(slot for day in call.dates for slot in agenda.free_slots(day)))
        case Schedule():
            reason = call.reason.value if call.reason else None
            return Done(agenda.schedule(phone, call.start, reason, call.name, call.key))
        case Cancel():
            return Done(agenda.cancel(call.appointment_id, call.key, phone=phone))
        case Reschedule():
            return Done(agenda.reschedule(call.appointment_id, call.start, call.key, phone=phone))
        case Confirm():
            return Done(agenda.confirm(call.appointment_id, call.key, phone=phone))
