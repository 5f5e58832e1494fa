"""`make bench-danger`: how soon a danger message gets its fixed reply while everything else hangs, loads or queues.

Real processes: webhook, two workers with the bundled model, Redis as durable as in compose.yaml, the simulator as Meta
and backend. For each condition danger messages in varied words are posted at a steady rate, each by another patient;
measured from the POST of the webhook until the simulated Graph API accepted the fixed reply. Beside them other
patients ask, so that turns hang and queue. tests/processes/test_danger_in_time.py runs the same, shorter.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from benchmarks.reminders import QUESTIONS
from benchmarks.scaling import drain_rate, stories
from benchmarks.senders import Connection, signed_request
from demo import processes
from demo.processes import Process
from shared.identity import message_id
from shared.settings import BUNDLED_MODEL
from shared.state import audit
from tests.processes.system import APP_SECRET, PATIENT_ID_KEY, System
from workers.safety.danger import find_danger
from workers.triage import delivery_id

SIGNS = Path("tests/workers/safety/data/danger.jsonl")
GOAL_S = 2.0
PATIENCE_S = 60.0
HUNG_S = 600  # longer than any condition


@dataclass(frozen=True)
class Amount:
    """How much of each condition."""

    messages: int = 240
    per_second: float = 4.0
    asking_per_second: float = 6.0  # other patients, where the condition names no load of its own
    backlog: int = 150  # to learn the capacity
    queue_s: float = 10.0  # at twice the capacity, before the first danger message
    workers: int = 2


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


class Stage(System):
    """A system whose workers' model and whose backend can be told to hang."""

    def __init__(self, folder: Path, workers: int, **settings: str) -> None:
        self.names = [f"worker-{number + 1}" for number in range(workers)]
        self.model_fault = folder / "model_fault"
        super().__init__(
            folder,
            MODEL_NAME=str(BUNDLED_MODEL),
            MODEL_THREADS="1",
            CHAOS_MODEL_FAULT=str(self.model_fault),
            BURST_WAIT_MS="800",
            LEASE_S="10",
            SETTLE_S="30",
            LOG_LEVEL="WARNING",
            RATE_LIMIT_PER_MINUTE=settings.pop("RATE_LIMIT_PER_MINUTE", "20"),
            **settings,
        )
        self.redis_server.stop()
        self.redis_server.fsync = "always"
        self.redis_server.start()
        self.workers: list[Process] = []
        self.run = uuid.uuid4().hex[:8]
        self._last_number = int(time.time()) % 10**5 * 10
        self._lock = threading.Lock()
        self._local = threading.local()  # a connection to the webhook for each thread
        self._lines: list[Connection] = []

    def start_workers(self, *, ready: bool = True) -> None:
        """Start them; with `ready` wait until all have their model, else until all beat."""
        known = set(self.store.zrange("workers", 0, -1))
        for name in self.names:
            process = processes.worker(self.environment, self.folder, name)
            process.arguments = ["tests.chaos.worker" if a == "workers.app" else a for a in process.arguments]
            self.workers.append(self.start(process))
        self.wait_for(lambda: len(set(self.store.zrange("workers", 0, -1)) - known) >= len(self.names), 180)
        if ready:
            self.wait_for(lambda: self.ready_workers() >= len(self.names), 180)

    def kill_workers(self) -> None:
        for process in self.workers:
            process.kill()
            self.running.remove(process)
        for name in self.store.zrange("workers", 0, -1):
            self.store.delete(f"worker:{name}")
        self.workers.clear()

    def ready_workers(self) -> int:
        told = (str(self.store.get(f"worker:{name}")) for name in self.store.zrange("workers", 0, -1))
        return sum('"ready"' in one for one in told)

    def stop(self) -> None:
        self.kill_workers()  # one whose model hangs would finish what it has in hand
        for line in self._lines:
            line.close()
        super().stop()

    def new_patient(self) -> int:
        with self._lock:
            self._last_number += 1
            return self._last_number

    def post(self, patient: int, text: str) -> tuple[str, float]:
        """One message by the number of its patient; returns its id and when it was posted (seconds since 1970)."""
        if not hasattr(self._local, "line"):
            self._local.line = Connection(self.port)
            self._lines.append(self._local.line)
        run = f"{self.run}.{uuid.uuid4().hex[:8]}"
        request = signed_request(self.port, APP_SECRET.encode(), patient, run, 10**7, text)
        posted = time.time()
        status, _ = self._local.line.post(request)
        if status != 200:
            raise SystemExit(f"the webhook answered {status}")
        return message_id(PATIENT_ID_KEY.encode(), f"wamid.{run}.{patient}"), posted

    @contextlib.contextmanager
    def asking(self, per_second: float) -> Iterator[list[str]]:
        """Other patients ask, each once, until the block ends; gives the ids of their messages as they grow."""
        stop, ids = threading.Event(), list[str]()

        def ask() -> None:
            began, count = time.monotonic(), 0
            while not stop.wait(max(0.0, began + count / per_second - time.monotonic())):
                ids.append(self.post(self.new_patient(), QUESTIONS[count % len(QUESTIONS)])[0])
                count += 1

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield ids
        finally:
            stop.set()
            thread.join()


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


