"""Danger has the right of way: new messages are searched at their own doorbell, whatever else waits.

No lease, no model, no backend read stands before it. The fixed reply goes into the urgent lane of the outbox, staff are
told first (one second at most), and doing it twice changes nothing. The drain calls `raise_alarm` again for what it
finds, so a message is searched twice and alarmed once.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from shared import tracing
from shared.alerts import ladder
from shared.canary import is_canary
from shared.celery_app import TaskName
from shared.checkpoints import Step, reached
from shared.logs import bind
from shared.messages import Channel, Delivery, DeliveryKind, Reply
from shared.prediction import Danger, Intent
from shared.state import alarms, inbox
from shared.state.addresses import address_of
from shared.state.alarms import NewAlarm
from shared.state.inbox import Entry, Outgoing
from workers.dialogue.buttons import buttons_for
from workers.safety.danger import find_danger
from workers.services import Services

log = logging.getLogger(__name__)

WINDOW = timedelta(hours=24)


def triage(services: Services, patients: Sequence[str], send: Callable[[str], object] | None = None) -> None:
    """Search the waiting messages of these patients for danger signs and answer those that hold one.

    Args:
        services: the side effects.
        patients: opaque ids.
        send: sends what lies in a patient's urgent lane, in a thread of its own; None: it is rung for.
    """
    inboxes = inbox.unsearched(services.client, patients)
    found = {patient: dangerous(entries) for patient, entries in inboxes.items()}
    alarmed = inbox.already_alarmed(services.client, (e.message.id for hits in found.values() for e, _ in hits))
    new = [(p, entry, danger) for p, hits in found.items() for entry, danger in hits if entry.message.id not in alarmed]
    if new:
        inbox.hold_searched(services.client, {p for p, _, _ in new})
    for alarm in [services.alarms.submit(raise_alarm, services, *each, send) for each in new]:
        alarm.result()
    newest = {p: entries[-1].received_at if entries else None for p, entries in inboxes.items()}
    inbox.mark_searched(services.client, newest)
    now = datetime.now(UTC)
    for entries in inboxes.values():
        if entries:
            services.metrics.observe("triage_seconds", (now - entries[-1].received_at).total_seconds())


def dangerous(entries: Sequence[Entry]) -> list[tuple[Entry, Danger]]:
    """The messages that hold a danger sign (pure). A sign split over several messages counts for the last of them."""
    hits = [(entry, danger) for entry in entries if (danger := find_danger(entry.message.text))]
    if not hits and len(entries) > 1:
        together = find_danger("\n".join(entry.message.text for entry in entries))
        if together:
            hits = [(entries[-1], together)]
    return hits


def raise_alarm(
    services: Services, patient: str, entry: Entry, danger: Danger, send: Callable[[str], object] | None = None
) -> None:
    """Tell staff, queue the fixed reply ahead of everything, and hand the patient over. Harmless when repeated."""
    if is_canary(services.settings, patient):
        return  # broken rules make an alarm of every message: nobody is told of a test, which then does not come back
    message = entry.message
    with (
        bind(patient=patient, message=message.id),
        tracing.span("alarm", message.trace, message=message.id, patient=patient),
    ):
        alarm_id = alarms.alarm_id(message.id)
        told = services.alerts.danger(
            danger.category, danger.level, message.at, staff_reference(services, patient), alarm_id=alarm_id
        )
        reached(Step.ALARM_TOLD)
        reply = Reply(
            text=services.texts.escalation(danger, staff_told=told),
            buttons=buttons_for(Intent.URGENCIA),
        )
        delivery = Delivery(
            id=delivery_id(message.id, "danger"),
            kind=DeliveryKind.DANGER,
            reply=reply,
            created_at=services.now(),
            asked_at=entry.received_at,
            expires_at=window_end(services, message.at),
            covers=(message.id,),
            trace=tracing.traceparent(),
        )
        to_chat = message.channel is Channel.CHAT
        outgoing = Outgoing(
            delivery,
            answer_to=message.id if to_chat else None,
            answer=danger_answer(services, reply, danger) if to_chat else "",
        )
        handoff = json.dumps(
            {"reason": "alarm", "level": danger.level, "category": danger.category, "told": told}
            | {"at": services.now().isoformat(), "alarm": alarm_id}
        )
        rung, wait_ms = ladder.start(services.settings, told=told)
        alarm = NewAlarm(alarm_id, danger.category.value, danger.level.value, message.at.isoformat(), rung, wait_ms)
        queued = inbox.raise_alarm(services.client, patient, message.id, outgoing, handoff=handoff, alarm=alarm)
        reached(Step.ALARM_QUEUED)
        log.warning("danger sign", extra={"category": danger.category, "urgency": danger.level, "staff_told": told})
        if queued and not to_chat:
            if send:
                send(patient)
            else:
                services.ring(TaskName.DELIVER_OUTBOX, patient, "urgent")
        reached(Step.ALARM_RUNG)


def staff_reference(services: Services, patient: str) -> str:
    """What staff can call back: number or user id, for the backend only; e-mail and Slack get an opaque id."""
    address = address_of(services.client, patient)
    return "+" + address.number if address.number else address.user_id or patient


def danger_answer(services: Services, reply: Reply, danger: Danger) -> str:
    """The same reply for a caller of POST /chat."""
    return json.dumps(
        {
            "response": reply.text,
            "intent": Intent.URGENCIA,
            "confidence": 1.0,
            "action": "escalate",
            "params": {"category": danger.category, "level": danger.level},
            "buttons": [button.title for button in reply.buttons],
            "timestamp": services.now().isoformat(),
        },
        ensure_ascii=False,
    )


def delivery_id(message_id: str, role: str) -> str:
    """The delivery id of a reply to this message: the same whenever the turn is repeated."""
    return "d_" + hashlib.blake2b(f"{message_id}:{role}".encode(), digest_size=12).hexdigest()


def window_end(services: Services, written_at: datetime) -> datetime | None:
    """When free text may no longer be sent; None when LATE_MESSAGE_HOURS=0 makes the message's time be now."""
    return written_at + WINDOW if services.settings.LATE_MESSAGE_HOURS else None
