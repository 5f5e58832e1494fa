"""Danger messages are posted, and what became of their fixed replies is read from the simulated Graph API."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.danger.stage import Stage
from workers.safety.danger import find_danger
from workers.triage import delivery_id

SIGNS = Path("tests/workers/safety/data/danger.jsonl")
PATIENCE_S = 60.0


@dataclass
class Result:
    """One condition."""

    name: str
    seconds: list[float]
    missing: int
    doubled: int
    standing: int  # patients whose turn waited when the last danger message was posted

    def percentile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else float("nan")


def danger_texts() -> list[str]:
    """Words in which patients told of danger, those of the reviewed examples that our rules find."""
    rows = [json.loads(line) for line in SIGNS.read_text(encoding="utf-8").splitlines()]
    return [row["text"] for row in rows if row["danger"] and find_danger(row["text"])]


@dataclass
class Posted:
    """Danger messages: id of the fixed reply -> when the message was posted."""

    at: dict[str, float] = field(default_factory=dict)


def post_danger(
    stage: Stage, count: int, per_second: float, patients: Sequence[int] = (), until: Callable[[], bool] | None = None
) -> Posted:
    """Post danger messages at a steady rate, each by a new patient, or by these in turns; `until` ends it sooner."""
    posted, words = Posted(), danger_texts()

    def one(number: int) -> tuple[str, float]:
        patient = patients[number % len(patients)] if patients else stage.new_patient()
        return stage.post(patient, words[number * 7 % len(words)])

    began, pending = time.monotonic(), []
    with ThreadPoolExecutor(4) as pool:
        for number in range(count):
            time.sleep(max(0.0, began + number / per_second - time.monotonic()))
            if until is not None and until():
                break
            pending.append(pool.submit(one, number))
    posted.at.update((delivery_id(id_, "danger"), at) for id_, at in (done.result() for done in pending))
    return posted


def await_sent(stage: Stage, ids: Sequence[str]) -> None:
    """Until all of these replies are noted as sent, or patience ends."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with stage.store.pipeline(transaction=False) as pipe:
            for id_ in ids:
                pipe.hget(f"delivery:{id_}", "state")
            if pipe.execute().count("sent") == len(ids):
                return
        time.sleep(0.2)


def judge(stage: Stage, name: str, posted: Posted, standing: int) -> Result:
    """Wait for the fixed replies, and read from the simulated Graph API when it accepted each."""
    ids = list(posted.at)
    await_sent(stage, ids)
    accepted: dict[str, list[float]] = {id_: [] for id_ in ids}
    for message in stage.control("messages", direction="to_patient", limit=20_000)["messages"]:
        if message["delivery_id"] in accepted:
            accepted[message["delivery_id"]].append(datetime.fromisoformat(message["at"]).timestamp())
    seconds = [min(times) - posted.at[id_] for id_, times in accepted.items() if times]
    doubled = sum(len(times) - 1 for times in accepted.values() if times)
    return Result(name, seconds, len(ids) - len(seconds), doubled, standing)


def waiting(stage: Stage) -> int:
    return int(stage.store.zcard("waiting"))