# The conditions. Each gets a stage with its workers ready, and returns what became of its danger messages.


def calm(stage: Stage, amount: Amount) -> Result:
    posted = post_danger(stage, amount.messages, amount.per_second)
    return judge(stage, "nothing else", posted, waiting(stage))


def backend_hangs(stage: Stage, amount: Amount) -> Result:
    """No call of it is answered, also those that tell staff of the danger."""
    stage.control("faults", {"target": "backend", "delay_s": HUNG_S, "times": 0})
    with stage.asking(amount.asking_per_second):
        time.sleep(3)
        posted = post_danger(stage, amount.messages, amount.per_second)
        standing = waiting(stage)
        return judge(stage, "the backend hangs, alerts to staff too", posted, standing)


def model_hangs(stage: Stage, amount: Amount) -> Result:
    stage.model_fault.write_text("hang", encoding="utf-8")
    with stage.asking(amount.asking_per_second):
        time.sleep(3)
        posted = post_danger(stage, amount.messages, amount.per_second)
        return judge(stage, "the model hangs", posted, waiting(stage))


def model_loads(stage: Stage, amount: Amount) -> Result:
    """All workers are killed and started again and again; danger comes while none has its model."""
    posted, standing = Posted(), 0
    with stage.asking(amount.asking_per_second):
        while len(posted.at) < amount.messages:
            stage.kill_workers()
            stage.start_workers(ready=False)
            left = amount.messages - len(posted.at)
            now = post_danger(stage, left, amount.per_second * 2, until=lambda: stage.ready_workers() > 0)
            posted.at.update(now.at)
            await_sent(stage, list(now.at))  # killing a worker in the middle of a send is another matter
            standing = waiting(stage)
        return judge(stage, "the model loads", posted, standing)


