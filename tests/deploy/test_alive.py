"""What the engine is told of each container: the truth, in one sentence."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
import redis

from demo.redis_server import RedisServer, free_port
from shared import alive
from shared.state import health
from tests.workers.http_server import Answer, serving


def test_an_address_is_alive_when_it_answers_well() -> None:
    with serving(lambda asked: Answer(200 if asked.path == "/good" else 503)) as server:
        assert alive.answers(f"{server.url}/good") is None
        assert alive.answers(f"{server.url}/bad") == "answered 503"
    problem = alive.answers(f"http://127.0.0.1:{free_port()}/")
    assert problem is not None
    assert problem.startswith("does not answer")


def test_a_worker_is_alive_when_its_own_heartbeat_says_that_it_consumes(
    client: redis.Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_server.url)
    assert alive.worker_beats() == "no heartbeat of this worker in redis"
    health.publish_heartbeat(client, "elsewhere-1", {"consuming": True})
    assert alive.worker_beats() == "no heartbeat of this worker in redis"
    mine = f"{socket.gethostname()}-7"
    health.publish_heartbeat(client, mine, {"consuming": False})
    assert alive.worker_beats() == "the worker does not consume"
    health.publish_heartbeat(client, mine, {"consuming": True, "model_state": "loading"})
    assert alive.worker_beats() is None
    health.withdraw(client, mine)
    assert alive.main(["worker"]) == 1


def test_a_worker_without_redis_is_not_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    assert alive.worker_beats() == "redis: ConnectionError"


def test_beat_is_alive_while_the_broker_takes_its_bells(tmp_path: Path) -> None:
    rang = tmp_path / "rang"
    assert alive.beat_rings(rang) == "beat has not rung yet"
    rang.touch()
    assert alive.beat_rings(rang) is None
    long_ago = time.time() - 100
    os.utime(rang, (long_ago, long_ago))
    assert alive.beat_rings(rang) == "beat rang 100 s ago"


def test_wrong_arguments_are_refused() -> None:
    assert alive.main([]) == 64
    assert alive.main(["https://example.org"]) == 1
