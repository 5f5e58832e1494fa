"""All counters, timings and gauges, named in one list; counters and timings are kept in Redis for all processes.

`count` and `observe` only note; a thread writes what was noted once a second and never breaks an answer. The scripts of
`shared.state` count transitions in the same step as they happen. GET /metrics of the webhook shows them all
(`webhook.metrics_page`); docs/metrics.md says what each means and when to worry.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import Counter

import redis

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
    "notices_total": "Patients told, once, that their message still waits",
    "turns_failed_total": "Turns that failed and will be tried again, by cause",
    "leases_lost_total": "Turns given back because the lease had run out",
    "sends_total": "Deliveries by outcome: sent, queued again, unknown, failed, unsettled",
    "unknown_sends_total": "Sends found without an outcome, by kind",
    "resends_total": "Unsettled sends repeated by policy, by kind",
    "settled_by_status_total": "Unknown sends settled by a status of Meta",
    "dead_total": "Messages and deliveries set aside for a person, by kind",
    "replies_blocked_total": "Replies of the model replaced by reviewed text, by broken rule",
    "model_skipped_total": "Turns answered without the model, by cause",
    "acks_refused_total": "Webhook requests answered 503: neither Redis nor the spool took them; Meta sends them again",
    "spooled_total": "Webhook bodies on disk while Redis was away, by outcome: kept, replayed, set_aside",
    "backend_failures_total": "Calls of the appointments backend without a good answer, by cause",
    "calls_total": "Lines put on the staff call list, by why",
    "reminders_total": "Reminders by outcome: planned",
    "engine_requests_total": "Prompts the model's engine was done with, by outcome",
    "engine_prompt_tokens_total": "Tokens of prompts that the engine read",
    "engine_tokens_total": "Tokens that the engine generated",
    "engine_forced_tokens_total": "Tokens that the engine wrote without the model: the grammar left no other",
    "engine_draft_tokens_total": "Tokens that were guessed and computed along, by whether the model agreed",
    "engine_prefix_tokens_total": "Tokens of prompts that were not computed: their beginning was kept",
    "engine_passes_total": "Uses of all weights of the model",
}
HISTOGRAMS: dict[str, tuple[str, tuple[float, ...]]] = {
    "ack_seconds": ("From the last byte of a webhook to the 200", (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)),
    "triage_seconds": ("From acceptance to the search for danger signs", (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30)),
    "turn_seconds": ("From the end of a burst to the committed answer", (0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 120)),
    "model_seconds": ("The model's share of a turn", (0.05, 0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30)),
    "reply_seconds": ("From the end of a burst to Meta's acceptance", (0.1, 0.25, 0.5, 1, 1.5, 2.5, 5, 10, 30, 120)),
    "backend_seconds": ("One call of the appointments backend", (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)),
    "send_seconds": ("One call of the Graph API", (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)),
    "engine_batch_rows": ("Requests that shared one step of the model", (1, 2, 4, 8, 16, 32)),
}
# Read at each GET /metrics from Redis and from what living workers say of themselves (`shared.state.figures`).
GAUGES: dict[str, str] = {
    "health": "1 patients are answered, 0.5 degraded, 0 down: as GET /health judges",
    "queue_depth": "Patients or items in each list",
    "queue_age_seconds": "How late the oldest item is",
    "alarm_age_seconds": "How long the oldest danger alarm has waited for a person to acknowledge it",
    "incident_age_seconds": "How long each open incident is open",
    "spool_bodies": "Webhook bodies that wait on this host's disk for Redis",
    "spool_bytes": "What the spool takes on the disk",
    "spool_limit_bytes": "What it may take (SPOOL_MAX_MB); above, bodies are refused",
    "spool_age_seconds": "How long the oldest of them has waited",
    "bell_depth": "Celery messages that no worker has taken yet, if the broker is this Redis",
    "pulse_age_seconds": "Since each Celery queue was last seen to be consumed",
    "canary_age_seconds": "Since a test message last walked the whole road",
    "canary_late": "1 when the canary should have come home by now",
    "workers": "Workers by what they do",
    "model_info": "The model that a worker answers with; always 1",
    "model_cache_bytes": "What MODEL_CACHE_DIR takes on the disk, as each worker sees it",
    "model_cache_free_bytes": "What is free on the disk of MODEL_CACHE_DIR, as each worker sees it",
    "engine_waiting": "Prompts that wait for the model",
    "engine_running": "Prompts that the model is at work on",
    "engine_tokens_per_second": "Tokens generated since the heartbeat before",
    "engine_last_step_age_seconds": "Since the model last ended a step while there was work",
    "redis_memory_used_bytes": "Memory that Redis uses",
    "redis_memory_limit_bytes": "Memory that Redis may use; 0 is no limit",
    "redis_aof_enabled": "1 when Redis writes an append-only file",
    "redis_aof_healthy": "1 when its last write and its last rewrite succeeded",
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

    def observe(self, name: str, value: float, times: int = 1) -> None:
        """Add a timing in seconds, or another size, to a histogram of HISTOGRAMS."""
        bounds = HISTOGRAMS[name][1]
        position = bisect_left(bounds, value)
        bound = "+Inf" if position == len(bounds) else f"{bounds[position]:g}"
        with self._lock:
            self._noted[f"{name}|le={bound}"] += times
            self._sums[f"{name}|sum"] += value * times  # type: ignore[assignment]

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
