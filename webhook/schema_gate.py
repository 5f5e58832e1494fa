"""Keeps the webhook off a store of another shape: what its scripts would break on is answered 503; Meta sends it again.

What goes to disk because Redis was away does not pass here: `webhook.replay` asks before it gives that to the store.

Most older stores are served while a worker migrates them: only what the coming step changes under our scripts has to
wait (`Migration.webhook_waits`). Once the store has the present shape, it is never asked again: no request pays for it.
"""

from __future__ import annotations

import logging
import threading
import time

import redis
from flask import Flask, Response, jsonify, request

from shared.errors import UnreadableSecret
from shared.spool import Spool
from shared.state import reseal, schema
from shared.state.store import Client

LOOK_S = 1.0  # how long an answer about an older store holds
RETRY_AFTER_S = 5
_ALWAYS_OPEN = ("/health/live", "/metrics")

log = logging.getLogger(__name__)


class Gate:
    """One per process; safe for threads."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._present = False  # the store has the present shape and our keys: for good
        self._seal(False)  # workers of the former release could not read it
        self._closed = ""
        self._asked_at = float("-inf")
        self._failed_at = float("-inf")
        self._lock = threading.Lock()

    def closed(self) -> str:
        """Why nothing may be written now, or ""."""
        if self._present:
            return ""
        came = time.monotonic()
        with self._lock:  # who waited here while somebody found Redis away does not look again
            if not self._present and came - self._asked_at >= LOOK_S and came > self._failed_at:
                self._look()
            return self._closed

    def _seal(self, on: bool) -> None:
        if isinstance(self._client, Client):
            self._client.seals = on

    def _look(self) -> None:
        try:
            found = schema.version(self._client)
            steps = schema.pending(found)
            waits = next((step for step in steps if step.webhook_waits(self._client)), None)
            if not steps:
                reseal.check(self._client)
        except (schema.NewerStoreError, UnreadableSecret) as error:
            why = str(error)
        except redis.RedisError:
            self._closed = ""  # the request itself finds out that Redis is away
            self._failed_at = time.monotonic()
            return
        else:
            self._present = not steps
            self._seal(self._present)
            why = _sentence(found, waits) if waits else ""
            if steps and not why and self._asked_at == float("-inf"):
                log.info("the store is older and served: a worker will migrate it", extra={"schema": found})
        if why and why != self._closed:
            log.error("nothing is taken: %s", why)
        elif self._closed and not why:
            log.info("messages are taken again")
        self._closed, self._asked_at = why, time.monotonic()


def _sentence(found: int, step: schema.Migration) -> str:
    return (
        f"The store has schema {found} and waits for schema {step.to} ({step.text}): "
        "start a worker of this release, or run python -m workers.migrate."
    )


def install(app: Flask, gate: Gate, spool: Spool) -> None:
    """Ask the gate before each request; the first answer is taken now."""
    gate.closed()

    @app.before_request
    def refuse() -> tuple[Response, int, dict[str, str]] | None:
        if request.path == "/webhook/whatsapp" and spool.holds():
            return None
        why = gate.closed()
        if not why or request.path in _ALWAYS_OPEN:
            return None
        answer = jsonify(status="down", problems=[why])
        return answer, 503, {"Retry-After": str(RETRY_AFTER_S)}
