"""`make bench`: what the ack costs, and how soon a worker has seen the message. Run: python -m benchmarks.road

Three rounds of: a bare Flask route, our webhook, the same without encryption at rest, a bare Redis round trip; same
gunicorn settings, same senders, Redis as durable as in compose.yaml. A real worker runs beside the webhook in its
rounds; turns are put off (a long burst), so that what is timed is accept, doorbell and the search for danger signs,
not the model.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import secrets
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import redis
import requests

from benchmarks.senders import Load, send, signed_request
from demo import processes
from demo.redis_server import RedisServer, free_port

SECRET = b"bench-secret"
FSYNC = "always"  # as in compose.yaml


def environment(redis_url: str, port: int) -> dict[str, str]:
    return {
        "DEMO": "true",
        "REDIS_URL": redis_url,
        "PORT": str(port),
        "WHATSAPP_APP_SECRET": SECRET.decode(),
        "WHATSAPP_API_URL": "http://127.0.0.1:9",
        "SEGUIMIENTO_SERVICE_URL": "http://127.0.0.1:9",
        "BURST_WAIT_MS": "60000",
        "RATE_LIMIT_PER_MINUTE": "1000000",
        "LOG_LEVEL": "WARNING",
        "MODEL_NAME": "/nonexistent",
        "ENCRYPTION_KEYS": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }


@contextlib.contextmanager
def running(*started: processes.Process) -> Iterator[None]:
    try:
        for process in started:
            process.start()
        yield
    finally:
        processes.stop_all(list(started), 15)


def wait_for(url: str, process: processes.Process, allowed: tuple[int, ...] = (200,)) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if requests.get(url, timeout=2).status_code in allowed:
                return
        if not process.is_running():
            break
        time.sleep(0.1)
    raise SystemExit(f"{process.name} did not start:\n{process.log()[-2000:]}")


def bare_round(folder: Path, env: dict[str, str], seconds: float, senders: int, count: int) -> Load:
    port = free_port()
    arguments = ["-m", "gunicorn", "-c", "webhook/gunicorn.conf.py", "benchmarks.bare:create_app()"]
    process = processes.Process("bare", arguments, env | {"PORT": str(port)}, folder / "bare.log")
    prepared = [signed_request(port, SECRET, n, uuid.uuid4().hex[:8], 2000) for n in range(count)]
    with running(process):
        wait_for(f"http://127.0.0.1:{port}/", process, (404,))
        return send(port, prepared, senders=senders, seconds=seconds)


def our_round(
    folder: Path, env: dict[str, str], client: redis.Redis, seconds: float, senders: int, count: int
) -> tuple[Load, list[float]]:
    """One round of the webhook with a worker; returns the load and the seconds from acceptance to triage."""
    client.flushall()
    port = free_port()
    env = env | {"PORT": str(port), "SPOOL_DIR": str(folder / "spool")}
    web, worker = processes.webhook(env, folder), processes.worker(env, folder)
    prepared = [signed_request(port, SECRET, n, uuid.uuid4().hex[:8], 2000) for n in range(count)]
    with running(web, worker):
        wait_for(f"http://127.0.0.1:{port}/health/live", web)
        wait_for(f"http://127.0.0.1:{port}/health", web)
        load = send(port, prepared, senders=senders, seconds=seconds)
        deadline = time.monotonic() + 15
        while client.zcard("fresh") and time.monotonic() < deadline:
            time.sleep(0.05)
        kept = sum(client.llen(key) for key in client.scan_iter("inbox:*", count=1000))
        if kept != load.statuses.get(200, 0):
            raise SystemExit(f"{load.statuses.get(200, 0)} acknowledged but {kept} kept: the road loses messages")
    # The worker writes its last figures when it ends.
    figures = {str(k): float(v) for k, v in client.hgetall("metrics").items()}
    buckets = {k.partition("le=")[2]: v for k, v in figures.items() if k.startswith("triage_seconds|le=")}
    waits = [float(bound) if bound != "+Inf" else 60.0 for bound, n in buckets.items() for _ in range(int(n))]
    return load, sorted(waits)


def redis_round(client: redis.Redis, seconds: float) -> list[float]:
    """A bare durable write by one client, as long as the other rounds."""
    latencies, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        client.set("bench", "x" * 600)
        latencies.append(time.perf_counter() - began)
    return sorted(latencies)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--senders", type=int, default=200)
    parser.add_argument("--fsync", choices=["always", "everysec", "no"], default=FSYNC)
    asked = parser.parse_args()
    bare: list[Load] = []
    ours: list[Load] = []
    clear: list[Load] = []
    waits: list[float] = []
    trips: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        server = RedisServer(folder / "redis", fsync=asked.fsync).start()
        try:
            client = redis.Redis.from_url(server.url, decode_responses=True)
            env = environment(server.url, 0)
            for number in range(asked.rounds):
                print(f"round {number + 1} of {asked.rounds} ...", file=sys.stderr, flush=True)
                bare.append(bare_round(folder, env, asked.seconds, asked.senders, int(asked.seconds * 6000)))
                load, seen = our_round(folder, env, client, asked.seconds, asked.senders, int(asked.seconds * 4000))
                ours.append(load)
                waits += seen
                without = env | {"ENCRYPTION_KEYS": ""}
                clear.append(
                    our_round(folder, without, client, asked.seconds, asked.senders, int(asked.seconds * 4000))[0]
                )
                trips += redis_round(client, min(2.0, asked.seconds))
        finally:
            server.stop()
    report(bare, ours, clear, sorted(waits), sorted(trips), asked.senders, asked.fsync)
    return 0


def report(
    bare: list[Load],
    ours: list[Load],
    clear: list[Load],
    waits: list[float],
    trips: list[float],
    senders: int,
    fsync: str,
) -> None:
    """Print the table."""

    def row(name: str, p50: float, p99: float, rate: float) -> None:
        print(f"{name:<42} {p50 * 1000:>9.2f} {p99 * 1000:>9.2f} {rate:>11.0f}")

    print(f"{senders} keep-alive senders, {len(ours)} rounds, medians; Redis appendfsync {fsync}")
    print(f"{'':<42} {'p50 ms':>9} {'p99 ms':>9} {'per second':>11}")
    for name, loads in (
        ("bare Flask route (baseline)", bare),
        ("webhook: verify, accept, ring", ours),
        ("the same without encryption at rest", clear),
    ):
        row(
            name,
            statistics.median(load.percentile(0.5) for load in loads),
            statistics.median(load.percentile(0.99) for load in loads),
            statistics.median(load.per_second for load in loads),
        )
    row(
        "one durable Redis SET, one client",
        trips[len(trips) // 2],
        trips[int(len(trips) * 0.99)],
        len(trips) / sum(trips),
    )
    share = statistics.median(o.per_second / b.per_second for o, b in zip(ours, bare, strict=True))
    cost = statistics.median(o.per_second / c.per_second for o, c in zip(ours, clear, strict=True))
    refused = sum(n for load in ours for status, n in load.statuses.items() if status != 200)
    print(
        f"\nthe accept path keeps {share:.0%} of the bare route's throughput; {refused} requests were not answered 200"
    )
    print(f"with encryption at rest it takes {cost:.0%} of what it takes without")
    if waits:
        print(
            f"200 to drain (a worker has searched the message): p50 <= {waits[len(waits) // 2] * 1000:.0f} ms, "
            f"p99 <= {waits[int(len(waits) * 0.99)] * 1000:.0f} ms (bucket bounds), {len(waits)} doorbells answered"
        )


if __name__ == "__main__":
    raise SystemExit(main())
