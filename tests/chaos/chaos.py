"""One run: patients write, faults come by a seeded plan, all is healed, everything is waited for, and judged."""

from __future__ import annotations

import heapq
import json
import logging
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import redis
import requests

from tests.chaos.booking import Booking
from tests.chaos.broker_faults import RABBITMQ, SENTINEL, count_losses
from tests.chaos.fault import Fault, Heal
from tests.chaos.judge import Verdict, judge, judge_bookings
from tests.chaos.partner_faults import PARTNERS
from tests.chaos.posting import TOPICS, Posting, tap
from tests.chaos.process_faults import CLOCKS, PROCESSES
from tests.chaos.redis_faults import REDIS
from tests.chaos.stage import SETTLE_S, Failover, Stage

log = logging.getLogger(__name__)

KINDS: tuple[Fault, ...] = (*PROCESSES, *REDIS, *PARTNERS, *CLOCKS)
PAUSE_S = (0.5, 2.5)  # between the beginnings of two faults
RECOVER_S = 330.0  # the longest pause is 4^4 s, after a refusal for the pair rate


@dataclass
class Run:
    """What happened."""

    seed: int
    seconds: float
    per_second: float
    model: str
    pace: float
    injected: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)  # faults that could not be healed
    stretches: list[tuple[float, float]] = field(default_factory=list)  # Unix seconds
    restarts: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    repeated: int = 0
    recovery_s: float = 0.0
    verdict: Verdict = field(default_factory=Verdict)
    log: list[str] = field(default_factory=list)
    broker: str = "redis"
    redis: str = "single"
    failovers: list[Failover] = field(default_factory=list)
    kinds: tuple[str, ...] = ()


def kinds_of(broker: str = "redis", redis: str = "single") -> tuple[Fault, ...]:
    """The faults of an installation: another broker, or Redis behind Sentinel."""
    if redis == "sentinel":
        # A Sentinel whose clock jumps does nothing for half a minute.
        clocks = [fault for fault in CLOCKS if not fault.name.startswith("clock of Redis")]
        found = (*PROCESSES, *SENTINEL, *PARTNERS, *clocks)
    else:
        found = KINDS
    return (*found, *RABBITMQ) if broker == "rabbitmq" else found


def plan(seed: int, seconds: float, kinds: Sequence[Fault], pace: float = 1.0) -> Iterator[tuple[float, Fault]]:
    """When which fault begins (pure): every kind once in an order of the seed, then in another order, and so on."""
    dice = random.Random(seed)
    free: dict[str, float] = defaultdict(float)
    hand: list[Fault] = []
    at = 2.0
    while True:
        if not hand:
            hand = dice.sample(list(kinds), len(kinds))
        fault = min(hand, key=lambda one: max(0.0, free[one.place] - at))  # the first whose place is free
        at = max(at, free[fault.place])
        if at + fault.seconds > seconds:
            return
        hand.remove(fault)
        free[fault.place] = at + fault.seconds + 1
        yield at, fault
        at += dice.uniform(*PAUSE_S) / pace


def run(
    folder: Path,
    *,
    seed: int,
    seconds: float,
    per_second: float,
    model: str = "scripted",
    pace: float = 1.0,
    broker: str = "redis",
    redis: str = "single",
    only: Sequence[Fault] = (),
) -> Run:
    """Do one run; the processes have ended when it returns. `only`: no other faults than these."""
    stage, done = Stage(folder, model, broker, redis), Run(seed, seconds, per_second, model, pace)
    all_kinds = only or kinds_of(broker, redis)
    done.broker, done.redis, done.kinds = broker, redis, tuple(kind.name for kind in all_kinds)
    try:
        stage.start()
        posting = Posting(f"{stage.system.url}/webhook/whatsapp", random.Random(seed))
        words = _topics(stage, posting)
        kinds = [kind for kind in all_kinds if kind.place != "clock" or stage.has_clocks]
        booking = Booking(stage.system, posting)
        _act(stage, posting, plan(seed, seconds, kinds, pace), done, per_second)
        healed = time.time()
        booking.finish()
        _settle(stage, posting)
        done.recovery_s = round(time.time() - healed, 1)
        _judge(stage, posting, booking, words, done)
        posting.close()
    finally:
        stage.stop()
    return done


