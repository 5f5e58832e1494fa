"""One patient's outbox -> Graph API, head first, one lane at a time.

Marked `sending` before the POST, `sent` after it. What a crash or a timeout left in between is unknown: it waits for a
status of Meta, then the policy of claim.lua decides by kind.
"""

from __future__ import annotations

import json
import logging
import time

from shared import tracing
from shared.canary import is_canary
from shared.celery_app import TaskName
from shared.checkpoints import Step, reached
from shared.errors import AssistantError, BadCredentials, OutcomeUnknown, PartnerRefused, RetryLater
from shared.logs import bind
from shared.messages import Delivery, DeliveryKind, DeliveryState, Template
from shared.state import outbox
from shared.state.addresses import address_of
from shared.state.outbox import Claim, Claimed
from workers.canary import stop_at_the_door
from workers.reminders.check import pause
from workers.reminders.lane import LANE, check_head, is_wanted
from workers.services import Services
from workers.whatsapp.payloads import build

log = logging.getLogger(__name__)

DELIVERIES_PER_RING = 20
TRIES = 3
WAITS_S = (1, 5, 20, 60)
PAIR_RATE = 131056  # too many messages to this one patient: Meta asks for 4^n seconds, n = 0, 1, 2 …
PAIR_RATE_MOST = 4
CREDENTIALS_WAIT_S = 60
TEMPLATE_PAUSED = 132015
TEMPLATE_STOPPED = (TEMPLATE_PAUSED, 132016)  # paused, disabled
PAUSED_TEMPLATE_WAIT_S = 900  # Meta pauses for three or six hours
URGENT_SETTLE_S = 8
NO_SEAT_WAIT_S = 2


def deliver(services: Services, patient: str, lane: str) -> None:
    """Send what lies in one lane of a patient's outbox; leave at once if another worker does it already."""
    seats = {"normal": services.deliveries, LANE: services.reminders}.get(lane)  # urgent ones need none
    if seats is not None and not seats.take():
        if lane == LANE:  # all seats wait for Meta: the sweep rings again, a reminder otherwise only in a minute
            again_ms = (services.now().timestamp() + NO_SEAT_WAIT_S) * 1000
            services.client.zadd("reminders", {f"{patient}:{lane}": again_ms}, xx=True)
        return
    try:
        _deliver(services, patient, lane)
    finally:
        if seats is not None:
            seats.leave()


def _deliver(services: Services, patient: str, lane: str) -> None:
    name = f"{patient}:{lane}"
    token = services.leases.take(name)
    if token is None:
        return
    reached(Step.LANE_LEASED)
    try:
        with bind(patient=patient):
            for _ in range(DELIVERIES_PER_RING):
                if services.stopping.is_set() or not _send_next(services, patient, lane, token):
                    break
            left = outbox.release(services.client, patient, lane, token)
            if left > 0 and lane != LANE and not services.stopping.is_set():  # reminders are rung at a pace
                services.ring(TaskName.DELIVER_OUTBOX, patient, lane)
    finally:
        services.leases.forget(name)


def _send_next(services: Services, patient: str, lane: str, token: str) -> bool:
    """Send the head of the lane; False when there is nothing to do now (the lease is then given back already)."""
    checked = check_head(services, patient, token) if lane == LANE else None
    if lane == LANE and checked is None:
        return False
    settle_s = min(URGENT_SETTLE_S, services.settings.SETTLE_S) if lane == "urgent" else services.settings.SETTLE_S
    pace_ms = 1000 / services.settings.MESSAGES_PER_SECOND
    claimed = outbox.claim(services.client, patient, lane, token, settle_ms=round(settle_s * 1000), pace_ms=pace_ms)
    if claimed.kind is not Claim.SEND or claimed.delivery is None:
        return False
    delivery = claimed.delivery
    reached(Step.CLAIMED)
    if is_canary(services.settings, patient):
        stop_at_the_door(services, patient, lane, claimed)
        return True
    if checked is not None and not is_wanted(services, patient, token, claimed, checked):
        return True
    with bind(delivery=delivery.id, message=delivery.covers[0] if delivery.covers else ""):
        try:
            with tracing.span("send", delivery.trace, kind="client", delivery=delivery.id, attempt=claimed.attempts):
                wamid = _post(services, patient, delivery)
        except AssistantError as error:
            return _not_sent(services, patient, lane, token, claimed, error)
        except Exception:
            # A fault of ours before the POST: nothing was sent, so it may be tried again, three times.
            log.exception("delivery failed")
            return _not_sent(services, patient, lane, token, claimed, RetryLater("internal", partner_down=False))
        reached(Step.POSTED)
        outbox.mark_sent(services.client, patient, lane, claimed, wamid)
        reached(Step.MARKED_SENT)
        services.alerts.resolve("credentials")
        if delivery.asked_at:
            services.metrics.observe("reply_seconds", max(0.0, (services.now() - delivery.asked_at).total_seconds()))
        log.info("reply sent", extra={"kind": delivery.kind, "attempts": claimed.attempts})
        return True


