"""From signed bodies to inboxes and doorbells: returns only when every message is durably kept in Redis.

Called by `webhook.keeper` for what Meta brings now, by `webhook.replay` for what waited on disk, and by POST /chat.
"""

from __future__ import annotations

import base64
import json
import logging
import time
import zlib
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime

import orjson
import redis

from shared import tracing
from shared.alerts import Alerts
from shared.checkpoints import Step, reached
from shared.identity import candidate_ids
from shared.logs import bind
from shared.messages import AccountNews, Identity, Message
from shared.metrics import Metrics
from shared.settings import Settings
from shared.spool import Body
from shared.state import addresses, inbox, outbox
from shared.state.store import seal
from webhook.doorbell import Doorbell
from webhook.group import GroupWriter
from webhook.news import effects
from webhook.parsing import Parsed, parse

UNREADABLE_KEPT = 100
DOWN_S = 1.0  # a Redis that failed so lately is not asked: who waited behind the failure does not wait twice

log = logging.getLogger(__name__)


class Intake:
    """Takes what Meta or POST /chat brings. One per process; safe for threads."""

    def __init__(
        self, settings: Settings, client: redis.Redis, doorbell: Doorbell, metrics: Metrics, alerts: Alerts
    ) -> None:
        self._settings = settings
        self._client = client
        self._doorbell = doorbell
        self._metrics = metrics
        self._alerts = alerts
        self._key = settings.patient_id_key
        self._write = GroupWriter(self._accept)
        self._failed_at = float("-inf")

    @property
    def redis_is_down(self) -> bool:
        """Whether Redis failed a moment ago; the next request after that moment tries it again."""
        return time.monotonic() - self._failed_at < DOWN_S

    def take(self, body: bytes) -> None:
        """Accept everything in a signed webhook body that came now. Raises as `take_all`."""
        self.take_all([Body(round(time.time() * 1000), body)])

    def take_all(self, bodies: Sequence[Body], *, anew: bool = False) -> None:
        """Accept everything in these signed bodies, in their order, in as few round trips as that allows.

        Args:
            bodies: oldest first.
            anew: somebody has seen that Redis answers: forget that it failed a moment ago.

        Raises:
            redis.RedisError: nothing may be acknowledged; what was already accepted is recognised when it comes again.
        """
        if anew:
            self._failed_at = float("-inf")
        try:
            run: list[tuple[Parsed, bytes]] = []
            for body in bodies:
                content = read_body(body.content)
                if not isinstance(content, dict):
                    self._keep_unreadable(body.content, "not a JSON object")
                    continue
                received_at = datetime.fromtimestamp(body.received_ms / 1000, UTC)
                parsed = parse(content, self._settings.WHATSAPP_PHONE_NUMBER_ID, self._key, received_at)
                if parsed.changes:  # after what was written under the old name, before what comes under the new one
                    self._take_run(run)
                    run = []
                    self._change(parsed)
                run.append((parsed, body.content))
            self._take_run(run)
        except redis.RedisError:
            self._failed_at = time.monotonic()
            raise

    def _change(self, parsed: Parsed) -> None:
        for change in parsed.changes:
            before, after = candidate_ids(self._key, change.before), candidate_ids(self._key, change.after)
            addresses.apply_change(self._client, change, before, after)

    def _take_run(self, run: Sequence[tuple[Parsed, bytes]]) -> None:
        self.accept([message for parsed, _ in run for message in parsed.messages])
        if statuses := [status for parsed, _ in run for status in parsed.statuses]:
            outbox.note_statuses(self._client, statuses)
            reached(Step.STATUSES_NOTED)
        for parsed, body in run:
            for item in parsed.unreadable:
                self._keep_unreadable(as_kept(item, body), "odd item")
            for news in parsed.news:
                self._note_news(news)

    def _note_news(self, news: AccountNews) -> None:
        """Open or close what Meta's news are about; Meta may repeat them."""
        log.info("account news", extra={"kind": news.kind, "subject": news.subject, "state": news.state})
        for effect in effects(news):
            if effect.opens:
                self._alerts.incident(effect.incident, effect.detail)
            else:
                self._alerts.resolve(effect.incident, surely=True)  # Meta says it once

    def accept(self, messages: Sequence[tuple[Identity, Message]]) -> list[str]:
        """Put messages into their inboxes and ring; returns the patient ids."""
        if not messages:
            return []
        with ExitStack() as spans:  # one trace per message begins here and goes on wherever the message goes
            traced = [(identity, _traced(message, spans)) for identity, message in messages]
            arrivals = [inbox.Arrival(m, identity, candidate_ids(self._key, identity)) for identity, m in traced]
            accepted = self._write(arrivals)
        reached(Step.ACCEPTED)
        for arrival, (outcome, patient) in zip(arrivals, accepted, strict=True):
            with bind(message=arrival.message.id, patient=patient):
                log.info("message accepted", extra={"outcome": outcome.name.lower(), "kind": arrival.message.kind})
        patients = [patient for _, patient in accepted]
        self._doorbell.ring(patients)  # a duplicate rings too: the first bell may have been lost
        reached(Step.RUNG)
        return patients

    def _accept(self, arrivals: Sequence[inbox.Arrival]) -> list[tuple[inbox.Accepted, str]]:
        if self.redis_is_down:
            raise redis.ConnectionError("Redis failed a moment ago")
        try:
            return inbox.accept(
                self._client,
                arrivals,
                burst_ms=self._settings.BURST_WAIT_MS,
                limit_per_minute=self._settings.RATE_LIMIT_PER_MINUTE,
            )
        except redis.RedisError:
            self._failed_at = time.monotonic()
            raise

    def _keep_unreadable(self, body: bytes, why: str) -> None:
        """Keep what was signed but cannot be read, for replay after a fix; bounded."""
        packed = seal(self._client, base64.b64encode(zlib.compress(body)).decode())
        kept = {"at": datetime.now(UTC).isoformat(), "why": why, "zlib": packed}
        with self._client.pipeline(transaction=True) as pipe:
            pipe.lpush("unreadable", json.dumps(kept))
            pipe.ltrim("unreadable", 0, UNREADABLE_KEPT - 1)
            pipe.execute()
        self._metrics.count("bodies_unreadable_total")
        log.error("a signed body could not be read and was kept", extra={"why": why, "size": len(body)})
        self._alerts.incident("unreadable", why)


def _traced(message: Message, spans: ExitStack) -> Message:
    trace = spans.enter_context(tracing.span("accept", "", kind="server", message=message.id))
    return message.model_copy(update={"trace": trace}) if trace else message


def read_body(body: bytes) -> object:
    """Decode JSON, also what only Python accepts (lone surrogates, NaN, stray bytes); None when hopeless."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None


def as_kept(item: object, body: bytes) -> bytes:
    """An odd item as JSON; the whole body where it is nested deeper than Python can write."""
    try:
        return json.dumps(item).encode()
    except RecursionError:
        return body
