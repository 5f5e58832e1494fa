"""«Seguimos aquí»: whoever has waited for WAIT_NOTICE_S without an answer is told so, once. Called by the sweeper.

It costs no model and no read of the agenda, and ten a second for all workers together at most: a crowd that is not
answered yet must not be kept waiting longer by being told. The rules of who is told stand in lua/untold.lua and
lua/notice.lua; lua/claim.lua drops a notice that an answer has overtaken.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from shared import tracing
from shared.errors import UnreadableSecret
from shared.messages import Channel, Delivery, DeliveryKind, Reply
from shared.state import notices
from shared.state.inbox import Entry
from shared.state.store import cipher_of
from workers.services import Services
from workers.triage import delivery_id

log = logging.getLogger(__name__)

A_SECOND = 10
STALE = timedelta(minutes=10)  # a notice that could not be sent for so long says the wrong number


def tell_who_waits(services: Services) -> int:
    """Queue the notices of this second; returns how many."""
    after_s = services.settings.WAIT_NOTICE_S
    if not after_s:
        return 0
    found = []
    for waiting in notices.take_waiting(services.client, after_s=after_s, at_most=A_SECOND):
        try:
            message = Entry.read(waiting.head, cipher_of(services.client)).message
        except UnreadableSecret:
            continue  # a worker with the right key may be starting
        except ValueError:
            message = None
        if message is None or message.channel is not Channel.WHATSAPP:
            notices.never_tell(services.client, waiting.patient)
            continue
        now = services.now()
        notice = Delivery(
            id=delivery_id(message.id, "notice"),
            kind=DeliveryKind.NOTICE,
            reply=Reply(text=services.texts.get("seguimos_aqui", waited=waited_words(waiting.seconds))),
            created_at=now,
            expires_at=now + STALE,
            trace=tracing.traceparent(),
        )
        found.append((waiting, message.id, notice))
    told = notices.tell(services.client, found)
    if told:
        log.info("patients told that they wait", extra={"patients": told})
    return told


def waited_words(seconds: float) -> str:
    """How long, as a person says it (pure): `2 minutos`, `una hora`."""
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    if hours:
        return "una hora" if hours == 1 else f"{hours} horas"
    if minutes:
        return "un minuto" if minutes == 1 else f"{minutes} minutos"
    return "un momento"
