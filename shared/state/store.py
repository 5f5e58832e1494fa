"""The connection to Redis, what is encrypted on the way, and the loader of the Lua scripts.

Every other module of `shared.state` is built on it.
"""

from __future__ import annotations

import functools
import hashlib
import time
from pathlib import Path
from typing import Any, cast

import redis
from redis.backoff import ConstantBackoff
from redis.client import Pipeline
from redis.exceptions import NoScriptError
from redis.retry import Retry
from redis.sentinel import Sentinel, SentinelManagedConnection

from shared import sentinels
from shared.cipher import CLEAR, Cipher
from shared.sentinels import Sentinels
from shared.settings import Settings

_LUA = Path(__file__).parent / "lua"
Value = str | int | float | bytes


class NotReplicated(redis.TimeoutError):
    """The master wrote it, and the replicas did not say in time that they have it too: a failover could forget it.

    To whom that matters it is a Redis that did not answer. `results` is what the scripts returned.
    """

    def __init__(self, results: list[Any]) -> None:
        super().__init__("the replicas do not have it yet")
        self.results = results


class Replicas:
    """How many must confirm: all that the Sentinels count as alive, at least one.

    One would do for a master that dies. A master that hung and wakes up while its successor is being made would still
    find the other replica to confirm what the successor never sees.
    """

    LOOK_S = 1.0

    def __init__(self, sentinels: Sentinel, master: str, wait_ms: int) -> None:
        self.wait_ms = wait_ms
        self._sentinels = sentinels
        self._master = master
        self._needed = 1
        self._looked_at = float("-inf")

    def needed(self) -> int:
        if time.monotonic() - self._looked_at >= self.LOOK_S:
            self._looked_at = time.monotonic()
            for sentinel in self._sentinels.sentinels:
                try:
                    told = sentinel.sentinel_slaves(self._master)
                except redis.RedisError:
                    continue
                self._needed = max(1, sum(map(_is_alive, told)))
                break
        return self._needed


def _is_alive(replica: dict[str, Any]) -> bool:
    """A former master that is still to become a replica is listed too: it copies nothing yet."""
    down = replica["is_sdown"] or replica["is_odown"] or replica["is_disconnected"]
    return not down and replica["role-reported"] == "slave" and replica["master-link-status"] == "ok"


class Client(redis.Redis):
    """A client that knows the keys of this installation; a plain `redis.Redis` encrypts nothing."""

    cipher: Cipher = CLEAR
    seals = True  # False: it reads what is encrypted, and writes in clear for a former release (`webhook.schema_gate`)
    replicas: Replicas | None = None  # behind Sentinel: who must have what must not be forgotten


def cipher_of(client: redis.Redis) -> Cipher:
    """What opens the values that this client reads."""
    return client.cipher if isinstance(client, Client) else CLEAR


def seal(client: redis.Redis, text: str) -> str:
    """A patient's words or address as they are kept."""
    return client.cipher.seal(text) if isinstance(client, Client) and client.seals else text


def unseal(client: redis.Redis, text: str) -> str:
    """What `seal` was given.

    Raises:
        UnreadableSecret: no key of ours fits.
    """
    return cipher_of(client).open(text)


def connect(settings: Settings, *, timeout_s: float = 2.0, max_connections: int = 128, patient: bool = True) -> Client:
    """Open a pool to the state store; nothing is contacted yet.

    Args:
        settings: address, password and keys.
        timeout_s: bound of one command, which is repeated once; redis-py's own default would wait 58 s (ten repeats).
        max_connections: at least one per thread.
        patient: repeat it also after a timeout: a hung Redis then costs three times `timeout_s`, since a new connection
            is greeted first. False: a lost connection only.
    """
    errors = (redis.ConnectionError, redis.TimeoutError) if patient else (redis.ConnectionError,)
    options: dict[str, Any] = {
        "socket_timeout": timeout_s,
        "socket_connect_timeout": min(timeout_s, 1.0),
        "socket_keepalive": True,
        "retry": Retry(ConstantBackoff(0.05), 1, errors),
        "decode_responses": True,
        "health_check_interval": 0,
    }
    url = settings.redis_url
    if sentinels.is_sentinel(url):
        client = _through_sentinel(sentinels.parse(url), max_connections, options)
    else:
        client = cast(Client, Client.from_url(url, max_connections=max_connections, **options))
    client.cipher = Cipher.from_settings(settings)
    return client


