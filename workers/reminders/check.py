"""Before a reminder is sent: is it still wanted? Reads the agenda, the consent and Meta's limit at that very moment."""

from __future__ import annotations

import datetime as dt
import logging
import random

from shared.errors import AssistantError
from shared.messages import Delivery
from shared.state import reminders
from shared.state.addresses import address_of
from workers.reminders.plan import Rules
from workers.reminders.verdict import Answer, Verdict, by_consent, by_the_agenda, by_the_clock
from workers.services import Services

log = logging.getLogger(__name__)

BACKEND_WAIT_S = 60
PAUSE_KEY = "sending_paused"  # credentials or template refused: every reminder would meet the same refusal
SEND = Verdict(Answer.SEND)


def check(services: Services, patient: str, delivery: Delivery) -> Verdict:
    """Say what is to be done with the reminder at the head of a lane. Nothing is marked or sent."""
    visit, client = delivery.reminder_of, services.client
    if visit is None:
        return SEND
    now = services.now()
    if clock := by_the_clock(visit, now, Rules.of(services.settings)):
        return clock
    if paused_ms := max(0, int(client.pttl(PAUSE_KEY))):
        return Verdict(Answer.LATER, "paused", at=now + dt.timedelta(milliseconds=paused_ms, seconds=_jitter_s()))
    if reminders.opted_out(client, patient):
        return Verdict(Answer.DROP, "opted_out")
    number = address_of(client, patient).number
    if number is None:
        return Verdict(Answer.CALL, "no_number")
    try:
        if gone := by_the_agenda(visit, services.appointments.of_patient("+" + number)):
            return gone
        agreed = reminders.agreed_in_chat(client, patient) or services.appointments.patient("+" + number).consented
    except AssistantError as error:
        log.warning("the agenda could not be read before a reminder", extra={"cause": type(error).__name__})
        services.alerts.incident("backend_down", type(error).__name__)
        return Verdict(Answer.LATER, "backend", at=now + dt.timedelta(seconds=BACKEND_WAIT_S + _jitter_s()))
    if refused := by_consent(agreed):
        return refused
    if not reminders.may_reach(client, patient, services.settings.UNIQUE_USERS_PER_DAY):
        return Verdict(Answer.CALL, "limit")
    return SEND


def pause(services: Services, seconds: float) -> None:
    """Hold all reminders back for a while."""
    services.client.set(PAUSE_KEY, "1", px=round(seconds * 1000))


def _jitter_s() -> float:
    return random.uniform(0, BACKEND_WAIT_S)  # noqa: S311 # nosec B311 - spreads load, hides nothing
