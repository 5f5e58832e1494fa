"""Redis: version, eviction, persistence, memory, scripts; and the broker, if it is another server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis
from redis.sentinel import SentinelConnectionPool

from shared import sentinels
from shared.celery_app import Role, create_celery
from shared.settings import Settings
from shared.state import store
from workers.doctor.check import Check, failed, off, ok, warning
from workers.doctor.reach import why
from workers.doctor.runner import TIMEOUT_S

OLDEST = (6, 2)
CONNECTION, REPLICAS, EVICTION, PERSISTENCE, MEMORY, SCRIPTS = (
    "redis",
    "redis replicas",
    "redis eviction",
    "redis persistence",
    "redis memory",
    "redis scripts",
)
_NEARLY_FULL, _FULL = 0.75, 0.9


@dataclass(frozen=True)
class RedisFacts:
    """What the server says of itself; `info` is INFO, the settings are None where they may not be read."""

    info: dict[str, Any]
    policy: str | None
    appendfsync: str | None
    broken_script: str | None  # name of the first script that it does not take
    min_replicas: str | None = None  # min-replicas-to-write
    behind_sentinel: bool = False


def check(settings: Settings) -> list[Check]:
    client = store.connect(settings, timeout_s=TIMEOUT_S)
    try:
        facts = read(client)
    except redis.RedisError as error:
        unseen = (REPLICAS, EVICTION, PERSISTENCE, MEMORY, SCRIPTS)
        return [explain(error, settings), *(off(name, "not checked: no connection to Redis") for name in unseen)]
    finally:
        client.close()
    return judge(facts)


def read(client: redis.Redis) -> RedisFacts:
    """Ask Redis; the scripts are loaded, not run.

    Raises:
        redis.RedisError: no connection, or not allowed.
    """
    info: dict[str, Any] = client.info()
    return RedisFacts(
        info,
        _setting(client, "maxmemory-policy") or info.get("maxmemory_policy"),
        _setting(client, "appendfsync"),
        _broken_script(client),
        _setting(client, "min-replicas-to-write"),
        behind_sentinel=isinstance(client.connection_pool, SentinelConnectionPool),
    )


def _setting(client: redis.Redis, name: str) -> str | None:
    try:
        return client.config_get(name).get(name)
    except redis.ResponseError:  # CONFIG is not for everybody at a hosted Redis
        return None


def _broken_script(client: redis.Redis) -> str | None:
    for path in sorted((Path(store.__file__).parent / "lua").glob("*.lua")):
        if path.stem == "prelude":
            continue
        try:
            client.script_load(store.script(path.stem).source)
        except redis.ResponseError:
            return path.stem
    return None


def explain(error: redis.RedisError, settings: Settings) -> Check:
    """Say why there is no connection; the address is shown without its password."""
    where = address(settings.redis_url)
    if isinstance(error, redis.AuthenticationError):
        return failed(CONNECTION, f"{where} refuses the password", "correct REDIS_PASSWORD or REDIS_URL")
    if isinstance(error, redis.BusyLoadingError):
        return failed(CONNECTION, f"{where} is still loading its data", "wait a minute and look again")
    if isinstance(error, redis.ResponseError):
        return failed(CONNECTION, f"{where} refuses INFO", "allow the user of REDIS_URL all commands")
    advice = "start Redis (docker compose up -d redis; docker compose logs redis), or correct REDIS_URL"
    return failed(CONNECTION, f"{where}: {why(error)}; no message is accepted or answered", advice)


def judge(facts: RedisFacts) -> list[Check]:
    return [
        _judge_server(facts.info),
        _judge_replicas(facts),
        _judge_policy(facts.policy),
        _judge_persistence(facts.info, facts.appendfsync),
        _judge_memory(facts.info),
        ok(SCRIPTS, "all can be loaded")
        if facts.broken_script is None
        else failed(SCRIPTS, f"{facts.broken_script}.lua is refused", "allow SCRIPT and EVALSHA, Redis 6.2 or newer"),
    ]


def _judge_server(info: dict[str, Any]) -> Check:
    version = str(info.get("redis_version", "0"))
    valkey = info.get("valkey_version")
    known = f"Valkey {valkey}" if valkey else f"Redis {version}"
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if numbers < OLDEST:
        return failed(CONNECTION, f"{known} is too old", "install Redis 6.2 or newer, or Valkey")
    if info.get("role") == "slave":
        return failed(CONNECTION, f"{known} is a replica and takes no writes", "let REDIS_URL name the master")
    return ok(CONNECTION, known)


def _judge_replicas(facts: RedisFacts) -> Check:
    """What a failover needs: a replica that has everything, and a master that takes nothing without one."""
    if not facts.behind_sentinel:
        return off(REPLICAS, "one Redis (a sentinel:// address in REDIS_URL lets another take over)")
    info = facts.info
    online = sum(1 for n in range(int(info.get("connected_slaves", 0))) if _is_online(info.get(f"slave{n}")))
    if not online:
        return failed(REPLICAS, "none is online: messages stay on the webhook's disk", "start the replicas")
    found = f"{online} online"
    if facts.min_replicas == "0":
        advice = "redis-cli CONFIG SET min-replicas-to-write 1 on every Redis, and the same in its configuration"
        return warning(REPLICAS, f"{found}; a master cut off from them goes on taking writes", advice)
    return ok(REPLICAS, found) if online > 1 else warning(REPLICAS, found, "add one: with it down too, all waits")


def _is_online(replica: object) -> bool:
    return isinstance(replica, dict) and replica.get("state") == "online"


def _judge_policy(policy: str | None) -> Check:
    if policy == "noeviction":
        return ok(EVICTION, policy)
    if policy is None:
        return warning(EVICTION, "cannot be read", "make sure that maxmemory-policy is noeviction")
    advice = "redis-cli CONFIG SET maxmemory-policy noeviction, and the same in its configuration"
    return failed(EVICTION, f"maxmemory-policy is {policy}: a full Redis forgets messages", advice)


def _judge_persistence(info: dict[str, Any], appendfsync: str | None) -> Check:
    if not info.get("aof_enabled"):
        advice = "redis-cli CONFIG SET appendonly yes, and the same in its configuration"
        return failed(PERSISTENCE, "no append-only file: a restart loses accepted messages", advice)
    if info.get("aof_last_write_status", "ok") != "ok":
        return failed(PERSISTENCE, "the append-only file cannot be written", "free space on the disk of Redis")
    if appendfsync == "always":
        return ok(PERSISTENCE, "append-only file, appendfsync always")
    if appendfsync is None:
        return warning(PERSISTENCE, "append-only file; appendfsync cannot be read", "make sure that it is always")
    advice = "redis-cli CONFIG SET appendfsync always, and the same in its configuration"
    if appendfsync == "everysec":
        return warning(PERSISTENCE, "appendfsync everysec: a power cut loses up to a second of messages", advice)
    return failed(PERSISTENCE, f"appendfsync {appendfsync}: a power cut loses what was accepted", advice)


def _judge_memory(info: dict[str, Any]) -> Check:
    used, limit = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    whole = limit or int(info.get("total_system_memory", 0))
    found = f"{megabytes(used)} used of {megabytes(whole)}" + ("" if limit else " of the machine, no limit of its own")
    share = used / whole if whole else 0.0
    advice = "see what grew (redis-cli --bigkeys), or raise maxmemory"
    if share >= _FULL:
        return failed(MEMORY, f"{found}: soon no message is accepted", advice)
    return warning(MEMORY, found, advice) if share >= _NEARLY_FULL else ok(MEMORY, found)


def check_broker(settings: Settings) -> list[Check]:
    """Connect as Celery would, where the broker is not the Redis of the state."""
    name = "broker"
    if settings.broker_url == settings.redis_url:
        return [ok(name, "the same Redis")]
    where = address(settings.broker_url)
    celery = create_celery(settings, Role.BEAT)
    try:
        with celery.connection_for_write(connect_timeout=TIMEOUT_S) as connection:
            connection.connect()
    except Exception as error:  # kombu passes on whatever the transport's library raises
        if "auth" in type(error).__name__.lower() or type(error).__name__ == "AccessRefused":
            return [failed(name, f"{where} refuses the password", "correct CELERY_BROKER_URL")]
        return [failed(name, f"{where}: {why(error)}", "start the broker, or correct CELERY_BROKER_URL")]
    return [ok(name, f"{where} answers")]


def address(url: str) -> str:
    """`scheme://host:port` of an address, without user and password."""
    if sentinels.is_sentinel(url):
        return sentinels.parse(url).shown()
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    where = parts.path if parts.scheme == "unix" else (parts.hostname or "")
    return f"{parts.scheme}://{where}" + (f":{port}" if port else "")


def megabytes(size: float) -> str:
    return f"{size / 1e6:,.0f} MB"
