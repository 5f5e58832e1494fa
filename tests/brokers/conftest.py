"""A master with two replicas and three Sentinels, all real; started once for the tests of a module."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import redis

from shared.settings import Settings
from shared.state import store
from tests.brokers.sentinel import SentinelGroup


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelGroup]:
    group = SentinelGroup(tmp_path_factory.mktemp("sentinel")).start()
    yield group
    group.stop()


@pytest.fixture
def group(running: SentinelGroup) -> Iterator[SentinelGroup]:
    """Whole and empty before and after each test."""
    with running.on(running.master()) as client:
        client.flushall()
    yield running
    running.signal(running.servers, signal.SIGCONT)
    running.start()


@pytest.fixture
def settings(group: SentinelGroup) -> Settings:
    return Settings(_env_file=None, DEMO=True, REDIS_URL=group.url, PATIENT_ID_KEY="test-key")


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    """As the webhook opens it, through the Sentinels."""
    opened = store.connect(settings, timeout_s=0.4, patient=False)
    yield opened
    opened.close()
