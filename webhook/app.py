"""create_app(): the only wiring of the webhook process.

Run: gunicorn -c webhook/gunicorn.conf.py "webhook.app:create_app()"
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import redis
from flask import Flask

from shared import logs, setting_changes, tracing
from shared.alerts import Alerts
from shared.alerts.watch import Watch
from shared.celery_app import Role, create_celery
from shared.metrics import Metrics
from shared.settings import ProcessRole, Settings, load
from shared.spool import Spool
from shared.state import store
from webhook import acknowledge, chat, metrics_page, ops, reminders_claim, schema_gate, status, whatsapp
from webhook.doorbell import Doorbell
from webhook.elsewhere import Elsewhere
from webhook.intake import Intake
from webhook.keeper import Keeper
from webhook.replay import Replay

MAX_BODY_BYTES = 3 * 1024 * 1024  # Meta's bodies hold at most 3 MB
REDIS_TIMEOUT_S = 0.4  # a hung Redis must cost Meta's request less than a second; then it goes to disk

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """Every side effect that this process can have."""

    settings: Settings
    client: redis.Redis  # short timeouts, for the webhook
    patient_client: redis.Redis  # waits for a reply of POST /chat
    doorbell: Doorbell
    intake: Intake
    spool: Spool
    keeper: Keeper
    replay: Replay
    gate: schema_gate.Gate
    metrics: Metrics
    alerts: Alerts
    watch: Watch


def build_services(settings: Settings) -> Services:
    """Open the pools and the spool, and start the threads of one gunicorn worker."""
    client = store.connect(settings, timeout_s=REDIS_TIMEOUT_S, patient=False)
    metrics = Metrics(client)
    doorbell = Doorbell(create_celery(settings, Role.WEB), metrics)
    alerts = Alerts(settings, client=client)
    intake = Intake(settings, client, doorbell, metrics, alerts)
    spool = Spool.open_or_end(settings)
    elsewhere = Elsewhere()
    gate = schema_gate.Gate(client)
    replay = Replay(spool, intake, client, gate.closed, alerts, metrics, elsewhere)
    watch = Watch(alerts, client, settings, tells_redis_down=False)
    metrics.start()
    doorbell.start()
    watch.start()
    replay.start()
    return Services(
        settings=settings,
        client=client,
        patient_client=store.connect(settings, timeout_s=chat.WAIT_S + 5),
        doorbell=doorbell,
        intake=intake,
        spool=spool,
        keeper=Keeper(intake, spool, metrics, elsewhere),
        replay=replay,
        gate=gate,
        metrics=metrics,
        alerts=alerts,
        watch=watch,
    )


def create_app(settings: Settings | None = None) -> Flask:
    """Build the Flask application; ends the process with a sentence when a setting is missing or wrong."""
    settings = settings or load(ProcessRole.WEBHOOK)
    logs.setup(settings.LOG_LEVEL, settings.LOG_DIR, "webhook")
    setting_changes.warn()
    tracing.setup("webhook", settings)
    app = Flask("webhook", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    services = build_services(settings)
    app.extensions["services"] = services
    schema_gate.install(app, services.gate, services.spool)
    app.register_blueprint(whatsapp.blueprint(services.settings, services.keeper, services.metrics))
    app.register_blueprint(chat.blueprint(services.settings, services.intake, services.patient_client))
    app.register_blueprint(reminders_claim.blueprint(services.settings, services.client))
    app.register_blueprint(status.blueprint(services.client, services.spool))
    app.register_blueprint(metrics_page.blueprint(services.client, services.spool))
    app.register_blueprint(acknowledge.blueprint(services.settings, services.client))
    ops.register(app, services.settings, services.client, services.doorbell)
    log.info("webhook ready", extra={"pid_port": settings.PORT, "chat": bool(settings.CHAT_API_KEY)})
    return app
