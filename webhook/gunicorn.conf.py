"""gunicorn settings of the webhook, for 2 cores.

Run: gunicorn -c webhook/gunicorn.conf.py "webhook.app:create_app()"
"""

from typing import Any

from shared.settings import ProcessRole, load

_settings = load(ProcessRole.WEBHOOK)

bind = f"{_settings.HOST}:{_settings.PORT}"
workers = 2
worker_class = "gthread"  # a thread waits for Redis while others work; POST /chat waits without stopping Meta
threads = 24
keepalive = 75  # Meta and nginx keep their connections
timeout = 60
graceful_timeout = 30  # a POST /chat in hand is answered
max_requests = 0
accesslog = None  # request lines of the challenge carry the verify token
loglevel = "warning"
preload_app = False  # sockets and threads must not cross the fork


def worker_exit(server: Any, worker: Any) -> None:
    """Ring the last doorbells and write the last figures before a worker leaves."""
    app = getattr(worker, "wsgi", None)
    services = app.extensions.get("services") if app is not None and hasattr(app, "extensions") else None
    if services:
        services.doorbell.close()
        services.metrics.close()
