"""Health checks of the containers: `python -m shared.alive worker`, `beat`, or an address. Run by the engine.

Prints a sentence and ends with 0 when the process in this container does its work, else with 1.
"""

from __future__ import annotations

import json
import socket
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

BEAT_RANG = Path("var") / "beat" / "rang"  # touched by Beat whenever the broker took a bell
BEAT_LATE_S = 45  # the sweep is rung every ten seconds
TIMEOUT_S = 4.0


def answers(address: str) -> str | None:
    """None when an HTTP server answers 2xx there, else what is wrong."""
    if not address.startswith("http://"):
        return f"{address} is no address"
    try:
        with urllib.request.urlopen(address, timeout=TIMEOUT_S):  # noqa: S310 # nosec B310 - checked above
            return None
    except urllib.error.HTTPError as error:
        return f"answered {error.code}"
    except (OSError, ValueError) as error:
        return f"does not answer: {error}"


def worker_beats() -> str | None:
    """None when the worker of this host says in Redis that its consumer goes round, else what is wrong."""
    import redis

    from shared.settings import load
    from shared.state import store

    try:
        client = store.connect(load(), timeout_s=TIMEOUT_S / 2, max_connections=1)
        with client, client.pipeline(transaction=False) as pipe:
            pipe.zrange("workers", 0, -1)
            (names,) = pipe.execute()
            mine = [name for name in names if name.startswith(f"{socket.gethostname()}-")]
            pipe.mget([f"worker:{name}" for name in mine] or ["worker:"])
            (told,) = pipe.execute()
    except redis.RedisError as error:
        return f"redis: {type(error).__name__}"
    beats = [json.loads(text) for text in told if text]
    if not beats:
        return "no heartbeat of this worker in redis"
    return None if any(beat.get("consuming") for beat in beats) else "the worker does not consume"


def beat_rings(rang: Path = BEAT_RANG, late_s: float = BEAT_LATE_S) -> str | None:
    """None when the broker took a bell of this Beat a moment ago, else what is wrong."""
    try:
        age_s = time.time() - rang.stat().st_mtime
    except FileNotFoundError:
        return "beat has not rung yet"
    return None if age_s < late_s else f"beat rang {age_s:.0f} s ago"


def main(arguments: list[str]) -> int:
    """Check what is named and return the exit code."""
    if len(arguments) != 1:
        print("usage: python -m shared.alive worker | beat | http://address", file=sys.stderr)
        return 64
    checks = {"worker": worker_beats, "beat": beat_rings}
    problem = checks[arguments[0]]() if arguments[0] in checks else answers(arguments[0])
    print(problem or "ok")
    return 1 if problem else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
