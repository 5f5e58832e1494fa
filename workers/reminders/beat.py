"""What Beat rings each hour: read the agenda, claim what is to be reminded until the next hour, queue it.

Run twice, late or cut off in the middle it does no harm: each visit's claim is taken once. Nothing is sent from here.
"""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterable, Iterator

from shared.checkpoints import Step, reached
from shared.conversation import Appointment
from shared.errors import AssistantError
from shared.state import audit, dead, reminders
from shared.state.reminders import Claim
from workers.reminders.compose import call_line, compose
from workers.reminders.plan import MISSED_AFTER_DAYS, Planned, Rules, plan, plan_missed
from workers.services import Services

log = logging.getLogger(__name__)

CHUNK = 200  # claims in one round trip
AGAIN_KEY = "remind_again"  # the agenda could not be read: the next follow-up tries, not the next hour


def remind(services: Services) -> int:
    """Plan this hour's reminders; returns how many were new."""
    rules = Rules.of(services.settings)
    if not rules.ahead and not rules.same_day:
        return 0
    now = services.now()
    try:
        visits = services.appointments.upcoming(rules.horizon_hours())
        planned = claim_all(services, plan(visits, now, rules), now)
        missed = claim_all(services, _missed(services, now, rules), now)
    except AssistantError as error:
        log.warning("the agenda could not be read for reminders", extra={"cause": type(error).__name__})
        services.alerts.incident("backend_down", type(error).__name__)
        services.client.set(AGAIN_KEY, "1", ex=3600)
        return 0
    services.client.delete(AGAIN_KEY)
    log.info("reminders planned", extra={"visits": len(visits), "planned": planned, "missed": missed})
    return planned + missed


def follow_up(services: Services) -> None:
    """What Beat rings every ten minutes: reminders that did not arrive go on the call list, what is old goes away."""
    while reminders.call_about_unconfirmed(services.client):
        pass
    audit.trim(services.client, services.settings.AUDIT_DAYS, services.now())
    dead.forget_old(services.client, services.now())
    if services.client.exists(AGAIN_KEY):
        remind(services)


def claim_all(services: Services, planned: Iterable[Planned], now: dt.datetime) -> int:
    """Claim and queue, some hundreds at a time, in the order in which they are due within each lot."""
    claimed = 0
    for lot in _lots(planned):
        wanted: list[Claim] = []
        for one in sorted(lot, key=lambda one: one.due):
            found = compose(one, services.settings, now)
            if found is None:
                line = call_line(one.visit, one.kind) | {"patient": "", "kind": "reminder", "why": "no_number"}
                reminders.put_on_call_list(services.client, f"n:{one.visit.id}:{one.kind}", line)
            else:
                wanted.append(found)
        claimed += reminders.claim(services.client, wanted)
        reached(Step.REMINDERS_CLAIMED)
    return claimed


def _missed(services: Services, now: dt.datetime, rules: Rules) -> Iterator[Planned]:
    """Recovery messages; none when the backend does not know who came."""
    today = now.astimezone(rules.zone).date()
    for kind, days in MISSED_AFTER_DAYS.items():
        visits: list[Appointment] | None = services.appointments.missed(today - dt.timedelta(days=days))
        if visits is None:
            return
        yield from plan_missed(visits, kind, now, rules)


def _lots(planned: Iterable[Planned]) -> Iterator[list[Planned]]:
    lot: list[Planned] = []
    for one in planned:
        lot.append(one)
        if len(lot) == CHUNK:
            yield lot
            lot = []
    if lot:
        yield lot
