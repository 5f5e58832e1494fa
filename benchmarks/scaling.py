"""`make bench-scaling`: replies a second with one and two workers, and how long turns wait as load grows past capacity.

1. A backlog: very many patients write at once; replies a second while it is drained, by number of worker processes and
   of model threads in each, in turns; medians.
2. Load of 0.5 to 2 times that capacity for some time, then silence until everybody is answered: from the end of a
   burst to a worker taking the turn. Everything is counted: what was refused at the door, what was answered without
   the model because its queue was full, what was never answered.
Redis, webhook, simulated Meta and senders share the same cores: capacity is that of the whole, not of a worker alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.capacity.measure import add_workers
from benchmarks.reminders import QUESTIONS, SENT, Clinic, clinic
from benchmarks.senders import Connection, signed_request
from shared.identity import message_id
from shared.state import audit
from shared.state.audit import Event, Record

KEY, SECRET = b"demo", b"secret"  # as in the demo, and as in Clinic
QUIET_MS = 800.0
SENDERS = 8
PATIENCE_S = 300.0  # for the last reply of a step


@dataclass(frozen=True)
class Layout:
    """How the two cores are used."""

    workers: int
    threads: int  # of the model, in each

    @property
    def name(self) -> str:
        return f"{self.workers} x {self.threads} thread" + ("s" if self.threads > 1 else "")


LAYOUTS = (Layout(1, 1), Layout(1, 2), Layout(2, 1))


@dataclass(frozen=True)
class Amount:
    rounds: int = 3
    backlog: int = 400
    shares: tuple[float, ...] = (0.5, 0.8, 1.0, 1.5, 2.0)
    seconds: float = 60.0  # of each share


QUICK = Amount(rounds=1, backlog=24, shares=(0.5, 2.0), seconds=5.0)


@dataclass
class Story:
    """What became of one message, milliseconds since 1970; None: it has not happened."""

    accepted: float | None = None
    taken: float | None = None
    sent: float | None = None

    def wait_ms(self) -> float:
        """From the end of the burst to a worker taking the turn."""
        if self.accepted is None or self.taken is None:
            raise ValueError("not taken")
        return max(0.0, self.taken - self.accepted - QUIET_MS)


@dataclass
class Talk:
    """Messages that were posted: their ids, and what the webhook answered."""

    ids: list[str] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    deepest: int = 0  # patients that waited at once


def write(it: Clinic, count: int, per_second: float | None = None) -> Talk:
    """So many new patients write one message each, all at once or at a steady rate."""
    run, talk, local = uuid.uuid4().hex[:8], Talk(), threading.local()
    began, base = time.perf_counter(), int(time.time() * 10) % 10**6 * 10

    def post(number: int) -> int:
        if not hasattr(local, "line"):
            local.line = Connection(it.port)
        text = QUESTIONS[number % len(QUESTIONS)]
        return int(local.line.post(signed_request(it.port, SECRET, base + number, run, 10**7, text))[0])

    with ThreadPoolExecutor(SENDERS) as pool:
        pending = []
        for number in range(count):
            if per_second:
                time.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            pending.append(pool.submit(post, number))
            talk.ids.append(message_id(KEY, f"wamid.{run}.{base + number}"))
            if number % 8 == 0:
                talk.deepest = max(talk.deepest, it.store.zcard("waiting"))
        talk.statuses.update(one.result() for one in pending)
    return talk


def sent_so_far(it: Clinic) -> int:
    return sum(int(value or 0) for value in it.store.hmget("metrics", SENT))


def await_replies(it: Clinic, talk: Talk, before: int, what: str) -> None:
    """Until every accepted message is answered, or patience ends."""
    wanted, deadline = talk.statuses[200], time.monotonic() + PATIENCE_S
    with tqdm(total=wanted, desc=what, file=sys.stderr) as bar:
        while bar.n < wanted and time.monotonic() < deadline:
            bar.update(sent_so_far(it) - before - bar.n)
            talk.deepest = max(talk.deepest, it.store.zcard("waiting"))
            time.sleep(0.25)


def stories(records: Sequence[Record], ids: Sequence[str]) -> dict[str, Story]:
    """Fold the audit into one story per message (pure)."""
    found = {one: Story() for one in ids}
    of_delivery: dict[str, str] = {}
    for record in records:
        at = record.at.timestamp() * 1000
        for one in record.ids:
            story = found.get(of_delivery.get(one, one))
            if story is None:
                continue
            if record.event == Event.ACCEPTED:
                story.accepted = at
            elif record.event == Event.DRAINED:
                story.taken = story.taken or at
            elif record.event == Event.COMMITTED:
                of_delivery |= {reply: one for reply in record.ids if reply.startswith("d_") and one in found}
            elif record.event == Event.SENT:
                story.sent = at
    return found


def drain_rate(told: Sequence[Story]) -> float:
    """Replies a second while the backlog was drained: the first and the last tenth are left out (pure)."""
    times = sorted(story.sent for story in told if story.sent is not None)
    edge = max(1, len(times) // 10)
    middle = times[edge:-edge]
    return 1000 * (len(middle) - 1) / (middle[-1] - middle[0])


def backlog(layout: Layout, count: int) -> float:
    """Replies a second of one layout."""
    with clinic(60, "always", MODEL_THREADS=str(layout.threads)) as it:
        get_ready(it, layout)
        before = sent_so_far(it)
        talk = write(it, count)
        await_replies(it, talk, before, layout.name)
        return drain_rate(list(stories(list(audit.read(it.store, "-")), talk.ids).values()))


def get_ready(it: Clinic, layout: Layout) -> None:
    it.control("rules", {"check_wamids": False})  # the simulated Meta has not seen what is posted past it
    add_workers(it, layout.workers)
    before = sent_so_far(it)
    await_replies(it, write(it, 4 * layout.workers), before, "warming up")


def step(it: Clinic, capacity: float, share: float, seconds: float) -> dict[str, Any]:
    """One load for some time, then silence until everybody is answered."""
    before, figures = sent_so_far(it), it.store.hgetall("metrics")
    talk = write(it, max(2, round(capacity * share * seconds)), capacity * share)
    await_replies(it, talk, before, f"{share} x capacity")
    time.sleep(1.5)  # workers write their figures each second
    after = it.store.hgetall("metrics")

    def grown(name: str) -> int:
        return int(after.get(name, 0)) - int(figures.get(name, 0))

    told = stories(list(audit.read(it.store, "-")), talk.ids)
    waits = sorted(story.wait_ms() / 1000 for story in told.values() if story.taken is not None)
    accepted = talk.statuses[200]
    answered = sum(story.sent is not None for story in told.values())
    return {
        "share": share,
        "offered_per_s": round(capacity * share, 2),
        "messages": len(talk.ids),
        "wait_p50_s": round(statistics.median(waits), 3),
        "wait_p95_s": round(statistics.quantiles(waits, n=20)[-1], 3),
        "wait_most_s": round(waits[-1], 3),
        "deepest": talk.deepest,
        "not_200": len(talk.ids) - accepted,
        "model_full": grown("model_skipped_total|cause=EngineBusy"),
        "never_answered": accepted - answered,
        "dead": it.store.llen("dead"),
    }


def measure(amount: Amount) -> dict[str, Any]:
    rates: dict[str, list[float]] = {layout.name: [] for layout in LAYOUTS}
    for _ in range(amount.rounds):
        for layout in LAYOUTS:
            rates[layout.name].append(backlog(layout, amount.backlog))
    medians = {name: round(statistics.median(found), 2) for name, found in rates.items()}
    two = LAYOUTS[-1]
    with clinic(60, "always", MODEL_THREADS=str(two.threads)) as it:
        get_ready(it, two)
        steps = [step(it, medians[two.name], share, amount.seconds) for share in amount.shares]
    return {
        "backlog": amount.backlog,
        "seconds": amount.seconds,
        "replies_per_s": medians,
        "rates": rates,
        "load": steps,
    }


def table(found: dict[str, Any]) -> str:
    """The figures in Markdown, as they stand in docs/performance.md."""
    lines = ["| worker processes x model threads | replies a second |", "|---|---|"]
    lines += [f"| {name} | {rate:.1f} |" for name, rate in found["replies_per_s"].items()]
    lines += [
        "",
        f"| load, of capacity ({LAYOUTS[-1].name}) | messages | turn waits p50 / p95 / most, s "
        "| patients waiting at once | not 200 | answered without the model: full | never answered |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {s['share']:.1f} ({s['offered_per_s']:.1f} a second) | {s['messages']} | {s['wait_p50_s']:.2f} / "
        f"{s['wait_p95_s']:.2f} / {s['wait_most_s']:.2f} | {s['deepest']} | {s['not_200']} | {s['model_full']} "
        f"| {s['never_answered']} |"
        for s in found["load"]
    ]
    return "\n".join(lines)


def draw(found: dict[str, Any], path: Path) -> None:
    """Write a PNG: replies a second by layout, and how long turns wait by load."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4), width_ratios=(2, 3))
    names = list(found["replies_per_s"])
    left.bar(names, list(found["replies_per_s"].values()), color="tab:blue", width=0.6)
    left.set_xlabel("worker processes x model threads")
    left.set_ylabel("replies a second")
    shares = [s["share"] for s in found["load"]]
    for key, label, style in (("most", "longest", ":"), ("p95", "p95", "--"), ("p50", "p50", "-")):
        right.plot(shares, [s[f"wait_{key}_s"] for s in found["load"]], style, marker="o", label=label)
    right.set_xlabel(f"load, in times of capacity, for {found['seconds']:.0f} s")
    right.set_ylabel("seconds a turn waits")
    right.legend()
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=100)
    pyplot.close(figure)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a small backlog and two short loads: no figures to keep")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    parser.add_argument("--picture", type=Path, help="write a PNG")
    asked = parser.parse_args()
    found = measure(QUICK if asked.quick else Amount())
    print(table(found))
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if asked.picture:
        draw(found, asked.picture)
    lost = sum(s["never_answered"] + s["dead"] for s in found["load"])
    print(f"\nmessages accepted and never answered: {lost}")
    return 0 if lost == 0 else 1


if __name__ == "__main__":
    raise SystemExit(main())
