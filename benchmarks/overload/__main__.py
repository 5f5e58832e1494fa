"""`make bench-overload`: ten times the rate that can be answered, for a minute, then calm until everybody is answered.

1. The sustainable rate: replies a second while a backlog is drained by two workers (as `benchmarks.scaling`).
2. Ten times that for a minute, from patients who write once, in bursts, or again while they wait, and a few of a
   danger sign. Acks, memory and waits are measured; the simulated Meta judges what patients received.
The senders, Redis, webhook, workers and simulated Meta share the same cores. It ends with 1 when a message was lost,
answered twice or out of order, when a notice came twice or late, or when the acks missed their goal.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.capacity.measure import cpu_seconds
from benchmarks.overload.crowd import Posted, crowd, patients_of, post
from benchmarks.overload.gauges import Gauges, Sample, busy_seconds
from benchmarks.overload.report import draw, table
from benchmarks.overload.shares import favour
from benchmarks.overload.verdict import Verdict, judge
from benchmarks.reminders import Clinic, clinic
from benchmarks.scaling import KEY, LAYOUTS, SECRET, await_replies, drain_rate, get_ready, sent_so_far, stories, write
from shared.identity import message_id
from shared.state import audit

TWO = LAYOUTS[-1]
TIMES = 10
ACK_GOAL_S = 1.0
PATIENCE_S = 1800.0  # for the last reply


def sustainable(it: Clinic, backlog: int) -> float:
    """Replies a second while a backlog is drained."""
    before = sent_so_far(it)
    talk = write(it, backlog)
    await_replies(it, talk, before, "the sustainable rate")
    return drain_rate(list(stories(list(audit.read(it.store, "-")), talk.ids).values()))


def await_calm(it: Clinic) -> float:
    """Until nothing waits in any inbox or outbox; returns the seconds that took."""
    began = time.monotonic()
    with tqdm(desc="patients waiting", file=sys.stderr, bar_format="{desc}: {postfix} {elapsed}") as bar:
        while time.monotonic() - began < PATIENCE_S:
            left = [it.store.zcard(clock) for clock in ("waiting", "outgoing", "fresh")]
            bar.set_postfix_str(str(left[0]))
            if not any(left):
                break
            time.sleep(0.5)
    return time.monotonic() - began


def own_seconds(it: Clinic) -> float:
    """CPU-seconds of this program and of all it started."""
    pids = [process.pid for process in it.running]
    pids += [it.redis.process.pid] if it.redis.process else []
    return cpu_seconds(pids) + sum(os.times()[:2])


def received(it: Clinic) -> list[str]:
    """Delivery ids in the order in which the simulated Meta accepted them."""
    found: list[str] = []
    after = 0
    while rows := it.control("messages", direction="to_patient", after=after, limit=5000)["messages"]:
        found += [str(row["delivery_id"]) for row in rows]
        after = rows[-1]["seq"]
    return found


def overload(backlog: int, seconds: float) -> dict[str, Any]:
    with clinic(60, "always", MODEL_THREADS=str(TWO.threads)) as it:
        get_ready(it, TWO)
        rate = sustainable(it, backlog)
        time.sleep(5)
        webhook = [process.pid for process in it.running if process.name == "webhook"]
        workers = [process.pid for process in it.running if process.name.startswith("worker")]
        favoured = favour([*webhook, *([it.redis.process.pid] if it.redis.process else [])])
        gauges = Gauges(it.store, webhook, workers)
        figures: Any = it.store.hgetall("metrics")
        before, begins = gauges.look(), it.store.xinfo_stream("audit")
        lines = crowd(round(TIMES * rate * seconds), seconds)
        run = uuid.uuid4().hex[:8]
        gauges.start()
        own = own_seconds(it)
        busy, began = busy_seconds(), time.monotonic()
        posted = post(lines, it.port, SECRET, run)
        posted_s = time.monotonic() - began
        foreign_s = busy_seconds() - busy - (own_seconds(it) - own)
        calm_s = await_calm(it)
        samples = gauges.stop()
        time.sleep(10)  # the last statuses; workers write their figures each second
        counted: Any = it.store.hgetall("metrics")
        after = gauges.look()
        written: dict[str, list[str]] = defaultdict(list)
        for one in sorted((p for p in posted if p.status == 200), key=lambda p: p.line.number):
            written[str(one.line.patient)].append(message_id(KEY, f"wamid.{run}.{one.line.number}"))
        verdict = judge(written, audit.read(it.store, f"({begins['last-generated-id']}"), received(it))
        dead, calls = it.store.llen("dead"), it.store.hlen("calls")

    def grown(name: str) -> int:
        return int(float(counted.get(name, 0))) - int(float(figures.get(name, 0)))

    return {
        "rate_per_s": round(rate, 2),
        "offered_per_s": round(TIMES * rate, 1),
        "seconds": seconds,
        "shares_as_in_compose": favoured,
        "posted_s": round(posted_s, 1),
        "posted_per_s": round(len(lines) / posted_s, 1),
        "cores_for_others": round(foreign_s / posted_s, 2),
        "messages": len(lines),
        "patients": patients_of(lines),
        **acks(posted),
        "calm_s": round(calm_s),
        "before": asdict(before),
        "peak": asdict(_highest(samples)),
        "after": asdict(after),
        "oldest_most_s": max(s.oldest_s for s in samples),
        "told": verdict.told,
        "notices_queued": grown("notices_total"),
        "notices_overtaken": grown("sends_total|outcome=dropped"),
        "replies": verdict.replies,
        "turns": {k.partition("=")[2]: grown(k) for k in counted if k.startswith("turns_total|")},
        "without_model": {k.partition("=")[2]: grown(k) for k in counted if k.startswith("model_skipped_total|")},
        "triage": {k.partition("=")[2]: grown(k) for k in counted if k.startswith("triage_seconds|le")},
        **waits(verdict),
        "lost": len(verdict.lost),
        "doubled": len(verdict.doubled),
        "disordered": len(verdict.disordered),
        "told_wrongly": len(verdict.told_wrongly),
        "dead": dead,
        "calls": calls,
        "samples": [asdict(sample) for sample in samples],
    }


def acks(posted: Sequence[Posted]) -> dict[str, Any]:
    took = [one.seconds for one in posted]
    late = [one.late_s for one in posted]
    cuts = statistics.quantiles(took, n=100)
    return {
        "statuses": dict(Counter(str(one.status) for one in posted)),
        "ack_p50_s": round(cuts[49], 4),
        "ack_p95_s": round(cuts[94], 4),
        "ack_p99_s": round(cuts[98], 4),
        "ack_most_s": round(max(took), 3),
        "sender_late_p99_s": round(statistics.quantiles(late, n=100)[98], 3),
    }


def waits(verdict: Verdict) -> dict[str, Any]:
    danger = sorted(verdict.danger_s) or [0.0]
    return {
        "wait_p50_s": round(statistics.median(verdict.waits_s), 1),
        "wait_most_s": round(max(verdict.waits_s), 1),
        "in_danger": len(verdict.danger_s),
        "danger_p50_s": round(statistics.median(danger), 2),
        "danger_p99_s": round(danger[min(len(danger) - 1, int(len(danger) * 0.99))], 2),
    }


def _highest(samples: Sequence[Sample]) -> Sample:
    """The most of each figure, whenever it was."""
    return Sample(*(max(values) for values in zip(*(asdict(s).values() for s in samples), strict=True)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small backlog and five seconds: no figures to keep")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--picture", type=Path, help="write a PNG")
    asked = parser.parse_args()
    found = overload(*((30, 5.0) if asked.quick else (300, 60.0)))
    print(table(found))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if asked.picture:
        draw(found, asked.picture)
    wrong = sum(found[name] for name in ("lost", "doubled", "disordered", "told_wrongly", "dead"))
    print(f"\nwent wrong: {wrong}; acks p99 {found['ack_p99_s']:.3f} s (goal {ACK_GOAL_S:.0f} s)")
    return 0 if wrong == 0 and found["ack_p99_s"] < ACK_GOAL_S else 1


if __name__ == "__main__":
    raise SystemExit(main())
