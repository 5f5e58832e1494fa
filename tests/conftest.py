"""Fixtures for all tests: a private real Redis, flushed between tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from demo.redis_server import RedisMissing, RedisServer
from shared.settings import Settings

# The developer's own settings must not reach the tests.
for _name in Settings.model_fields:
    os.environ.pop(_name, None)
os.environ["DEMO"] = "true"


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    try:
        server = RedisServer(tmp_path_factory.mktemp("redis")).start()
    except RedisMissing as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    yield server
    server.stop()


@pytest.fixture
def settings(redis_server: RedisServer) -> Settings:
    return Settings(_env_file=None, DEMO=True, REDIS_URL=redis_server.url, PATIENT_ID_KEY="test-key")


@pytest.fixture
def client(redis_server: RedisServer) -> Iterator[redis.Redis]:
    """The state store, empty."""
    connection = redis.Redis.from_url(redis_server.url, decode_responses=True)
    connection.flushall()
    yield connection
    connection.close()


@pytest.fixture
def data_folder() -> Path:
    return Path(__file__).parent / "data"