def _topics(stage: Stage, posting: Posting) -> dict[str, str]:
    """Ask for every topic once, before anything is wrong: what its button answers."""
    found, after = {}, 0
    for topic in (TOPICS[-1], *TOPICS):  # the first reply to anybody begins with a greeting
        posting.say("59179999999", "calm", tap(f"go:{topic}", topic))
        reply = stage.system.wait_for(lambda: _reply(stage, after))  # noqa: B023 - waited for here
        found[topic], after = str(reply["text"]), int(reply["seq"])
    assert len(set(found.values())) == len(TOPICS), "each topic has words of its own"
    return found


def _reply(stage: Stage, after: int) -> dict[str, Any] | None:
    found = stage.system.control("replies", patient="59179999999", after=after, timeout=5)["messages"]
    return found[0] if found else None


def _act(stage: Stage, posting: Posting, faults: Iterator[tuple[float, Fault]], done: Run, per_second: float) -> None:
    """Let patients write at their rate, inject what is due, heal what is over."""
    begun = time.monotonic()
    enough = threading.Event()
    writer = threading.Thread(target=_write, args=(posting, per_second, enough), daemon=True)
    writer.start()
    open_: list[tuple[float, int, Fault, Heal, float]] = []
    tie = count()
    upcoming = next(faults, None)
    while upcoming is not None or open_:
        now = time.monotonic() - begun
        while open_ and open_[0][0] <= now:
            _, _, fault, heal, since = heapq.heappop(open_)
            _heal(fault, heal, since, done)
        busy = {one[2].place for one in open_}  # longer than planned, where it takes long to heal
        if upcoming is not None and upcoming[0] <= now and upcoming[1].place not in busy:
            fault, since = upcoming[1], time.time()
            try:
                heal = fault.inject(stage, posting)
                done.injected[fault.name] += 1
                done.log.append(f"{now:7.1f} s  {fault.name}")
                heapq.heappush(open_, (time.monotonic() - begun + fault.seconds, next(tie), fault, heal, since))
            except (OSError, ValueError, AssertionError, redis.RedisError, requests.RequestException) as error:
                done.log.append(f"{now:7.1f} s  not possible now: {fault.name} ({type(error).__name__})")
            log.info(done.log[-1])
            upcoming = next(faults, None)
        time.sleep(0.05)
    stage.wait()
    enough.wait(max(0.0, done.seconds - (time.monotonic() - begun)))
    enough.set()
    writer.join()


def _heal(fault: Fault, heal: Heal, since: float, done: Run) -> None:
    for _ in range(20):
        try:
            heal()
            break
        except (OSError, AssertionError, RuntimeError, redis.RedisError, requests.RequestException) as error:
            problem = error
            time.sleep(0.5)
    else:
        done.failed.append(f"{fault.name}: not healed, {type(problem).__name__} {problem}")
    # Withheld is also what comes until those who were cut off are back: a lease, and Meta's next try.
    done.stretches.append((since, time.time() + SETTLE_S))


def _write(posting: Posting, per_second: float, enough: threading.Event) -> None:
    due = time.monotonic()
    while not enough.is_set():
        due += posting.one_more() / per_second
        enough.wait(max(0.0, due - time.monotonic()))


def _settle(stage: Stage, posting: Posting) -> None:
    system = stage.system
    system.wait_for(posting.is_idle, RECOVER_S)
    system.wait_for(system.everything_is_answered, RECOVER_S)
    system.wait_for(lambda: system.control("idle", timeout=30)["idle"], RECOVER_S)


def _judge(stage: Stage, posting: Posting, booking: Booking, words: dict[str, str], done: Run) -> None:
    covers: dict[str, list[str]] = {}
    for key in stage.store.scan_iter("delivery:*", count=1000):
        fields = stage.store.hmget(key, "covers")
        covers[key.removeprefix("delivery:")] = str(fields[0] or "").split()
    done.verdict = judge(posting.said, _received(stage), covers, words, done.stretches, _on_call_list(stage))
    judge_bookings(done.verdict, booking.confirmed, stage.system.control("agenda", days=400)["appointments"])
    done.verdict.dead = int(stage.store.llen("dead"))
    count_losses(stage, posting.said)
    done.failovers = stage.failovers
    done.refused, done.repeated, done.restarts = posting.refused, posting.repeated, stage.restarts


def _on_call_list(stage: Stage) -> set[str]:
    """Deliveries whose answer and status were withheld twice: it is not tried a third time, staff are asked to call."""
    return {str(id_) for id_, line in stage.store.hgetall("calls").items() if json.loads(line)["why"] == "unknown"}


def _received(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        after = found[-1]["seq"] if found else 0
        more = stage.system.control("messages", direction="to_patient", after=after, limit=2000)["messages"]
        if not more:
            return found
        found += more
