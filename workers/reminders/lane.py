"""What the reminder lane of an outbox needs beside the others. Called by `workers.deliver` around claim and POST."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from shared.checkpoints import Step, reached
from shared.messages import DeliveryState
from shared.state import outbox
from shared.state.outbox import Claimed
from workers.reminders.check import SEND, check
from workers.reminders.verdict import Answer, Verdict
from workers.services import Services

log = logging.getLogger(__name__)

LANE = "reminder"


@dataclass(frozen=True)
class Checked:
    """The reminder that stood at the head, and what was found about it."""

    delivery_id: str
    verdict: Verdict


def check_head(services: Services, patient: str, token: str) -> Checked | None:
    """Ask whether the reminder at the head is still wanted, before anything is marked.

    None: not now; the lane is then given back and will be looked at again.
    """
    head = outbox.head(services.client, patient, LANE)
    if head is None:
        return Checked("", SEND)  # the claim finds the lane empty and tidies up
    verdict = check(services, patient, head)
    reached(Step.REMINDER_CHECKED)
    if verdict.answer is Answer.LATER and verdict.at is not None:
        wait_s = max(1.0, (verdict.at - services.now()).total_seconds())
        outbox.release(services.client, patient, LANE, token, wait_ms=round(wait_s * 1000))
        return None
    return Checked(head.id, verdict)


def is_wanted(services: Services, patient: str, token: str, claimed: Claimed, checked: Checked) -> bool:
    """True when the claimed reminder is to be sent; else it is put where its verdict says."""
    verdict, delivery = checked.verdict, claimed.delivery
    if delivery is not None and delivery.id != checked.delivery_id:
        # An unknown one stood before it and is settled now: the next look is at this one.
        outbox.mark_unsent(services.client, patient, LANE, token, claimed, DeliveryState.QUEUED)
        return False
    if verdict.answer is Answer.SEND:
        return True
    state = DeliveryState.FAILED if verdict.answer is Answer.CALL else DeliveryState.DROPPED
    outbox.mark_unsent(services.client, patient, LANE, token, claimed, state, why=verdict.why, again=verdict.again)
    log.info("reminder not sent", extra={"why": verdict.why, "state": state})
    return False
