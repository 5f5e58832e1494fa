"""`make bench-reminders`: ten thousand visits to remind, and what that costs replies.

1. As fast as the machine allows, against a simulated Meta that refuses more than 80 messages a second and enforces
   the pair rate: codes refused, visits reminded once, growth of the worker's memory.
2. At the hour's pace (10,000 in an hour): seconds from a message to its reply, with reminders and without, in turns.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import redis
import requests
from tqdm import tqdm

from demo import processes
from demo.processes import Process
from demo.redis_server import RedisServer, free_port
from shared.celery_app import QUEUE_OF_TASK, Role, TaskName, create_celery
from shared.settings import Settings

CONSENT = {"date": "2026-10-01", "source": "formulario"}
SENT = ["sends_total|outcome=sent", "settled_by_status_total"]  # the status of Meta may overtake the answer to the send
QUESTIONS = ("¿qué es la tuberculosis?", "hola", "¿cuándo es mi cita?", "a qué hora atienden", "gracias")


class Clinic:
    """Redis, simulator, webhook and worker of one benchmark."""

    def __init__(self, folder: Path, spread_minutes: float, fsync: str = "everysec", **settings: str) -> None:
        self.redis = RedisServer(folder / "redis", fsync=fsync).start()
        self.store = redis.Redis.from_url(self.redis.url, decode_responses=True)
        port, world_port = free_port(), free_port()
        self.world = f"http://127.0.0.1:{world_port}"
        self.session = requests.Session()
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=16))
        environment = {
            "DEMO": "true",
            "PORT": str(port),
            "REDIS_URL": self.redis.url,
            "SIMULATOR_PORT": str(world_port),
            "SIMULATOR_DB": str(folder / "agenda.db"),
            "WEBHOOK_URL": f"http://127.0.0.1:{port}/webhook/whatsapp",
            "WHATSAPP_API_URL": self.world,
            "WHATSAPP_ACCESS_TOKEN": "token",
            "WHATSAPP_PHONE_NUMBER_ID": "200000000000002",
            "WHATSAPP_APP_SECRET": "secret",
            "SEGUIMIENTO_SERVICE_URL": f"{self.world}/backend",
            "QUIET_HOURS": "0-0",
            "UNIQUE_USERS_PER_DAY": "1000000",
            "REMINDER_SPREAD_MINUTES": str(spread_minutes),
            "CANARY_MINUTES": "0",
            "LOG_LEVEL": "WARNING",
            **settings,
        }
        self.port = port
        self.environment, self.folder = environment, folder
        self.worker = processes.worker(environment, folder)
        self.running: list[Process] = [processes.simulator(environment, folder), processes.webhook(environment, folder)]
        for process in self.running:
            process.start()
        wait_for(lambda: self.session.get(f"{self.world}/control/summary", timeout=2).ok)
        wait_for(lambda: requests.get(f"http://127.0.0.1:{port}/health/live", timeout=2).ok)

    def control(self, route: str, body: Any = None, **query: Any) -> Any:
        method = "GET" if body is None else "POST"
        answer = self.session.request(method, f"{self.world}/control/{route}", json=body, params=query, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def book(self, count: int) -> None:
        """So many patients who agreed, each with one visit a day ahead."""
        start = dt.datetime.now(dt.UTC).replace(microsecond=0) + dt.timedelta(hours=24, minutes=10)

        def one(number: int) -> None:
            phone = f"+5917{number:07}"
            self.control("agenda/patients", {"phone": phone, "name": f"Paciente {number}", "whatsapp_consent": CONSENT})
            self.control("agenda", {"phone": phone, "datetime": start.isoformat(), "name": f"Paciente {number}"})

        with ThreadPoolExecutor(8) as pool:
            list(tqdm(pool.map(one, range(count)), total=count, desc="booking visits", file=sys.stderr))

    def start_worker(self) -> None:
        self.running.append(self.worker.start())
        wait_for(lambda: self.worker_is("ready"), 180)

    def worker_is(self, model_state: str) -> bool:
        return any(model_state in str(self.store.get(f"worker:{n}")) for n in self.store.zrange("workers", 0, -1))

    def remind(self) -> None:
        settings = Settings(_env_file=None, DEMO=True, REDIS_URL=self.redis.url)
        with create_celery(settings, Role.BEAT) as celery:
            celery.send_task(TaskName.REMIND.value, queue=QUEUE_OF_TASK[TaskName.REMIND].value)

    def memory_mb(self, what: str = "VmRSS") -> float:
        """Of the worker: VmRSS now, VmHWM the highest since it started or was reset."""
        status = Path(f"/proc/{self.worker.pid}/status").read_text(encoding="ascii")
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(what))) / 1024

    def codes(self) -> Counter[Any]:
        """What the simulated Meta answered to template sends, by code; None is accepted."""
        found: Counter[Any] = Counter()
        after = 0
        while True:
            calls = self.control("calls", after=after, limit=5000)["calls"]
            if not calls:
                return found
            found.update(call["code"] for call in calls if call["kind"] == "template")
            after = calls[-1]["seq"]

    def ask(self, patient: str, question: str) -> float:
        """One patient writes and waits; returns the seconds until the reply."""
        began = time.perf_counter()
        sent = self.control("messages", {"patient": patient, "text": question})["messages"][0]
        told = self.control("replies", patient=patient, after=sent["seq"], timeout=30)
        if not told["messages"]:
            raise SystemExit(f"no reply to {patient} within 30 s")
        return time.perf_counter() - began

    def stop(self) -> None:
        processes.stop_all(self.running, 20)
        self.store.close()
        self.redis.stop()


def wait_for(condition: Any, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if condition():
                return
        time.sleep(0.1)
    raise SystemExit("the system did not get ready; look at its logs")


@contextlib.contextmanager
def clinic(spread_minutes: float, fsync: str = "everysec", **settings: str) -> Iterator[Clinic]:
    """A system for one measurement; `settings` go to all its processes."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        built = Clinic(Path(name), spread_minutes, fsync, **settings)
        try:
            yield built
        finally:
            built.stop()


