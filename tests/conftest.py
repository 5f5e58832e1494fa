"""Fixtures for all tests: a private real Redis, flushed between tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from demo.redis_server import RedisMissing, RedisServer
from shared.settings import Settings

# The developer's own settings must not reach the tests.
for _name in Settings.model_fields:
    os.environ.pop(_name, None)
os.environ["DEMO"] = "true"
os.environ["SPOOL_DIR"] = tempfile.mkdtemp(prefix="spool-")  # never the folder of a demo that runs here


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


CHROMIUM_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium from PATH. Without one the test is skipped; in CI it fails."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None and not os.environ.get("CI"):
        pytest.skip("no Chromium on PATH")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as runner:
        browser = runner.chromium.launch(executable_path=program, headless=True, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def data_folder() -> Path:
    return Path(__file__).parent / "data"
