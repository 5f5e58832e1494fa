"""All counters, timings and gauges, named in one list; counters and timings are kept in Redis for all processes.

`count` and `observe` only note; a thread writes what was noted once a second and never breaks an answer. The scripts of
`shared.state` count transitions in the same step as they happen. GET /metrics of the webhook shows them all.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

import redis
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

COUNTERS: dict[str, str] = {
    "messages_total": "Messages by outcome: accepted, over_limit, duplicate",
    "statuses_total": "Delivery statuses noted, by status; foreign: of a message that is not ours",
    "signatures_refused_total": "Webhook bodies refused for their signature",
    "bodies_unreadable_total": "Signed bodies that could not be read and were kept for replay",
    "doorbells_failed_total": "Doorbells that could not be rung; the sweep rings instead",
    "rate_limit_failures_total": "Messages let through because the limiter could not count",
    "danger_total": "Danger signs answered, by level",
    "turns_total": "Turns committed, by source of the understanding",
    "intents_total": "Turns by intent",
    "turns_failed_total": "Turns that failed and will be tried again, by cause",
    "leases_lost_total": "Turns given back because the lease had run out",
    "sends_total": "Deliveries by outcome: sent, queued again, unknown, failed, unsettled",
    "unknown_sends_total": "Sends found without an outcome, by kind",
    "resends_total": "Unsettled sends repeated by policy, by kind",
    "settled_by_status_total": "Unknown sends settled by a status of Meta",
    "dead_total": "Messages and deliveries set aside for a person, by kind",
    "replies_blocked_total": "Replies of the model replaced by reviewed text, by broken rule",
    "model_skipped_total": "Turns answered without the model, by cause",
}
HISTOGRAMS: dict[str, tuple[str, tuple[float, ...]]] = {
    "ack_seconds": ("From the last byte of a webhook to the 200", (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)),
    "triage_seconds": ("From acceptance to the search for danger signs", (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)),
    "turn_seconds": ("From the end of a burst to the committed answer", (0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 120)),
    "model_seconds": ("The model's share of a turn", (0.05, 0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30)),
    "reply_seconds": ("From the end of a burst to Meta's acceptance", (0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 120)),
    "backend_seconds": ("One call of the appointments backend", (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)),
    "send_seconds": ("One call of the Graph API", (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)),
}
# Shown by GET /metrics from the queues and from what living workers say of themselves (`shared.state.health`).
GAUGES: dict[str, str] = {
    "queue_depth": "Patients or items in each list",
    "queue_age_seconds": "How late the oldest item is",
    "workers": "Workers by what they do",
    "model_cache_bytes": "What MODEL_CACHE_DIR takes on the disk, as each worker sees it",
}
KEY = "metrics"


class Metrics:
    """Notes counts and timings in memory and adds them to Redis once a second."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._noted: Counter[str] = Counter()
        self._sums: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._flush_for_ever, name="metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout=3)
        self.flush()

    def count(self, name: str, by: int = 1, **labels: str) -> None:
        """Add to a counter of COUNTERS."""
        with self._lock:
            self._noted[field(name, **labels)] += by

    def observe(self, name: str, seconds: float) -> None:
        """Add one timing, in seconds, to a histogram of HISTOGRAMS."""
        bounds = HISTOGRAMS[name][1]
        position = bisect_left(bounds, seconds)
        bound = "+Inf" if position == len(bounds) else f"{bounds[position]:g}"
        with self._lock:
            self._noted[f"{name}|le={bound}"] += 1
            self._sums[f"{name}|sum"] += seconds  # type: ignore[assignment]

    def flush(self) -> None:
        """Write what was noted; on failure it is kept for the next second."""
        with self._lock:
            noted, self._noted = self._noted, Counter()
            sums, self._sums = self._sums, Counter()
        if not noted and not sums:
            return
        try:
            with self._client.pipeline(transaction=True) as pipe:
                for name, by in noted.items():
                    pipe.hincrby(KEY, name, by)
                for name, seconds in sums.items():
                    pipe.hincrbyfloat(KEY, name, float(seconds))
                pipe.execute()
        except redis.RedisError:
            with self._lock:
                self._noted.update(noted)
                self._sums.update(sums)

    def _flush_for_ever(self) -> None:
        while not self._stop.wait(1.0):
            self.flush()


def field(name: str, **labels: str) -> str:
    """`sends_total|outcome=sent`: how a counter is named in Redis."""
    if name not in COUNTERS:
        raise KeyError(f"{name} is not in COUNTERS")
    return "|".join([name, *(f"{k}={v}" for k, v in labels.items())])


def gauge(name: str, *labels: str) -> GaugeMetricFamily:
    """Begin a gauge of GAUGES."""
    return GaugeMetricFamily(f"assistant_{name}", GAUGES[name], labels=labels)


class RedisCollector(Collector):
    """Shows the figures in Redis to prometheus_client."""

    def __init__(self, client: redis.Redis, gauges: Iterable[Metric] = ()) -> None:
        self._client = client
        self._gauges = list(gauges)

    def collect(self) -> Iterator[Metric]:
        yield from self._gauges
        stored = {str(name): float(value) for name, value in self._client.hgetall(KEY).items()}
        yield from _counters(stored)
        yield from _histograms(stored)


def _counters(stored: dict[str, float]) -> Iterator[Metric]:
    for name, help_text in COUNTERS.items():
        samples = [key.split("|")[1:] for key in stored if key.split("|")[0] == name]
        labels = sorted({label.partition("=")[0] for sample in samples for label in sample})
        family = CounterMetricFamily(f"assistant_{name}", help_text, labels=labels)
        for sample in samples:
            given = dict(label.split("=", 1) for label in sample)
            family.add_metric([given.get(label, "") for label in labels], stored["|".join([name, *sample])])
        if not samples:
            family.add_metric([], 0)
        yield family


def _histograms(stored: dict[str, float]) -> Iterator[Metric]:
    for name, (help_text, bounds) in HISTOGRAMS.items():
        total, buckets = 0.0, []
        for bound in [*(f"{b:g}" for b in bounds), "+Inf"]:
            total += stored.get(f"{name}|le={bound}", 0)
            buckets.append((bound, total))
        family = HistogramMetricFamily(f"assistant_{name}", help_text)
        family.add_metric([], buckets=buckets, sum_value=stored.get(f"{name}|sum", 0.0))
        yield family
