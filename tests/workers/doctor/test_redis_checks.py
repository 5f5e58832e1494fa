"""A healthy Redis and one that is set up to forget; both real."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from demo.redis_server import RedisServer
from shared.settings import Settings
from tests.workers.doctor.conftest import one, plain, told
from tests.workers.http_server import closed_port
from workers.doctor import redis_checks
from workers.doctor.check import State
from workers.doctor.redis_checks import CONNECTION, EVICTION, MEMORY, PERSISTENCE, REPLICAS, SCRIPTS, RedisFacts

HEALTHY: dict[str, Any] = {
    "redis_version": "7.2.4",
    "role": "master",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "used_memory": 10_000_000,
    "maxmemory": 400_000_000,
}


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisServer) -> Iterator[RedisServer]:
    """A second Redis, which the tests may spoil."""
    server = RedisServer(tmp_path_factory.mktemp("other"), fsync="always").start()
    yield server
    server.stop()


@pytest.fixture
def spoil(other: RedisServer) -> Iterator[redis.Redis]:
    """A client whose changes of settings are taken back."""
    client = redis.Redis.from_url(other.url, decode_responses=True)
    names = ("maxmemory-policy", "appendonly", "appendfsync", "maxmemory")
    before = {name: client.config_get(name)[name] for name in names}
    yield client
    for name, value in before.items():
        client.config_set(name, value)
    client.close()


def of(server: RedisServer) -> Settings:
    return plain(REDIS_URL=server.url)


def judged(**changed: Any) -> list[redis_checks.Check]:
    settings = {"policy": "noeviction", "appendfsync": "always", "broken_script": None}
    facts = {name: changed.pop(name, value) for name, value in settings.items()}
    return redis_checks.judge(RedisFacts(HEALTHY | changed, **facts))


def test_a_healthy_redis(other: RedisServer) -> None:
    checks = redis_checks.check(of(other))
    assert [check.name for check in checks] == [CONNECTION, REPLICAS, EVICTION, PERSISTENCE, MEMORY, SCRIPTS]
    assert {check.state for check in checks if check.name != REPLICAS} == {State.OK}
    assert one(checks, REPLICAS).state is State.OFF
    told(one(checks, EVICTION), State.OK, "noeviction")
    told(one(checks, PERSISTENCE), State.OK, "appendfsync always")


def test_one_that_forgets(other: RedisServer, spoil: redis.Redis) -> None:
    spoil.config_set("maxmemory-policy", "allkeys-lru")
    spoil.config_set("appendonly", "no")
    checks = redis_checks.check(of(other))
    told(one(checks, CONNECTION), State.OK, "")
    advice = "CONFIG SET maxmemory-policy noeviction"
    told(one(checks, EVICTION), State.FAILED, "allkeys-lru: a full Redis forgets messages", advice)
    told(one(checks, PERSISTENCE), State.FAILED, "no append-only file", "CONFIG SET appendonly yes")


def test_one_that_writes_late(other: RedisServer, spoil: redis.Redis) -> None:
    spoil.config_set("appendfsync", "everysec")
    told(one(redis_checks.check(of(other)), PERSISTENCE), State.WARNING, "up to a second", "appendfsync always")
    spoil.config_set("appendfsync", "no")
    told(one(redis_checks.check(of(other)), PERSISTENCE), State.FAILED, "appendfsync no", "appendfsync always")


def test_one_that_is_nearly_full(other: RedisServer, spoil: redis.Redis) -> None:
    spoil.config_set("maxmemory", str(int(spoil.info("memory")["used_memory"]) * 100 // 95))
    found = one(redis_checks.check(of(other)), MEMORY)
    told(found, State.FAILED, "soon no message is accepted", "raise maxmemory")
    told(one(judged(used_memory=320_000_000), MEMORY), State.WARNING, "320 MB used of 400 MB", "raise maxmemory")


def test_a_user_who_may_not_ask(other: RedisServer, spoil: redis.Redis) -> None:
    """As at a hosted Redis: CONFIG is closed, and here the scripts too."""
    spoil.acl_setuser("clerk", enabled=True, passwords="+clerks-word", keys="*", commands=["+@all", "-config"])
    try:
        url = f"redis://clerk:clerks-word@127.0.0.1:{other.port}/0"
        checks = redis_checks.check(plain(REDIS_URL=url))
        told(one(checks, EVICTION), State.OK, "noeviction")  # INFO says it too
        told(one(checks, PERSISTENCE), State.WARNING, "appendfsync cannot be read", "make sure that it is always")
        spoil.acl_setuser("clerk", enabled=True, keys="*", commands=["-script"])
        told(one(redis_checks.check(plain(REDIS_URL=url)), SCRIPTS), State.FAILED, ".lua is refused", "allow SCRIPT")
        spoil.acl_setuser("clerk", enabled=True, keys="*", commands=["-info"])
        told(one(redis_checks.check(plain(REDIS_URL=url)), CONNECTION), State.FAILED, "refuses INFO", "all commands")
        wrong = one(redis_checks.check(plain(REDIS_URL=url.replace("word", "sword"))), CONNECTION)
        told(wrong, State.FAILED, "refuses the password", "correct REDIS_PASSWORD")
        assert "clerks-" not in str(wrong)
    finally:
        spoil.acl_deluser("clerk")


def test_nobody_there() -> None:
    checks = redis_checks.check(plain(REDIS_URL=f"redis://:hidden-word@127.0.0.1:{closed_port()}/0"))
    told(one(checks, CONNECTION), State.FAILED, "the connection is refused", "start Redis")
    assert "hidden-word" not in str(checks)
    told(one(checks, EVICTION), State.OFF, "not checked: no connection to Redis")


@pytest.mark.parametrize(
    ("changed", "name", "part"),
    [
        ({"redis_version": "6.0.16"}, CONNECTION, "Redis 6.0.16 is too old"),
        ({"role": "slave"}, CONNECTION, "is a replica and takes no writes"),
        ({"aof_last_write_status": "err"}, PERSISTENCE, "cannot be written"),
        ({"broken_script": "accept"}, SCRIPTS, "accept.lua is refused"),
    ],
)
def test_what_is_judged_a_failure(changed: dict[str, Any], name: str, part: str) -> None:
    checks = judged(**changed)
    assert one(checks, name).state is State.FAILED
    assert part in one(checks, name).found
    assert {check.state for check in checks if check.name not in (name, REPLICAS)} == {State.OK}


@pytest.mark.parametrize(
    ("changed", "state", "part"),
    [
        ({}, State.FAILED, "none is online"),
        ({"connected_slaves": 1, "slave0": {"state": "wait_bgsave"}}, State.FAILED, "none is online"),
        ({"connected_slaves": 1, "slave0": {"state": "online"}}, State.WARNING, "1 online"),
    ],
)
def test_replicas_are_asked_for_behind_sentinel_only(changed: dict[str, Any], state: State, part: str) -> None:
    assert one(judged(**changed), REPLICAS).state is State.OFF
    facts = RedisFacts(HEALTHY | changed, "noeviction", "always", None, min_replicas="1", behind_sentinel=True)
    check = one(redis_checks.judge(facts), REPLICAS)
    assert (check.state, part in check.found) == (state, True)


def test_valkey_is_known_by_its_own_version() -> None:
    told(one(judged(valkey_version="8.1.1"), CONNECTION), State.OK, "Valkey 8.1.1")
    told(one(judged(redis_version="6.2.0"), CONNECTION), State.OK, "Redis 6.2.0")
    told(one(judged(policy=None), EVICTION), State.WARNING, "cannot be read", "make sure that")


def test_the_broker(other: RedisServer) -> None:
    [same] = redis_checks.check_broker(of(other))
    told(same, State.OK, "the same Redis")
    elsewhere = {"REDIS_URL": "redis://127.0.0.1:1/0"}
    [there] = redis_checks.check_broker(plain(CELERY_BROKER_URL=other.url, **elsewhere))
    told(there, State.OK, f"redis://127.0.0.1:{other.port} answers")
    for scheme in ("redis", "amqp"):
        url = f"{scheme}://guest:hidden-word@127.0.0.1:{closed_port()}/0"
        [gone] = redis_checks.check_broker(plain(CELERY_BROKER_URL=url, **elsewhere))
        told(gone, State.FAILED, "the connection is refused", "correct CELERY_BROKER_URL")
        assert "hidden-word" not in str(gone)
