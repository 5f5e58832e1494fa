"""What is counted is listed, what is listed is counted; nothing noted is lost while Redis is away."""

from __future__ import annotations

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.metrics import COUNTERS, GAUGES, HISTOGRAMS, Metrics, field
from tests.shared.metric_names import written_in_lua, written_in_python


def test_every_counter_of_the_scripts_is_listed() -> None:
    written = written_in_lua()
    assert {"calls_total", "messages_total", "sends_total", "dead_total"} <= set(written)
    assert set(written) <= set(COUNTERS)


def test_every_counter_and_timing_of_the_code_is_listed() -> None:
    counters, histograms = written_in_python()
    assert set(counters) <= set(COUNTERS)
    assert histograms <= set(HISTOGRAMS)


def test_every_listed_counter_and_timing_is_written_somewhere() -> None:
    counters, histograms = written_in_python()
    assert set(COUNTERS) - set(counters) - set(written_in_lua()) == set()
    assert set(HISTOGRAMS) - histograms == set()


def test_no_name_is_used_twice() -> None:
    assert len({*COUNTERS, *GAUGES, *HISTOGRAMS}) == len(COUNTERS) + len(GAUGES) + len(HISTOGRAMS)


def test_a_counter_that_is_not_listed_is_refused(client: redis.Redis) -> None:
    with pytest.raises(KeyError, match="not in COUNTERS"):
        field("nope_total")
    with pytest.raises(KeyError):
        Metrics(client).observe("nope_seconds", 1)


def test_counts_and_sizes_are_added_up_in_redis(client: redis.Redis) -> None:
    for metrics in (Metrics(client), Metrics(client)):
        metrics.count("turns_failed_total", cause="RetryLater")
        metrics.observe("engine_batch_rows", 3, times=4)
        metrics.observe("engine_batch_rows", 100)
        metrics.flush()
    assert client.hgetall("metrics") == {
        "turns_failed_total|cause=RetryLater": "2",
        "engine_batch_rows|le=4": "8",
        "engine_batch_rows|le=+Inf": "2",
        "engine_batch_rows|sum": "224",
    }


def test_what_was_noted_while_redis_was_away_is_written_later(client: redis.Redis) -> None:
    away = redis.Redis(port=9, retry=Retry(NoBackoff(), 0))
    metrics = Metrics(away)
    metrics.count("acks_refused_total")
    metrics.observe("ack_seconds", 0.004)
    metrics.flush()
    metrics._client = client
    metrics.count("acks_refused_total", 2)
    metrics.flush()
    metrics.flush()
    assert client.hget("metrics", "acks_refused_total") == "3"
    assert client.hget("metrics", "ack_seconds|le=0.005") == "1"