class _Connection(SentinelManagedConnection):
    """Leaves a master without replicas as one that has become a replica: it may have a successor already."""

    def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return super().read_response(*args, **options)
        except redis.ResponseError as error:
            if not str(error).startswith("NOREPLICAS"):
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise redis.ConnectionError("the master has no replica") from error


def _through_sentinel(address: Sentinels, max_connections: int, options: dict[str, Any]) -> Client:
    """A client that asks the Sentinels for the present master whenever it opens a connection."""
    manager = Sentinel(
        address.nodes,
        sentinel_kwargs=address.asking(options["socket_connect_timeout"]),
        max_connections=max_connections,
        username=address.username,
        password=address.password,
        connection_class=_Connection,
        **options,
    )
    client: Client = manager.master_for(address.master, redis_class=Client)
    client.replicas = Replicas(manager, address.master, wait_ms=round(options["socket_timeout"] * 500))
    return client


class Script:
    """One Lua file of `lua/`, run by its hash and loaded again when the server has forgotten it."""

    def __init__(self, name: str) -> None:
        self.source = _source(name)
        self.sha = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def __call__(self, client: redis.Redis, keys: list[str], args: list[Value]) -> Any:
        try:
            return client.evalsha(self.sha, len(keys), *keys, *args)
        except NoScriptError:
            return client.eval(self.source, len(keys), *keys, *args)

    def many(self, client: redis.Redis, calls: list[tuple[list[str], list[Value]]]) -> list[Any]:
        """Run the script once per (keys, args), in order, in one round trip."""
        if len(calls) == 1:
            return [self(client, *calls[0])]
        try:
            return self._pipeline(client, calls)
        except NoScriptError:
            client.script_load(self.source)
            return self._pipeline(client, calls)  # the scripts are idempotent: those that ran change nothing

    def kept(self, client: redis.Redis, calls: list[tuple[list[str], list[Value]]]) -> list[Any]:
        """`many`, for what must outlive the master: behind Sentinel the replicas have it too when this returns.

        WAIT goes over the same connection as the scripts: over another one it could ask another master.

        Raises:
            NotReplicated: not in time; the master has it.
        """
        replicas = client.replicas if isinstance(client, Client) else None
        if replicas is None:
            return self.many(client, calls)
        needed = replicas.needed()
        wait = (needed, replicas.wait_ms)
        try:
            *results, confirmed = self._pipeline(client, calls, wait)
        except NoScriptError:
            client.script_load(self.source)
            *results, confirmed = self._pipeline(client, calls, wait)
        if confirmed < needed:
            raise NotReplicated(results)
        return results

    def _pipeline(
        self, client: redis.Redis, calls: list[tuple[list[str], list[Value]]], wait: tuple[int, int] | None = None
    ) -> list[Any]:
        with client.pipeline(transaction=False) as pipe:
            self.add(pipe, calls)
            if wait:
                pipe.wait(*wait)
            return pipe.execute()

    def add(self, pipe: Pipeline, calls: list[tuple[list[str], list[Value]]]) -> None:
        for keys, args in calls:
            pipe.evalsha(self.sha, len(keys), *keys, *args)


@functools.cache
def _source(name: str) -> str:
    text = (_LUA / f"{name}.lua").read_text(encoding="utf-8")
    prelude = (_LUA / "prelude.lua").read_text(encoding="utf-8")
    return f"{prelude}\n{text}"


@functools.cache
def script(name: str) -> Script:
    """The script `lua/{name}.lua`, prefixed by `lua/prelude.lua`."""
    return Script(name)