def fastest(count: int) -> bool:
    """All at once; True when nothing was refused, each visit was reminded once and memory stayed bounded."""
    with clinic(0) as it:
        it.book(count)
        it.control("rules", {"throughput": True, "pair_rate": True, "window": "strict", "read_after_ms": 600_000})
        it.start_worker()
        time.sleep(5)  # the model's loading leaves garbage: what is measured is the reminders' own growth
        before = it.memory_mb()
        Path(f"/proc/{it.worker.pid}/clear_refs").write_text("5", encoding="ascii")  # VmHWM begins anew
        began = time.perf_counter()
        it.remind()
        with tqdm(total=count, desc="reminding", file=sys.stderr) as bar:
            last = time.perf_counter()
            while bar.n < count and time.perf_counter() - last < 120:
                sent = sum(int(v or 0) for v in it.store.hmget("metrics", SENT))
                if sent > bar.n:
                    bar.update(sent - bar.n)
                    last = time.perf_counter()
                time.sleep(0.5)
        took = time.perf_counter() - began
        peak = it.memory_mb("VmHWM")
        codes = it.codes()
        people = Counter(m["patient"] for m in _templates(it))
        twice = sum(n > 1 for n in people.values())
        print(f"\n{count} visits at the fastest pace: {took:.0f} s, {count / took:.1f} reminders a second")
        print(
            f"accepted {codes[None]}, refused 130429: {codes[130429]}, 131056: {codes[131056]}, others: "
            f"{ {c: n for c, n in codes.items() if c not in (None, 130429, 131056)} }"
        )
        print(f"patients reminded {len(people)}, twice {twice}, on the call list {it.store.hlen('calls')}")
        print(f"worker memory before {before:.0f} MB, peak {peak:.0f} MB: growth {peak - before:.0f} MB (goal 50)")
        return not codes[130429] and not codes[131056] and not twice and len(people) == count and peak - before <= 50


def _templates(it: Clinic) -> Iterator[dict[str, Any]]:
    after = 0
    while True:
        found = it.control("messages", direction="to_patient", after=after, limit=5000)["messages"]
        if not found:
            return
        yield from (message for message in found if message["body"]["type"] == "template")
        after = found[-1]["seq"]


def beside_replies(count: int, minutes: float, per_second: float) -> bool:
    """Replies without reminders, with them at the hour's pace, and without again."""
    with clinic(60) as it:
        it.book(count)
        it.start_worker()
        half = minutes * 60 / 4
        waits = {"without": _talk(it, half, per_second, "without reminders")}
        it.remind()
        wait_for(lambda: it.store.zcard("reminders") > count / 2)
        began, before = time.perf_counter(), it.store.hget("metrics", "sends_total|outcome=sent")
        waits["with"] = _talk(it, minutes * 60, per_second, "with reminders")
        sent = int(it.store.hget("metrics", "sends_total|outcome=sent") or 0) - int(before or 0) - len(waits["with"])
        pace = sent / (time.perf_counter() - began)
        it.store.delete("reminders")  # the rest of the hour is not waited for
        waits["without"] += _talk(it, half, per_second, "without reminders")
    p50 = {name: statistics.median(found) for name, found in waits.items()}
    p95 = {name: statistics.quantiles(found, n=20)[-1] for name, found in waits.items()}
    print(
        f"\n{per_second} messages a second from patients, {minutes:.0f} min with reminders at {pace:.1f} a second, "
        "half as long without (before and after); seconds from writing to reply, 0.8 s of quiet time included"
    )
    for name, found in waits.items():
        print(f"{name:<8} p50 {p50[name]:.3f}  p95 {p95[name]:.3f}  ({len(found)} replies)")
    ratio50, ratio95 = p50["with"] / p50["without"], p95["with"] / p95["without"]
    print(f"ratio    p50 {ratio50:.2f}  p95 {ratio95:.2f}  (goal 1.5)")
    return ratio50 <= 1.5 and ratio95 <= 1.5


def _talk(it: Clinic, seconds: float, per_second: float, what: str) -> list[float]:
    """Patients write at a steady rate; returns how long each waited."""
    waits: list[float] = []
    count = int(seconds * per_second)
    began = time.perf_counter()
    with ThreadPoolExecutor(32) as pool, tqdm(total=count, desc=what, file=sys.stderr) as bar:
        pending = []
        for number in range(count):
            time.sleep(max(0.0, began + number / per_second - time.perf_counter()))
            patient = f"+5916{int(began) % 1000:03}{number:04}"
            pending.append(pool.submit(it.ask, patient, QUESTIONS[number % len(QUESTIONS)]))
            bar.update()
        waits += [one.result() for one in pending]
    return waits


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--per-second", type=float, default=1.0)
    parser.add_argument("--part", choices=["fastest", "beside", "both"], default="both")
    asked = parser.parse_args()
    good = True
    if asked.part in ("fastest", "both"):
        good &= fastest(asked.visits)
    if asked.part in ("beside", "both"):
        good &= beside_replies(asked.visits, asked.minutes, asked.per_second)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
