"""Bring everything in Redis under the newest key of ENCRYPTION_KEYS: python -m workers.rotate_keys

Run it once every process has the new key in front and the old one behind it; when it ends with 0, the old key may be
taken away. Exit codes: 0 done, 1 run it again (some values were in a worker's hands) or a key is missing, 69 Redis
cannot be reached, 78 there is no key. docs/running.md has the whole way.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import redis

from shared.settings import CONFIG_ERROR, ProcessRole, load
from shared.state import reseal, store
from workers.migrate import UNAVAILABLE

AGAIN = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns its exit code."""
    argparse.ArgumentParser(prog="python -m workers.rotate_keys", description=__doc__).parse_args(arguments)
    client = store.connect(load(ProcessRole.TOOL), timeout_s=30, max_connections=4)
    if not client.cipher.on:
        print("Set ENCRYPTION_KEYS: there is no key to encrypt with (see .env.example).", file=sys.stderr)
        return CONFIG_ERROR
    try:
        done = reseal.rotate(client)
    except redis.RedisError as error:
        print(f"Redis cannot be reached: {type(error).__name__}.", file=sys.stderr)
        return UNAVAILABLE
    finally:
        client.close()
    print(f"{done.changed} values were brought under the newest key.")
    if done.unreadable:
        print(f"{done.unreadable} values open with no key of ENCRYPTION_KEYS: add theirs. They stay as they are.")
    if done.in_hand:
        print(f"{done.in_hand} values are in a worker's hands: run this again.")
    if done.unreadable or done.in_hand:
        return AGAIN
    print("Nothing needs an older key any more, backups excepted.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
