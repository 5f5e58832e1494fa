"""`make bench-spool`: an outage of Redis of one minute, 83 messages a second go on. Run: python -m benchmarks.spool

Twice: Redis killed (and started again on its file), and Redis stopped (hung). Two webhook processes, a worker that
answers from rules, the simulator as Meta and as judge of what patients received; Redis as durable as in compose.yaml,
bodies encrypted. Then how fast bodies are kept at most, and how many share an fsync.
"""

from __future__ import annotations

import argparse
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.fernet import Fernet

from benchmarks.senders import send, signed_request
from shared.cipher import Cipher
from shared.identity import message_id
from shared.spool import Body, Spool
from tests.processes.system import APP_SECRET, PATIENT_ID_KEY, System

SECRET = APP_SECRET.encode()
RATE = 5000 / 60
PATIENTS = 1000
SENDERS = 20  # each has patients of its own, so that nobody's messages overtake each other
AROUND_S = 8.0  # before and after the outage
KNOWN_AFTER_S = 1.5


@dataclass
class Posts:
    """Requests by when they began, their status and seconds."""

    made: list[tuple[float, int, float, int]] = field(default_factory=list)  # began, status, seconds, message number
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, port: int, run: str, began: float) -> None:
        """Send at RATE until told to stop; sender k sends every SENDERS-th message."""
        threads = [threading.Thread(target=self._send, args=(port, run, began, k)) for k in range(SENDERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, port: int, run: str, began: float, number: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            while not self.stop.wait(max(0.0, began + number / RATE - time.monotonic())):
                prepared = signed_request(port, SECRET, number, run, PATIENTS)
                sent = time.monotonic()
                connection.sendall(prepared)
                received = b""
                while b"\r\n\r\n" not in received:
                    received += connection.recv(65536)
                self.made.append((sent, int(received[9:12]), time.monotonic() - sent, number))
                number += SENDERS


def outage(folder: Path, how: str, seconds: float) -> None:
    keys = {"ENCRYPTION_KEYS": Fernet.generate_key().decode(), "LOG_LEVEL": "WARNING", "SETTLE_S": "30"}
    system = System(folder, **keys, BURST_WAIT_MS="800", LEASE_S="10")
    system.redis_server.stop()
    system.redis_server.fsync = "always"
    system.redis_server.start()
    try:
        system.start_world()
        system.control("rules", {"check_wamids": False})
        system.start_webhook()
        worker = system.start_worker()
        spool = Spool(Path(system.environment["SPOOL_DIR"]), Cipher(), 1)
        posts, run, began = Posts(), uuid.uuid4().hex[:8], time.monotonic() + 1
        sending = threading.Thread(target=posts.run, args=(system.port, run, began))
        sending.start()
        time.sleep(1 + AROUND_S)
        away, back = _outage(system, how)
        away()
        down = time.monotonic()
        time.sleep(seconds)
        held = spool.size()
        up = time.monotonic()
        back()
        system.wait_for(lambda: not spool.holds(), 120)
        empty = time.monotonic()
        time.sleep(AROUND_S)
        posts.stop.set()
        sending.join()

        def answered() -> bool:
            nonlocal worker
            if not worker.is_running():  # as a supervisor does
                worker = system.start_worker("again")
            return system.everything_is_answered()

        system.wait_for(answered, 600)
        done = time.monotonic()
        print(f"\nRedis {how} for {up - down:.0f} s, {RATE:.0f} messages a second of {PATIENTS} patients")
        _print_posts(posts, down, up)
        print(f"in the spool at its end: {held.bodies} bodies in {held.files} files, {held.bytes / 1e6:.1f} MB on disk")
        print(f"empty {empty - up:.1f} s after Redis was back; all answered after {done - up:.1f} s")
        _print_judgement(system, posts, run)
    finally:
        system.stop()


def _outage(system: System, how: str) -> tuple[Callable[[], object], Callable[[], object]]:
    server = system.redis_server
    if how == "killed":
        return server.kill, server.start
    process = server.process
    if process is None:
        raise SystemExit("Redis does not run")
    return lambda: process.send_signal(signal.SIGSTOP), lambda: process.send_signal(signal.SIGCONT)


def _print_posts(posts: Posts, down: float, up: float) -> None:
    for name, first, last in (
        ("before", 0.0, down),
        (f"outage, first {KNOWN_AFTER_S} s", down, down + KNOWN_AFTER_S),
        ("outage, once known", down + KNOWN_AFTER_S, up),
        ("after", up, float("inf")),
    ):
        these = [(status, took) for began, status, took, _ in posts.made if first <= began < last]
        ordered = sorted(took * 1000 for _, took in these)
        refused = sum(status != 200 for status, _ in these)
        p50, p99 = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        print(
            f"{name:<22} {len(these):>5} posted, {refused} not answered 200, "
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {ordered[-1]:.1f} ms"
        )


def _print_judgement(system: System, posts: Posts, run: str) -> None:
    """Once each, and in each patient's order, by what the simulated Meta received."""
    key = PATIENT_ID_KEY.encode()
    numbers = sorted(number for *_, number in posts.made)
    ids = {number: message_id(key, f"wamid.{run}.{number}") for number in numbers}
    coverage, sent = system.coverage(), system.sent_deliveries()
    place = {delivery: n for n, delivery in enumerate(sent)}
    lost = [n for n in numbers if ids[n] not in coverage]
    twice = [n for n in numbers if len(coverage.get(ids[n], ())) > 1]
    out_of_order = 0
    for patient in range(PATIENTS):
        own = [place[coverage[ids[n]][0]] for n in numbers if n % PATIENTS == patient and ids[n] in coverage]
        out_of_order += own != sorted(own)
    print(
        f"{len(numbers)} messages: lost {len(lost)}, answered by two replies {len(twice)}, patients out of order "
        f"{out_of_order}; {len(sent)} replies, {len(sent) - len(set(sent))} of them posted again"
    )


def most(folder: Path) -> None:
    """How fast bodies are kept: one fsync each in this process, then by 100 senders through the webhook."""
    spool = Spool(folder / "alone", Cipher((Fernet.generate_key().decode(),)), 1 << 30).open()
    body = Body(1, signed_request(1, SECRET, 1, "x", 1).partition(b"\r\n\r\n")[2])
    began, n = time.perf_counter(), 0
    while time.perf_counter() - began < 5:
        spool.put([body])
        n += 1
    print(f"\none body, one fsync, one writer: {n / 5:.0f} a second")
    system = System(folder / "most", ENCRYPTION_KEYS=Fernet.generate_key().decode(), LOG_LEVEL="WARNING")
    try:
        system.start_webhook()
        system.redis_server.kill()
        requests = [signed_request(system.port, SECRET, k, uuid.uuid4().hex[:8], 2000) for k in range(40_000)]
        load = send(system.port, requests, senders=100, seconds=8)
        held = Spool(Path(system.environment["SPOOL_DIR"]), Cipher(), 1).size()
        shared = held.bodies / held.files
        print(f"100 senders, two processes: {load.per_second:.0f} a second, {shared:.1f} bodies for each fsync,")
        p50, p99 = (load.percentile(share) * 1000 for share in (0.5, 0.99))
        print(f"p50 {p50:.0f} ms, p99 {p99:.0f} ms, answers {load.statuses}")
    finally:
        system.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="length of the outage")
    parser.add_argument("--how", choices=["killed", "hung"], action="append")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        for how in asked.how or ["killed", "hung"]:
            print(f"{how} ...", file=sys.stderr, flush=True)
            outage(Path(name) / how, how, asked.seconds)
        most(Path(name))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
