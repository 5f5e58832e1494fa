"""Bring the store to the shape that this release knows: python -m workers.migrate [--check]

Workers do it by themselves at their start; deploy/update.sh does it before the first new one starts. `--check` changes
nothing. Exit codes: 0 up to date (or done), 1 a step is to be done, 3 the same and the workers of the former
release have to be stopped before, 69 Redis cannot be reached, 75 such workers are alive, 78 the store is newer, or
encrypted with a key that is not among ENCRYPTION_KEYS.
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Callable, Sequence

import redis

from shared.errors import UnreadableSecret
from shared.settings import CONFIG_ERROR, ProcessRole, load
from shared.state import reseal, schema, store

PENDING, PENDING_STOPPED, UNAVAILABLE = 1, 3, 69
RETRY_S = 2.0

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers.migrate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is to be done")
    parser.add_argument(
        "--wait", type=float, default=schema.FORMER_WORKERS_S, help="seconds to wait for former workers to end"
    )
    asked = parser.parse_args(arguments)
    client = store.connect(load(ProcessRole.TOOL), timeout_s=30, max_connections=4)
    try:
        return check(client) if asked.check else run(client, asked.wait)
    except redis.RedisError as error:
        print(f"Redis cannot be reached: {type(error).__name__}.", file=sys.stderr)
        return UNAVAILABLE
    except (schema.NewerStoreError, UnreadableSecret) as error:
        print(error, file=sys.stderr)
        return CONFIG_ERROR
    except schema.FormerWorkersError as error:
        print(error, file=sys.stderr)
        return schema.TRY_AGAIN
    finally:
        client.close()


def check(client: redis.Redis) -> int:
    """Say what is to be done, a line for each step."""
    found = schema.version(client)
    steps = schema.pending(found)
    for step in steps:
        stop = "; stop the former release's workers before" if step.former_workers_stop else ""
        print(f"to do: schema {step.to}, {step.text}{stop}")
    if not steps:
        print(f"schema {found}: nothing to do")
        return 0
    return PENDING_STOPPED if any(step.former_workers_stop for step in steps) else PENDING


def run(client: redis.Redis, wait_s: float) -> int:
    """Migrate with a line for each step, and encrypt what is not yet."""
    schema.migrate(client, print, wait_s=wait_s)
    reseal.begin(client, print)
    print(f"schema {schema.CURRENT}: up to date")
    return 0


def at_start(client: redis.Redis, pause: Callable[[float], None] = time.sleep) -> None:
    """What a worker does before it consumes: migrate, waiting for a Redis that is away.

    Ends the process with a sentence: 78 when the store is newer or encrypted with another key, 75 when former workers
    do not end.
    """
    while True:
        try:
            schema.migrate(client)
            reseal.begin(client, log.info)
            return
        except (redis.ConnectionError, redis.TimeoutError) as error:
            log.warning("redis cannot be reached: waiting", extra={"cause": type(error).__name__})
            pause(RETRY_S)
        except (schema.NewerStoreError, UnreadableSecret) as error:
            print(error, file=sys.stderr)
            raise SystemExit(CONFIG_ERROR) from None
        except schema.FormerWorkersError as error:
            print(error, file=sys.stderr)
            raise SystemExit(schema.TRY_AGAIN) from None


if __name__ == "__main__":
    raise SystemExit(main())
