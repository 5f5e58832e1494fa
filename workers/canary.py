"""The canary's two ends: a signed webhook body that we post to ourselves, and the send that stops at our door.

Beat rings `launch`; between the two it is a message like any other: inbox, doorbell, triage, turn, agenda, commit,
outbox, delivery. Nothing of it reaches Meta. `shared.canary` says how it is told from patients and when it is late.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import time
import uuid
from datetime import timedelta
from typing import Any

import redis
import requests

from shared import canary
from shared.identity import message_id
from shared.settings import Settings
from shared.state import outbox
from shared.state.addresses import address_of
from shared.state.outbox import Claimed
from shared.state.store import script
from workers.services import Services
from workers.whatsapp.payloads import build

log = logging.getLogger(__name__)

POST_TIMEOUT_S = (2, 5)  # connect, answer
_FORGOTTEN = ("conversation", "handoff", "optout", "consent", "rate", "delay", "paced")


def is_on(settings: Settings) -> bool:
    """Whether this worker can send canaries: they are wanted, and it can sign them."""
    return settings.CANARY_MINUTES > 0 and bool(settings.app_secrets)


def begin(services: Services) -> None:
    """At a worker's start: what an earlier configuration left must not look late."""
    settings = services.settings
    try:
        if not is_on(settings):
            services.client.delete(canary.KEY)
        elif fields := services.client.hgetall(canary.KEY):
            seconds, micros = services.client.time()
            now_ms = seconds * 1000 + micros // 1000
            if now_ms - float(fields.get("tried_ms", 0)) > canary.LATE_PERIODS * settings.CANARY_MINUTES * 60_000:
                services.client.hset(canary.KEY, "started_ms", now_ms)
    except redis.RedisError as error:
        log.warning("canary not looked at: redis is unreachable", extra={"cause": type(error).__name__})
    if settings.CANARY_MINUTES > 0 and not settings.app_secrets:
        log.warning("canary is off: WHATSAPP_APP_SECRET is not set, so its message cannot be signed")


def launch(services: Services) -> bool:
    """Post one canary, unless the one before is still on its way; True when the webhook took it."""
    settings = services.settings
    if not is_on(settings):
        return False
    wamid = f"wamid.canary.{uuid.uuid4().hex}"
    if not _may_start(services, message_id(settings.patient_id_key, wamid)):
        return False
    try:
        answer = post_signed(settings, json.dumps(_body(settings, wamid)).encode())
    except requests.RequestException as error:
        log.warning("canary not taken", extra={"cause": type(error).__name__})
        return False
    if not answer.ok:
        log.warning("canary not taken", extra={"status": answer.status_code})
    return answer.ok


def post_signed(settings: Settings, body: bytes) -> requests.Response:
    """Post a webhook body to our own webhook process, signed as Meta signs.

    Raises:
        requests.RequestException: it cannot be reached.
        ValueError: WHATSAPP_APP_SECRET is not set.
    """
    if not settings.app_secrets:
        raise ValueError("WHATSAPP_APP_SECRET is not set")
    signature = hmac.digest(settings.app_secrets[0], body, hashlib.sha256).hex()
    headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
    url = f"{settings.CANARY_URL}/webhook/whatsapp"
    return requests.post(url, data=body, headers=headers, timeout=POST_TIMEOUT_S)


def stop_at_the_door(services: Services, patient: str, lane: str, claimed: Claimed) -> None:
    """Take a claimed delivery of the canary for sent, without Meta; only a real answer counts as good."""
    delivery = claimed.delivery
    if delivery is None:
        raise ValueError("nothing was claimed")
    build(delivery.reply, address_of(services.client, patient), delivery.id)
    outbox.mark_sent(services.client, patient, lane, claimed, f"canary.{delivery.id}", by_meta=False)
    if delivery.apology or delivery.asked_at is None:
        return
    accepted = delivery.asked_at - timedelta(milliseconds=services.settings.BURST_WAIT_MS)
    script("canary_good")(services.client, [canary.KEY], [round(accepted.timestamp() * 1000)])


def _may_start(services: Services, message: str) -> bool:
    patient = canary.canary_patient(services.settings)
    keys = [canary.KEY, f"inbox:{patient}", f"outbox:{patient}:urgent", f"outbox:{patient}:normal"]
    keys += [f"{name}:{patient}" for name in _FORGOTTEN]
    return bool(
        script("canary_launch")(services.client, keys, [patient, services.settings.CANARY_MINUTES * 60, message])
    )


def _body(settings: Settings, wamid: str) -> dict[str, Any]:
    """A text message as Meta posts it."""
    message = {
        "from": canary.NUMBER,
        "id": wamid,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": canary.TEXT},
    }
    value: dict[str, Any] = {
        "messaging_product": "whatsapp",
        "contacts": [{"profile": {"name": "Canario"}, "wa_id": canary.NUMBER}],
        "messages": [message],
    }
    if settings.WHATSAPP_PHONE_NUMBER_ID:
        value["metadata"] = {"phone_number_id": settings.WHATSAPP_PHONE_NUMBER_ID}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "canary", "changes": [{"field": "messages", "value": value}]}],
    }
