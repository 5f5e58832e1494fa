"""Which shape the keys in Redis have, and how an older store becomes a present one.

The key `schema` holds the number of the shape. A worker migrates at its start, and so does `python -m workers.migrate`;
the webhook only looks (`webhook.schema_gate`). A process that finds a store newer than itself does not touch it.

Rules for a migration: it may be run twice, broken off anywhere and begun again, and it changes what it finds in atomic
steps, since the webhook takes messages meanwhile. To add one: append it to `MIGRATIONS` and raise `CURRENT`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from shared.errors import UnreadableSecret
from shared.settings import CONFIG_ERROR
from shared.state import first_shape, reseal, second_shape
from shared.state.leases import Leases

KEY = "schema"
CURRENT = 3
UNMARKED = 1  # a store from before the key
TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h: former workers are still alive
LEASE = "schema"
LEASE_S = 10.0
FORMER_WORKERS_S = 120.0  # a worker may take 90 s to end, and its heartbeat lasts 15 s
_LOOK_AGAIN_S = 0.1

log = logging.getLogger(__name__)

# An empty store has the present shape at once.
_LOOK = """
local known = redis.call('GET', KEYS[1])
if known then return known end
if redis.call('DBSIZE') > 0 then return ARGV[2] end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
"""
# Only who still holds the lease may say that a step is done.
_DONE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step from shape `to - 1` to shape `to`."""

    to: int
    text: str  # what changes, for the operator
    run: Callable[[redis.Redis], None]
    former_workers_stop: bool  # workers of the former release would break on the new shape
    webhook_waits: Callable[[redis.Redis], bool]  # would the webhook's scripts break on what is there now?


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        2,
        "the call list becomes a hash by id; opt-outs and hand-offs get an index each",
        first_shape.to_second,
        former_workers_stop=True,
        webhook_waits=first_shape.has_old_calls,
    ),
    Migration(
        3,
        "what patients write and where they are reached is encrypted; Meta's message ids are hashed",
        second_shape.to_third,
        former_workers_stop=True,
        webhook_waits=lambda client: False,  # until then it writes in clear (`webhook.schema_gate`)
    ),
)


class NewerStoreError(Exception):
    """The store was written by a newer release."""

    def __init__(self, found: int) -> None:
        super().__init__(
            f"The store has schema {found}, this release knows {CURRENT}: start the newer release again, "
            "or restore a backup from before the update (docs/running.md)."
        )


class FormerWorkersError(Exception):
    """A migration needs the workers of the former release stopped, and some are alive."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"Workers of the former release are alive, stop them first: {', '.join(names)}.")


def version(client: redis.Redis) -> int:
    """The store's schema. An empty store is marked with the present one; one without a mark is the first.

    Raises:
        redis.RedisError: not reachable.
        ValueError: the key holds no number.
    """
    return int(client.eval(_LOOK, 1, KEY, str(CURRENT), str(UNMARKED)))


def pending(found: int) -> tuple[Migration, ...]:
    """The steps from schema `found` to the present one, in order (pure).

    Raises:
        NewerStoreError: there is no way back.
    """
    if found > CURRENT:
        raise NewerStoreError(found)
    return tuple(step for step in MIGRATIONS if step.to > found)


def former_workers(client: redis.Redis, to: int) -> list[str]:
    """Names of living workers that do not know schema `to`."""
    names: Any = client.zrange("workers", 0, -1)
    told = client.mget([f"worker:{name}" for name in names]) if names else []
    return [name for name, text in zip(names, told, strict=True) if text and json.loads(text).get(KEY, UNMARKED) < to]


def migrate(
    client: redis.Redis,
    tell: Callable[[str], None] = log.info,
    *,
    lease_s: float = LEASE_S,
    wait_s: float = FORMER_WORKERS_S,
) -> list[Migration]:
    """Bring the store to the present schema; one process at a time does a step, the others wait for it.

    Args:
        client: state store.
        tell: is called with a sentence when a step begins, ends or waits.
        lease_s: seconds after which the step of a process that died is begun again by another.
        wait_s: seconds to wait for workers of the former release to end.

    Returns:
        The steps that this process did; [] when there was nothing to do.

    Raises:
        NewerStoreError, FormerWorkersError, redis.RedisError: nothing is half done that the next run would not finish.
    """
    done: list[Migration] = []
    if not pending(version(client)):
        return done
    leases = Leases(client, lease_s)
    leases.start()
    try:
        while pending(version(client)):
            token = leases.take(LEASE)
            if token is None:
                time.sleep(_LOOK_AGAIN_S)
                continue
            try:
                steps = pending(version(client))  # another process may have done it a moment ago
                if steps and _do(client, steps[0], token, tell, wait_s):
                    done.append(steps[0])
            finally:
                with contextlib.suppress(redis.RedisError):  # it runs out by itself
                    leases.give_back(LEASE)
    finally:
        leases.close()
    return done


def _do(client: redis.Redis, step: Migration, token: str, tell: Callable[[str], None], wait_s: float) -> bool:
    if step.former_workers_stop:
        _wait_for_former_workers(client, step.to, tell, wait_s)
    tell(f"Schema {step.to}: {step.text} ...")
    began = time.monotonic()
    step.run(client)
    if not client.eval(_DONE, 2, f"lease:{LEASE}", KEY, token, str(step.to)):
        return False  # we were held up for longer than the lease: somebody else does it again
    tell(f"Schema {step.to}: done in {time.monotonic() - began:.1f} s.")
    return True


def _wait_for_former_workers(client: redis.Redis, to: int, tell: Callable[[str], None], wait_s: float) -> None:
    deadline = time.monotonic() + wait_s
    told = False
    while names := former_workers(client, to):
        if time.monotonic() >= deadline:
            raise FormerWorkersError(names)
        if not told:
            tell(f"Schema {to} waits until workers of the former release have ended: {', '.join(names)}.")
            told = True
        time.sleep(_LOOK_AGAIN_S)


def refuse_newer(client: redis.Redis) -> None:
    """End the process with a sentence and code 78 when the store is newer, or encrypted with a key that is not ours.

    A Redis that is away is no reason to.
    """
    try:
        pending(version(client))
        reseal.check(client)
    except redis.RedisError:
        return
    except (NewerStoreError, UnreadableSecret) as error:
        print(error, file=sys.stderr)
        raise SystemExit(CONFIG_ERROR) from None
