"""`make bench-breakdown`: what the road adds around the model, step by step. Run: python -m benchmarks.breakdown

Webhook, Redis, one worker with the bundled model, and the simulated Meta and backend, on the cores that are there.
Patients write one at a time, at most so many a second. Of each reply the steps are read from its trace and from the
audit: both tell the clock of this one machine. The quiet time in which a burst is gathered is left out; the partners'
calls are shown apart, and beside them what the simulator alone takes for the same exchanges, asked by a bare socket.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks.reminders import QUESTIONS, Clinic, clinic, wait_for
from benchmarks.senders import Connection, signed_request
from demo.redis_server import free_port
from shared.identity import message_id
from shared.state import audit
from shared.state.audit import Event, Record
from tests.otlp import Collector, Span

KEY, SECRET = b"demo", b"secret"  # as in the demo, and as in Clinic
GOAL_MS = 30.0
OURS = ("accept", "queue", "drain", "commit", "deliver_queue", "deliver")


@dataclass(frozen=True)
class Steps:
    """Milliseconds of one reply's road."""

    accept: float  # the message is posted -> 200
    queue: float  # the quiet time is over -> the turn is in hand: bell, lease, what is remembered of the patient
    drain: float  # the turn without model and backend: identity, rules, n-grams, decision, audit
    backend: float  # its calls of the appointments backend, as the worker waits for them
    model: float
    commit: float
    deliver_queue: float  # committed -> claimed
    deliver: float  # claimed -> marked as sent, without the POST
    post: float  # the POST to Meta, as the worker waits for it

    @property
    def road(self) -> float:
        """What is ours: without model and partners."""
        return sum(getattr(self, name) for name in OURS)


def steps_of(accept_ms: float, spans: Sequence[Span], records: Sequence[Record], quiet_ms: float) -> Steps:
    """Put one reply's steps together from its trace and its audit (pure).

    Args:
        accept_ms: seen by who posted the message.
        spans: of the message's trace.
        records: of the message and its delivery; times in whole milliseconds.
        quiet_ms: BURST_WAIT_MS.

    Raises:
        KeyError: something of it is missing.
    """
    one = {span.name: span for span in spans}
    at = {record.event: record.at.timestamp() * 1000 for record in records}
    turn, commit, send = one["turn"], one["commit"], one["send"]
    backend = sum(length(span) for span in spans if span.name.startswith("backend"))
    model = length(one["model"]) if "model" in one else 0.0
    return Steps(
        accept=accept_ms,
        queue=turn.start_ns / 1e6 - at[Event.ACCEPTED] - quiet_ms,
        drain=(commit.start_ns - turn.start_ns) / 1e6 - model - backend,
        backend=backend,
        model=model,
        commit=length(commit),
        deliver_queue=at[Event.SENDING] - commit.end_ns / 1e6,
        deliver=at[Event.SENT] - at[Event.SENDING] - length(send),
        post=length(send),
    )


def length(span: Span) -> float:
    """Milliseconds."""
    return (span.end_ns - span.start_ns) / 1e6


def talk(it: Clinic, first: int, count: int, per_second: float) -> tuple[dict[str, float], list[float]]:
    """Patients write, each once and each after the former's reply; `first` numbers the first of them.

    Returns:
        Milliseconds of each message's acceptance by its id of ours, and from writing to reply seen.
    """
    run, line = uuid.uuid4().hex[:8], Connection(it.port)
    accepts: dict[str, float] = {}
    totals: list[float] = []
    for number in tqdm(range(first, first + count), desc="patients write", file=sys.stderr):
        request = signed_request(it.port, SECRET, number, run, 10**7, QUESTIONS[number % len(QUESTIONS)])
        began = time.perf_counter()
        status, took = line.post(request)
        if status != 200:
            raise SystemExit(f"the webhook answered {status}")
        told = it.control("replies", patient=f"5917{number:07d}", timeout=30)
        if not told["messages"]:
            raise SystemExit("no reply within 30 s")
        totals.append((time.perf_counter() - began) * 1000)
        accepts[message_id(KEY, f"wamid.{run}.{number}")] = took * 1000
        time.sleep(max(0.0, began + 1 / per_second - time.perf_counter()))
    line.close()
    return accepts, totals


def simulator_alone(it: Clinic, times: int) -> dict[str, float]:
    """Median milliseconds of the same exchanges with the simulator by a bare socket; nothing else runs meanwhile."""
    port = int(it.world.rpartition(":")[2])
    body = b'{"messaging_product":"whatsapp","to":"59169999998","type":"text","text":{"body":"hola"}}'
    head = f"HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer token\r\nContent-Type: application/json\r\n"
    exchanges = {
        "backend": [
            f"GET /backend/{path} {head}\r\n".encode()
            for path in ("patients/%2B59169999998", "appointments?patient=%2B59169999998")
        ],
        "post": [
            f"POST /v26.0/200000000000002/messages {head}Content-Length: {len(body)}\r\n\r\n".encode() + body,
        ],
    }
    line, found = Connection(port), {}
    for name, requests in exchanges.items():
        found[name] = 1000 * statistics.median(sum(line.post(one)[1] for one in requests) for _ in range(times))
    line.close()
    return found


