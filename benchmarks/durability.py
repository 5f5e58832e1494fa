"""`make bench-durability`: what `appendfsync` costs in acks, and loses. Run: python -m benchmarks.durability

Cost: webhook and worker on a Redis without append-only file, with `everysec` and with `always`, in turns. Loss: the
same webhook in mid load, Redis killed (its host lives), or its host without power at the worst moment, just before the
next sync; Redis is started again on what is left, the webhook's spool is replayed, and what was answered 200 is looked
for. A power cut is what synced.c noted: the file is cut where the last fdatasync that returned had begun.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.road import SECRET, environment, our_round, running, wait_for
from benchmarks.senders import Load, send, signed_request
from demo import processes
from demo.redis_server import RedisServer, free_port
from shared.cipher import Cipher
from shared.identity import message_id
from shared.spool import Spool

NO_FILE, EVERYSEC, ALWAYS = "no append-only file", "everysec", "always"
KILLED, POWER_CUT = "killed", "power cut"
WARM_S = 3.0  # of load before the kill
AFTER_A_SYNC_S = 0.9  # the worst moment: everysec syncs once a second
PATIENTS = 2000


@dataclass(frozen=True)
class Loss:
    """One kill: how many were answered 200 before it, how many of all are gone, and how old the oldest of these was."""

    acknowledged: int
    lost: int
    oldest_s: float


def build_library(folder: Path) -> Path | None:
    """Compile synced.c; None without a C compiler."""
    compiler, library = shutil.which("cc"), folder / "synced.so"
    if compiler is None:
        return None
    source = str(Path(__file__).with_name("synced.c"))
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), source], check=True)
    return library


@contextlib.contextmanager
def noting_syncs(library: Path | None, log: Path) -> Iterator[None]:
    """Whatever is started inside writes its syncs to `log`."""
    given = {"LD_PRELOAD": str(library), "SYNC_LOG": str(log)} if library else {}
    os.environ.update(given)
    try:
        yield
    finally:
        for name in given:
            del os.environ[name]


def cut_power(folder: Path, log: Path) -> None:
    """Leave of a dead Redis's files what the disk has for sure."""
    synced = dict(line.split() for line in log.read_text(encoding="ascii").splitlines())
    for file in folder.rglob("*.incr.aof"):
        os.truncate(file, int(synced.get(str(file.stat().st_ino), 0)))


def kill_in_mid_load(server: RedisServer, log: Path) -> float:
    """Kill Redis just before its next sync; returns when (`time.perf_counter`)."""
    time.sleep(WARM_S)
    if log.exists():
        before = log.stat().st_size
        while log.stat().st_size == before:
            time.sleep(0.001)
        time.sleep(AFTER_A_SYNC_S)
    killed_at = time.perf_counter()
    server.kill()
    return killed_at


def loss_round(folder: Path, fsync: str, how: str, library: Path | None, senders: int) -> Loss:
    """One kill under load and what became of the acknowledged messages."""
    log = folder / "syncs"
    server = RedisServer(folder / "redis", fsync=fsync)
    folder.mkdir(parents=True)
    with noting_syncs(library, log):
        server.start()
    port, run = free_port(), uuid.uuid4().hex[:8]
    env = environment(server.url, port) | {"SPOOL_DIR": str(folder / "spool"), "PATIENT_ID_KEY": "bench"}
    web = processes.webhook(env, folder)
    prepared = [signed_request(port, SECRET, number, run, PATIENTS) for number in range(30_000)]
    killed_at: list[float] = []
    killer = threading.Thread(target=lambda: killed_at.append(kill_in_mid_load(server, log)))
    client = redis.Redis.from_url(server.url, decode_responses=True)
    try:
        with running(web):
            wait_for(f"http://127.0.0.1:{port}/health/live", web)
            killer.start()
            load = send(port, prepared, senders=senders, seconds=WARM_S + 3)
            killer.join()
            if how == POWER_CUT:
                cut_power(server.folder, log)
            server.start()
            spool, deadline = Spool(folder / "spool", Cipher(), 1), time.monotonic() + 120
            while spool.holds():
                if time.monotonic() > deadline:
                    raise SystemExit("the spool was not replayed")
                time.sleep(0.1)
            kept = _kept(client, run, list(load.acknowledged))
    finally:
        client.close()
        server.stop()
    lost = [at for (number, at), is_there in zip(load.acknowledged.items(), kept, strict=True) if not is_there]
    before = sum(at <= killed_at[0] for at in load.acknowledged.values())
    return Loss(before, len(lost), max((killed_at[0] - at for at in lost), default=0.0))