def _post(services: Services, patient: str, delivery: Delivery) -> str:
    if delivery.expires_at and services.now() > delivery.expires_at and not delivery.reply.template:
        raise PartnerRefused("the 24 h window is closed", code=131047)
    address = address_of(services.client, patient)
    if not (address.number or address.user_id):
        raise PartnerRefused("no address is known")
    body = build(delivery.reply, address, delivery.id)
    began = time.perf_counter()
    try:
        return services.whatsapp.send(body)
    finally:
        services.metrics.observe("send_seconds", time.perf_counter() - began)


def _not_sent(services: Services, patient: str, lane: str, token: str, claimed: Claimed, error: AssistantError) -> bool:
    """Back to the queue, unknown, or given up; True when the next delivery may be tried at once."""
    delivery = claimed.delivery
    if delivery is None:
        return False
    state, wait_s = next_state(error, claimed.attempts, claimed.pair_refusals)
    letter = ""
    is_reminder = delivery.kind is DeliveryKind.REMINDER
    if delivery.kind is DeliveryKind.NOTICE and state is DeliveryState.FAILED:
        state = DeliveryState.DROPPED  # of no use later; nobody has to do anything about it
    if is_reminder and error.code == TEMPLATE_PAUSED:
        state, wait_s = DeliveryState.QUEUED, PAUSED_TEMPLATE_WAIT_S
    if is_reminder and (isinstance(error, BadCredentials) or error.code == TEMPLATE_PAUSED):
        pause(services, wait_s)
    if state is DeliveryState.FAILED and not is_reminder:  # a reminder goes on the call list
        letter = json.dumps(
            {"patient": patient, "delivery": delivery.id, "kind": delivery.kind, "why": type(error).__name__}
            | {"code": error.code, "at": services.now().isoformat(), "entry": claimed.raw}
        )
    outbox.mark_unsent(
        services.client,
        patient,
        lane,
        token,
        claimed,
        state,
        wait_ms=round(wait_s * 1000),
        code="" if error.code is None else str(error.code),
        letter=letter,
        why="failed" if is_reminder and state is DeliveryState.FAILED else type(error).__name__,
    )
    log.warning("reply not sent", extra={"cause": type(error).__name__, "code": error.code, "state": state})
    of_one_person = is_reminder and incident_of(error, delivery.reply.template) == "send_refused"
    of_one_person = of_one_person or state is DeliveryState.DROPPED
    if (error.alert or state is DeliveryState.FAILED) and not of_one_person:
        services.alerts.incident(
            incident_of(error, delivery.reply.template), f"{type(error).__name__} {error.code or ''}".strip()
        )
    return state in (DeliveryState.FAILED, DeliveryState.DROPPED)


def incident_of(error: AssistantError, template: Template | None) -> str:
    """The kind of incident that a failed send is (pure)."""
    if isinstance(error, BadCredentials):
        return "credentials"
    if template is not None and error.code in TEMPLATE_STOPPED:
        return f"template_paused:{template.name}"
    return "send_refused"


def next_state(error: AssistantError, attempts: int, pair_refusals: int = 0) -> tuple[DeliveryState, float]:
    """What becomes of a delivery after `error`, and the seconds until it is looked at again (pure).

    Args:
        error: of this try.
        attempts: how many there were, with this one.
        pair_refusals: how many before it were refused for the pair rate.
    """
    wait_s = float(WAITS_S[min(attempts, len(WAITS_S)) - 1])
    if isinstance(error, OutcomeUnknown):
        return DeliveryState.UNKNOWN, wait_s
    if isinstance(error, BadCredentials):
        return DeliveryState.QUEUED, CREDENTIALS_WAIT_S
    if isinstance(error, RetryLater):
        if not error.partner_down and attempts >= TRIES:
            return DeliveryState.FAILED, 0
        if error.code == PAIR_RATE:
            wait_s = float(4 ** min(pair_refusals, PAIR_RATE_MOST))
        return DeliveryState.QUEUED, error.after_s if error.after_s is not None else wait_s
    return DeliveryState.FAILED, 0
