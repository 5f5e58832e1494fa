"""`make bench-durability`: what `appendfsync` costs in acks, and loses. Run: python -m benchmarks.durability

Cost: one webhook, one worker, one load, while the policy changes each two seconds, so that what else the machine does
falls upon all alike. Loss: the webhook in mid load, Redis killed (its host lives), or its host without power at the
worst moment, just before the next sync; Redis is started again on what is left, the webhook's spool is replayed, and
what was answered 200 is looked for. A power cut is what synced.c noted: the file is cut where the last fdatasync that
returned had begun.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.road import SECRET, environment, running, wait_for
from benchmarks.senders import Load, send, signed_request
from demo import processes
from demo.redis_server import RedisServer, free_port
from shared.cipher import Cipher
from shared.identity import message_id
from shared.spool import Spool
from tests.preload import build_library, started_with

POLICIES = NO, EVERYSEC, ALWAYS = "no", "everysec", "always"  # no: the kernel writes when it likes
SLICE_S, SETTLING_S, BLOCKS = 2.0, 0.4, 4  # of a round: four times each policy
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


@dataclass(frozen=True)
class Slice:
    """Two seconds of load under one policy: acks a second, and each one's seconds."""

    rate: float
    latencies: list[float]


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
    noted = {"LD_PRELOAD": str(library), "SYNC_LOG": str(log)} if library else {}
    with started_with(noted):
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


def cost(folder: Path, rounds: int, senders: int) -> list[dict[str, Slice]]:
    """One webhook, one worker, one load; the policy changes each SLICE_S. Returns blocks: one slice of each policy."""
    server = RedisServer(folder / "redis").start()
    port = free_port()
    env = environment(server.url, port) | {"SPOOL_DIR": str(folder / "spool")}
    web, worker = processes.webhook(env, folder), processes.worker(env, folder)
    client = redis.Redis.from_url(server.url, decode_responses=True)
    client.config_set("auto-aof-rewrite-percentage", 0)  # a rewrite would fall into the slices of one of them
    blocks: list[dict[str, Slice]] = []
    try:
        with running(web, worker):
            wait_for(f"http://127.0.0.1:{port}/health", web)
            for number in range(rounds):
                print(f"cost, round {number + 1} of {rounds} ...", file=sys.stderr, flush=True)
                run, seconds = uuid.uuid4().hex[:8], BLOCKS * len(POLICIES) * SLICE_S
                prepared = [signed_request(port, SECRET, n, run, PATIENTS) for n in range(int(seconds * 3000))]
                began: list[tuple[str, float]] = []
                changing = threading.Thread(target=_change_policies, args=(client, began, number))
                changing.start()
                load = send(port, prepared, senders=senders, seconds=seconds)
                changing.join()
                if set(load.statuses) != {200}:
                    raise SystemExit(f"not all were answered 200: {load.statuses}")
                slices = [(policy, _slice(load, at)) for policy, at in began]
                blocks += [dict(slices[n : n + len(POLICIES)]) for n in range(0, len(slices), len(POLICIES))]
    finally:
        client.close()
        server.stop()
    return blocks


def _change_policies(client: redis.Redis, began: list[tuple[str, float]], first: int) -> None:
    """Each policy once in a block, in an order that turns from block to block."""
    for block in range(first, first + BLOCKS):
        for place in range(len(POLICIES)):
            policy = POLICIES[(block + place) % len(POLICIES)]
            client.config_set("appendfsync", policy)
            began.append((policy, time.perf_counter()))
            time.sleep(SLICE_S)


def _slice(load: Load, began: float) -> Slice:
    """What was answered in one slice; its first moments belong to the policy before."""
    first, last = began + SETTLING_S, began + SLICE_S
    latencies = [
        took for at, took in zip(load.acknowledged.values(), load.latencies, strict=True) if first <= at < last
    ]
    return Slice(len(latencies) / (SLICE_S - SETTLING_S), latencies)


def report_cost(blocks: list[dict[str, Slice]], senders: int) -> None:
    """Print the table."""
    print(f"{senders} keep-alive senders, two webhook processes, one worker; {len(blocks)} slices of each, medians")
    print(f"{'appendfsync':<12} {'acks/s':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for policy in POLICIES:
        rate = statistics.median(block[policy].rate for block in blocks)
        latencies = sorted(took * 1000 for block in blocks for took in block[policy].latencies)
        p50, p99 = (latencies[int(len(latencies) * share)] for share in (0.5, 0.99))
        print(f"{policy:<12} {rate:>8.0f} {p50:>8.1f} {p99:>8.1f}")
    for one, other in ((EVERYSEC, NO), (ALWAYS, NO), (ALWAYS, EVERYSEC)):
        low, middle, high = statistics.quantiles(block[one].rate / block[other].rate for block in blocks)
        print(f"acks/s, {one} / {other}: {middle:.2f} (half of the blocks from {low:.2f} to {high:.2f})")
    print()


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
    parser.add_argument("--rounds", type=int, default=5, help="of 24 s, for the cost")
    parser.add_argument("--kills", type=int, default=3, help="of each policy and way to end, for the loss")
    parser.add_argument(
        "--senders", type=int, nargs="+", default=[100, 1], help="for the cost; the loss takes the first"
    )
    asked = parser.parse_args()
    losses: dict[tuple[str, str], list[Loss]] = {}
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        for senders in asked.senders if asked.rounds else []:
            report_cost(cost(folder / f"cost-{senders}", asked.rounds, senders), senders)
        library = build_library(Path(__file__).with_name("synced.c"), folder)
        if library is None:
            print("no C compiler (cc): power cuts are left out", file=sys.stderr)
        for number in range(asked.kills):
            for fsync in (EVERYSEC, ALWAYS):
                for how in (KILLED, POWER_CUT) if library else (KILLED,):
                    print(f"loss, {number + 1} of {asked.kills}: {fsync}, {how} ...", file=sys.stderr, flush=True)
                    here = folder / f"{fsync}-{how}-{number}"
                    losses.setdefault((fsync, how), []).append(loss_round(here, fsync, how, library, asked.senders[0]))
    report_loss(losses)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