def over_the_limit(stage: Stage, amount: Amount) -> Result:
    """One message a minute is allowed: these patients wrote two just before, and five of danger each."""
    patients = [stage.new_patient() for _ in range(max(1, amount.messages // 5))]
    for text in QUESTIONS[:2]:
        for patient in patients:
            stage.post(patient, text)
    posted = post_danger(stage, amount.messages, amount.per_second, patients)
    return judge(stage, "the patient is over the rate limit", posted, waiting(stage))


def capacity(stage: Stage, count: int) -> float:
    """Replies a second of this stage: very many ask at once, and the middle of the draining is looked at."""
    with ThreadPoolExecutor(4) as pool:
        ids = [id_ for id_, _ in pool.map(lambda n: stage.post(stage.new_patient(), QUESTIONS[n % 5]), range(count))]
    stage.wait_for(stage.everything_is_answered, 300)
    return drain_rate(list(stories(list(audit.read(stage.store, "-")), ids).values()))


def queue_stands(stage: Stage, amount: Amount) -> Result:
    """Twice as many ask as can be answered, since some time already."""
    rate = capacity(stage, amount.backlog)
    with stage.asking(2 * rate):
        time.sleep(amount.queue_s)
        posted = post_danger(stage, amount.messages, amount.per_second)
        standing = waiting(stage)
        return judge(stage, f"a queue at 2 x capacity ({rate:.0f} replies a second)", posted, standing)


def all_at_once(stage: Stage, amount: Amount) -> Result:
    """The backend and the model hang, a queue stands, and who writes of danger is over the limit."""
    stage.control("faults", {"target": "backend", "delay_s": HUNG_S, "times": 0})
    stage.model_fault.write_text("hang", encoding="utf-8")
    patients = [stage.new_patient() for _ in range(max(1, amount.messages // 5))]
    with stage.asking(4 * amount.asking_per_second):
        time.sleep(amount.queue_s)
        for text in QUESTIONS[:2]:
            for patient in patients:
                stage.post(patient, text)
        posted = post_danger(stage, amount.messages, amount.per_second, patients)
        return judge(stage, "all at once", posted, waiting(stage))


@dataclass(frozen=True)
class Condition:
    run: Callable[[Stage, Amount], Result]
    settings: dict[str, str] = field(default_factory=dict)


_ONE_A_MINUTE = {"RATE_LIMIT_PER_MINUTE": "1"}
CONDITIONS: dict[str, Condition] = {
    "calm": Condition(calm),
    "backend": Condition(backend_hangs),
    "model": Condition(model_hangs),
    "loading": Condition(model_loads),
    "limit": Condition(over_the_limit, _ONE_A_MINUTE),
    "queue": Condition(queue_stands),
    "all": Condition(all_at_once, _ONE_A_MINUTE),
}


def measure(name: str, amount: Amount, folder: Path) -> Result:
    """One condition on processes of its own."""
    condition = CONDITIONS[name]
    stage = Stage(folder, amount.workers, **condition.settings)
    try:
        stage.start_world()
        stage.control("rules", {"check_wamids": False})
        stage.start_webhook()
        stage.start_workers()
        return condition.run(stage, amount)
    finally:
        stage.stop()


def table(results: Sequence[Result]) -> str:
    """In Markdown, as it stands in docs/performance.md."""
    lines = ["| while | danger messages | p50, p95, p99, most, s | missing | doubled | others waiting |"]
    lines += ["|---|---|---|---|---|---|"]
    for it in results:
        p50, p95, p99 = (it.percentile(share) for share in (0.5, 0.95, 0.99))
        lines.append(
            f"| {it.name} | {len(it.seconds) + it.missing} | {p50:.3f}, {p95:.3f}, **{p99:.3f}**, "
            f"{max(it.seconds, default=float('nan')):.3f} | {it.missing} | {it.doubled} | {it.standing} |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "only", nargs="*", metavar="CONDITION", help=f"of {', '.join(CONDITIONS)}; all of them unless named"
    )
    parser.add_argument("--messages", type=int, default=Amount.messages, help="danger messages of each condition")
    parser.add_argument("--per-second", type=float, default=Amount.per_second)
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    asked = parser.parse_args()
    if unknown := set(asked.only) - set(CONDITIONS):
        parser.error(f"no such condition: {', '.join(sorted(unknown))}")
    results: list[Result] = []
    for name in asked.only or CONDITIONS:
        with tempfile.TemporaryDirectory(prefix="bench-danger-") as folder:
            results.append(measure(name, Amount(asked.messages, asked.per_second), Path(folder)))
        print(table(results[-1:]), file=sys.stderr)
    print(table(results))
    if asked.out:
        rows = [
            {"while": it.name, "missing": it.missing, "doubled": it.doubled, "seconds": it.seconds} for it in results
        ]
        asked.out.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    late = [it.name for it in results if it.missing or it.percentile(0.99) > GOAL_S]
    print(f"\nover {GOAL_S:g} s at p99, or missing: {', '.join(late) or 'none'}")
    return 1 if late else 0


if __name__ == "__main__":
    raise SystemExit(main())