def _kept(client: redis.Redis, run: str, numbers: list[int]) -> list[bool]:
    """Whether the state store knows each of these messages."""
    found: list[bool] = []
    for start in range(0, len(numbers), 1000):
        pipe = client.pipeline(transaction=False)
        for number in numbers[start : start + 1000]:
            pipe.exists("seen:" + message_id(b"bench", f"wamid.{run}.{number}"))
        found += [bool(one) for one in pipe.execute()]
    return found


def cost(folder: Path, rounds: int, seconds: float, senders: int) -> dict[str, list[Load]]:
    """Rounds of the three policies in turns."""
    loads: dict[str, list[Load]] = {name: [] for name in (NO_FILE, EVERYSEC, ALWAYS)}
    for number in range(rounds):
        for name, done in loads.items():
            print(f"cost, round {number + 1} of {rounds}: {name} ...", file=sys.stderr, flush=True)
            server = RedisServer(folder / f"{name}-{number}", fsync=EVERYSEC if name == NO_FILE else name).start()
            try:
                client = redis.Redis.from_url(server.url, decode_responses=True)
                if name == NO_FILE:
                    client.config_set("appendonly", "no")
                env = environment(server.url, 0)
                done.append(our_round(server.folder, env, client, seconds, senders, int(seconds * 5000))[0])
                client.close()
            finally:
                server.stop()
    return loads


def report_cost(loads: dict[str, list[Load]], senders: int) -> None:
    """Print the table."""
    print(f"{senders} keep-alive senders, two webhook processes, one worker; {len(loads[ALWAYS])} rounds, medians")
    print(f"{'appendfsync':<22} {'acks/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'of no file':>11}  not answered 200")
    for name, rounds in loads.items():
        rate = statistics.median(load.per_second for load in rounds)
        p50, p99 = (statistics.median(load.percentile(share) * 1000 for load in rounds) for share in (0.5, 0.99))
        refused = sum(n for load in rounds for status, n in load.statuses.items() if status != 200)
        share = statistics.median(a.per_second / b.per_second for a, b in zip(rounds, loads[NO_FILE], strict=True))
        print(f"{name:<22} {rate:>8.0f} {p50:>8.1f} {p99:>8.1f} {share:>11.2f}  {refused}")
    ratios = sorted(a.per_second / e.per_second for a, e in zip(loads[ALWAYS], loads[EVERYSEC], strict=True))
    print(f"always / everysec: {statistics.median(ratios):.2f} (from {ratios[0]:.2f} to {ratios[-1]:.2f})\n")


def report_loss(losses: dict[tuple[str, str], list[Loss]]) -> None:
    """Print the table."""
    print(f"{'appendfsync':<12} {'end':<10} {'acknowledged before':<26} {'lost':<22} oldest lost, s before the end")
    for (fsync, how), rounds in losses.items():
        acknowledged = ", ".join(str(one.acknowledged) for one in rounds)
        lost = ", ".join(str(one.lost) for one in rounds)
        oldest = ", ".join(f"{one.oldest_s:.2f}" for one in rounds)
        print(f"{fsync:<12} {how:<10} {acknowledged:<26} {lost:<22} {oldest}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="of each policy, for the cost")
    parser.add_argument("--kills", type=int, default=3, help="of each policy and way to end, for the loss")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--senders", type=int, default=100)
    asked = parser.parse_args()
    losses: dict[tuple[str, str], list[Loss]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        if asked.rounds:
            report_cost(cost(folder / "cost", asked.rounds, asked.seconds, asked.senders), asked.senders)
        library = build_library(folder)
        if library is None:
            print("no C compiler (cc): power cuts are left out", file=sys.stderr)
        for number in range(asked.kills):
            for fsync in (EVERYSEC, ALWAYS):
                for how in (KILLED, POWER_CUT) if library else (KILLED,):
                    print(f"loss, {number + 1} of {asked.kills}: {fsync}, {how} ...", file=sys.stderr, flush=True)
                    here = folder / f"{fsync}-{how}-{number}"
                    losses.setdefault((fsync, how), []).append(loss_round(here, fsync, how, library, asked.senders))
    report_loss(losses)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