def measure(count: int, warm_up: int, per_second: float, fsync: str) -> dict[str, Any]:
    """One run; returns the figures that are printed and kept."""
    port = free_port()
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_BSP_SCHEDULE_DELAY": "500"}
    with Collector(port) as collector, clinic(60, fsync, **traces) as it:
        it.control("rules", {"check_wamids": False})  # the simulated Meta has not seen what is posted past it
        it.start_worker()
        talk(it, 0, warm_up, 1000)
        accepts, totals = talk(it, warm_up, count, per_second)
        alone = simulator_alone(it, 50)
        wait_for(lambda: sum(span.name == "send" for span in collector.spans()) == warm_up + count)
        quiet_ms = float(it.environment.get("BURST_WAIT_MS", 800))
        steps = list(read_steps(accepts, collector.spans(), list(audit.read(it.store, "-")), quiet_ms))
    return {
        "replies": len(steps),
        "per_second": per_second,
        "fsync": fsync,
        "quiet_ms": quiet_ms,
        "steps": {f.name: spread([getattr(s, f.name) for s in steps]) for f in fields(Steps)},
        "road": spread([s.road for s in steps]),
        "sum": spread([sum(asdict(s).values()) for s in steps]),
        "seen": spread([total - quiet_ms for total in totals]),
        "simulator_alone": {name: round(value, 2) for name, value in alone.items()},
    }


def read_steps(
    accepts: dict[str, float], spans: Sequence[Span], records: Sequence[Record], quiet_ms: float
) -> Iterable[Steps]:
    """The steps of every message whose reply was sent."""
    traces = {span.attributes["message"]: span.trace for span in spans if span.name == "accept"}
    replies = {r.ids[0]: r.ids[-1] for r in records if r.event == Event.COMMITTED}
    for message, accept_ms in accepts.items():
        mine = [record for record in records if {message, replies[message]}.intersection(record.ids)]
        yield steps_of(accept_ms, [span for span in spans if span.trace == traces[message]], mine, quiet_ms)


def spread(values: Sequence[float]) -> dict[str, float]:
    """p10 (what a step takes when nothing else wants the cores), p50 and p95."""
    tenths, twentieths = statistics.quantiles(values, n=10), statistics.quantiles(values, n=20)
    return {"p10": round(tenths[0], 2), "p50": round(statistics.median(values), 2), "p95": round(twentieths[-1], 2)}


LABELS = {
    "accept": "accept: posted -> 200",
    "queue": "queue: burst over -> turn in hand",
    "drain": "drain: rules, decision, audit",
    "commit": "commit",
    "deliver_queue": "deliver queue: committed -> claimed",
    "deliver": "deliver: claimed -> sent, without POST",
    "backend": "backend, two calls",
    "post": "POST to Meta",
    "model": "model",
}


def table(found: dict[str, Any]) -> str:
    """The figures in Markdown, as they stand in docs/performance.md."""

    def row(name: str, of: dict[str, float]) -> str:
        return f"| {name} | {of['p10']:.1f} | {of['p50']:.1f} | {of['p95']:.1f} |"

    lines = ["| | p10 ms | p50 ms | p95 ms |", "|---|---|---|---|"]
    lines += [row(LABELS[name], found["steps"][name]) for name in OURS]
    lines.append(row("**the road's own sum**", found["road"]))
    alone = found["simulator_alone"]
    for name in ("backend", "post"):
        lines.append(row(f"{LABELS[name]} (the simulator alone: {alone[name]:.1f})", found["steps"][name]))
    lines.append(row(LABELS["model"], found["steps"]["model"]))
    lines.append(row("all of it", found["sum"]))
    lines.append(row("written to reply seen, less the quiet time", found["seen"]))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replies", type=int, default=100)
    parser.add_argument("--per-second", type=float, default=1.0)
    parser.add_argument("--fsync", choices=["always", "everysec", "no"], default="always", help="as in compose.yaml")
    parser.add_argument("--quick", action="store_true", help="15 replies")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    asked = parser.parse_args()
    found = measure(15 if asked.quick else asked.replies, 5, asked.per_second, asked.fsync)
    print(f"{found['replies']} replies, one at a time, Redis appendfsync {asked.fsync}\n\n{table(found)}")
    if asked.out:
        asked.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    good = bool(found["road"]["p50"] <= GOAL_MS)
    print(f"\nthe road adds {found['road']['p50']:.1f} ms (p50), goal {GOAL_MS:.0f}: {'met' if good else 'NOT MET'}")
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
