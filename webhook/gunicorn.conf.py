"""gunicorn settings of the webhook, for 2 cores.

Run: gunicorn -c webhook/gunicorn.conf.py "webhook.app:create_app()"
"""

from typing import Any

from shared import tracing
from shared.settings import ProcessRole, load
from shared.spool import Spool
from shared.state import schema, store

_settings = load(ProcessRole.WEBHOOK)

bind = f"{_settings.HOST}:{_settings.PORT}"
workers = 2
# Greenlets: a request that waits for Redis, or for a reply of POST /chat, costs no thread. With threads the same code
# answered half to two thirds as many a second, because each round trip is a fight for the interpreter's lock.
worker_class = "gevent"
worker_connections = 1000
reuse_port = True  # the kernel spreads connections evenly; without it one worker takes most of them
keepalive = 5  # seconds; an idle connection holds up the stop for so long, so the proxy keeps its own for less
timeout = 60
graceful_timeout = 30  # a POST /chat in hand is answered
max_requests = 0
accesslog = None  # request lines of the challenge carry the verify token
loglevel = "warning"
control_socket_disable = True  # it would be a file in the home folder, which the image has not
preload_app = False  # sockets and threads must not cross the fork


def on_starting(server: Any) -> None:
    """Ends the process with a sentence on a spool that cannot be written, and on a store of a newer release."""
    Spool.open_or_end(_settings)
    schema.refuse_newer(store.connect(_settings, max_connections=1))


def post_worker_init(worker: Any) -> None:
    """Streams of the operators' page end when this worker is asked to stop, or they hold it up for graceful_timeout."""
    worker.wsgi.extensions["ops_streams"].serving = lambda: worker.alive


def worker_exit(server: Any, worker: Any) -> None:
    """Ring the last doorbells and write the last figures before a worker leaves."""
    app = getattr(worker, "wsgi", None)
    services = app.extensions.get("services") if app is not None and hasattr(app, "extensions") else None
    if services:
        services.watch.close()
        services.replay.close()
        services.doorbell.close()
        services.metrics.close()
        tracing.close()
