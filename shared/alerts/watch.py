"""The watch: a thread in every worker and webhook process that opens and closes incidents and walks the danger ladder.

Every three seconds each process learns which incidents are open; one of them, whoever is first, judges the system for
all. Whatever it sends is claimed in Redis first, so that two watches at once tell nobody twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

import redis

from shared.alerts import ladder
from shared.alerts.alerts import Alerts
from shared.alerts.incidents import REDIS_DOWN
from shared.judgement import JUDGED, problems
from shared.settings import Settings
from shared.state import health

log = logging.getLogger(__name__)

WATCH_S = 3.0
TURN_KEY = "watch"
TURN_MS = 2500  # one process acts in this time
# A restart is no incident: these must be seen for so long. The others have their patience in `shared.judgement`.
PATIENCE_MS = {"no_worker": 30_000, "queue_stuck": 30_000, REDIS_DOWN: 5_000}
SUSPECTED_KEY = "suspected"

# Raises when what it looks at does not work.
Probe = Callable[[], object]


class Watch:
    """One per process. `tick` is the whole of its work; `start` repeats it in a daemon thread."""

    def __init__(
        self,
        alerts: Alerts,
        client: redis.Redis,
        settings: Settings,
        *,
        tells_redis_down: bool,
        probes: Mapping[str, Probe] | None = None,
    ) -> None:
        """Nothing runs yet.

        Args:
            tells_redis_down: workers do; the webhook leaves it to them, and staff hear it once less.
            probes: incident kind -> what this process can look at by itself, such as its broker.
        """
        self._alerts = alerts
        self._client = client
        self._settings = settings
        self._tells_redis_down = tells_redis_down
        self._probes = dict(probes or {})
        self._redis_lost_ms: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._for_ever, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def tick(self) -> None:
        """Look once, and do what is due. Never raises redis.RedisError: that Redis is gone is what it watches."""
        try:
            self._alerts.incidents.refresh()
            self._redis_answers()
            self._probe()
            if self._client.set(TURN_KEY, "1", nx=True, px=TURN_MS):
                self._judge()
                self._alerts.incidents.tend()
                ladder.walk(self._alerts, self._client, self._settings)
        except redis.RedisError as error:
            self._redis_fails(error)
            self._alerts.incidents.tend(only_local=True)

    def _redis_answers(self) -> None:
        self._redis_lost_ms = None
        self._alerts.resolve(REDIS_DOWN)

    def _redis_fails(self, error: redis.RedisError) -> None:
        now = self._alerts.now_ms()
        if self._redis_lost_ms is None:
            self._redis_lost_ms = now
        if self._tells_redis_down and now - self._redis_lost_ms >= PATIENCE_MS[REDIS_DOWN]:
            self._alerts.incident(REDIS_DOWN, type(error).__name__)

    def _probe(self) -> None:
        for kind, probe in self._probes.items():
            try:
                probe()
            except Exception as error:  # whatever a client's library raises
                self._alerts.incident(kind, type(error).__name__)
            else:
                self._alerts.resolve(kind)

    def _judge(self) -> None:
        """Open what is wrong and close what is not; the first problem of a kind is its detail."""
        found: dict[str, str] = {}
        for problem in problems(health.look(self._client)):
            if problem.incident:
                found.setdefault(problem.incident, problem.text)
        now = self._alerts.now_ms()
        since = self._suspected_since(found, now)
        for kind, text in found.items():
            if now - since.get(kind, now) >= PATIENCE_MS.get(kind, 0):
                self._alerts.incident(kind, text)
        for kind in JUDGED - found.keys():
            self._alerts.resolve(kind)

    def _suspected_since(self, found: Mapping[str, str], now: int) -> dict[str, int]:
        """Since when each of these is seen without a break, for all processes together."""
        gone = sorted(JUDGED - found.keys())
        with self._client.pipeline(transaction=True) as pipe:
            for kind in found:
                pipe.hsetnx(SUSPECTED_KEY, kind, now)
            if gone:
                pipe.hdel(SUSPECTED_KEY, *gone)
            pipe.hgetall(SUSPECTED_KEY)
            suspected = pipe.execute()[-1]
        return {kind: int(ms) for kind, ms in suspected.items()}

    def _for_ever(self) -> None:
        while not self._stop.wait(WATCH_S):
            try:
                self.tick()
            except Exception:
                log.exception("watch failed")
