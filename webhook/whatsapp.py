"""GET and POST /webhook/whatsapp: challenge, signature over the raw bytes, hand over, 200.

Source of the rules: Meta, "Create a webhook endpoint" and "Webhooks overview". Only a status of 200 is an
acknowledgement; anything else makes Meta send the whole body again, for days.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time

from flask import Blueprint, Response, request

from shared.metrics import Metrics
from shared.settings import Settings
from shared.spool import SpoolError
from webhook.keeper import Keeper

log = logging.getLogger(__name__)


def is_signed(body: bytes, header: str | None, secrets: tuple[bytes, ...]) -> bool:
    """Tell whether `header` is the HMAC-SHA256 of these exact bytes under one of the app secrets.

    Args:
        body: raw request bytes; never re-serialised JSON, whose escapes differ.
        header: `X-Hub-Signature-256`, `sha256=` and 64 hex digits.
        secrets: the present app secret and, during a rotation, the one before.
    """
    if not header or not header.startswith("sha256=") or len(header) != 71 or not header.isascii():
        return False
    given = header[7:].lower()
    # Every secret is tried, so that the time does not tell which one fits.
    matches = [hmac.compare_digest(hmac.digest(secret, body, hashlib.sha256).hex(), given) for secret in secrets]
    return any(matches)


def blueprint(settings: Settings, keeper: Keeper, metrics: Metrics) -> Blueprint:
    """Routes of Meta's webhook."""
    routes = Blueprint("whatsapp", __name__)
    token = settings.WHATSAPP_VERIFY_TOKEN.get_secret_value().encode() if settings.WHATSAPP_VERIFY_TOKEN else None

    @routes.get("/webhook/whatsapp")
    def challenge() -> Response:
        asked = request.args.get("hub.verify_token", "").encode("utf-8", "replace")
        subscribes = request.args.get("hub.mode") == "subscribe"
        if token and subscribes and hmac.compare_digest(asked, token):
            return Response(request.args.get("hub.challenge", ""), mimetype="text/plain")
        return Response("forbidden", 403, mimetype="text/plain")

    @routes.post("/webhook/whatsapp")
    def receive() -> Response:
        body = request.get_data(cache=False)  # over MAX_BODY_BYTES: 413 by Flask
        arrived = time.perf_counter()
        if not is_signed(body, request.headers.get("X-Hub-Signature-256"), settings.app_secrets):
            metrics.count("signatures_refused_total")
            return Response("bad signature", 401, mimetype="text/plain")
        try:
            keeper.keep(body)
        except SpoolError as error:
            metrics.count("acks_refused_total")
            log.error("neither Redis nor the disk takes it, Meta will send again", extra={"cause": str(error)})
            return Response("try again", 503, mimetype="text/plain")
        metrics.observe("ack_seconds", time.perf_counter() - arrived)
        return Response(status=200)

    return routes
