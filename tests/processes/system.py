"""The whole system as real processes on free ports, with the simulator as the world and as judge."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis
import requests

from demo import processes
from demo.processes import Process
from demo.redis_server import RedisServer, free_port
from shared.settings import Settings
from shared.state import store
from tests.brokers.sentinel import SentinelGroup

PATIENT_ID_KEY = "test-key"
APP_SECRET = "test-app-secret"
PHONE_NUMBER_ID = "200000000000002"
UNFINISHED = ("waiting", "outgoing", "fresh", "reminders", "inbox", "outbox", "lease", "delay", "dead", "calls")
NO_MODEL = "/nonexistent"  # the worker then answers from rules and cards, and starts in a second


class System:
    """Starts what a test asks for and stops all of it at the end."""

    def __init__(self, folder: Path, redis_server: RedisServer | SentinelGroup | None = None, **settings: str) -> None:
        """`redis_server`: started here and stopped at the end; a Redis of its own if none is given."""
        self.folder = folder
        self.redis_server = (redis_server or RedisServer(folder / "redis")).start()
        self.store: redis.Redis = store.connect(Settings(_env_file=None, DEMO=True, REDIS_URL=self.redis_server.url))
        self.port, self.world_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.world = f"http://127.0.0.1:{self.world_port}"
        self.environment = {
            "DEMO": "true",
            "PORT": str(self.port),
            "REDIS_URL": self.redis_server.url,
            "SIMULATOR_PORT": str(self.world_port),
            "WEBHOOK_URL": f"{self.url}/webhook/whatsapp",
            "WHATSAPP_API_URL": self.world,
            "WHATSAPP_ACCESS_TOKEN": "test-token",
            "WHATSAPP_PHONE_NUMBER_ID": PHONE_NUMBER_ID,
            "WHATSAPP_APP_SECRET": APP_SECRET,
            "WHATSAPP_VERIFY_TOKEN": "verify",
            "SEGUIMIENTO_SERVICE_URL": f"{self.world}/backend",
            "CHAT_API_KEY": "chat-key",
            "PATIENT_ID_KEY": PATIENT_ID_KEY,
            "MODEL_NAME": NO_MODEL,
            "LEASE_S": "2",
            "SETTLE_S": "3",
            "BURST_WAIT_MS": "200",
            "LOG_LEVEL": "INFO",
            "CANARY_MINUTES": "0",
            "CANARY_URL": self.url,
            "SPOOL_DIR": str(folder / "spool"),
            **settings,
        }
        self.running: list[Process] = []
        self._seen: dict[str, int] = {}

    def start(self, process: Process) -> Process:
        self.running.append(process.start())
        return process

    def start_world(self) -> None:
        self.start(processes.simulator(self.environment, self.folder))
        self.wait_for(lambda: requests.get(f"{self.world}/control/summary", timeout=2).ok)

    def start_webhook(self, **settings: str) -> Process:
        process = self.start(processes.webhook(self.environment | settings, self.folder))
        self.wait_for(lambda: requests.get(f"{self.url}/health/live", timeout=2).ok)
        return process

    def start_worker(self, name: str = "worker", **settings: str) -> Process:
        """Start a worker and wait until it beats; one that is to crash at its start is waited for likewise."""
        known = set(self.store.zrange("workers", 0, -1))
        process = self.start(processes.worker(self.environment | settings, self.folder, name))
        self.wait_for(lambda: bool(set(self.store.zrange("workers", 0, -1)) - known) or not process.is_running())
        return process

    def stop(self) -> None:
        processes.stop_all(self.running, 30)
        self.store.close()
        self.redis_server.stop()

    def wait_for(self, condition: Callable[[], Any], timeout_s: float = 60) -> Any:
        """Wait until `condition` gives something true; fail with the logs' ends otherwise."""
        deadline = time.monotonic() + timeout_s
        problem: Exception | None = None
        while time.monotonic() < deadline:
            try:
                if found := condition():
                    return found
                problem = None
            except (requests.RequestException, redis.RedisError, AssertionError) as error:
                problem = error
            time.sleep(0.05)
        left = {key: self.store.type(key) for key in self.store.scan_iter("*") if key.split(":")[0] in UNFINISHED}
        ends = f"left in redis: {left}\n"
        ends += "\n".join(f"--- {p.name} (running: {p.is_running()})\n{p.log()[-2500:]}" for p in self.running)
        raise AssertionError(f"not within {timeout_s} s ({problem})\n{ends}")

    def control(self, route: str, body: Any = None, method: str = "POST", **query: Any) -> Any:
        url = f"{self.world}/control/{route}"
        if body is None and method == "POST":
            method = "GET"
        answer = requests.request(method, url, json=body, params=query, timeout=70)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def says(self, patient: str, text: str, **fields: Any) -> str:
        """The patient writes; returns the wamid."""
        sent = self.control("messages", {"patient": patient, "text": text, **fields})["messages"][0]
        self._seen[patient] = sent["seq"]
        return str(sent["wamid"])

    def reply(self, patient: str, timeout_s: float = 60) -> dict[str, Any]:
        """Wait for the next reply to this patient."""
        after = self._seen.get(patient, 0)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            found = self.control("replies", patient=patient, after=after, timeout=5)
            if found["messages"]:
                first = found["messages"][0]
                self._seen[patient] = first["seq"]
                return dict(first)
        self.wait_for(lambda: False, 0)
        raise AssertionError("unreachable")

    def taps(self, patient: str, reply: dict[str, Any], title: str) -> str:
        """The patient taps the button with this title."""
        buttons = {b["reply"]["title"]: b["reply"]["id"] for b in reply["body"]["interactive"]["action"]["buttons"]}
        sent = self.control(
            "messages",
            {
                "patient": patient,
                "kind": "button_reply",
                "id": buttons[title],
                "title": title,
                "context": reply["wamid"],
            },
        )["messages"][0]
        self._seen[patient] = sent["seq"]
        return str(sent["wamid"])

    def appointments(self, phone: str) -> list[dict[str, Any]]:
        rows = self.control("agenda", days=400)["appointments"]
        return [row for row in rows if row["phone"] == phone]

    def everything_is_answered(self) -> bool:
        """Nothing waits in any inbox or outbox."""
        pipe = self.store.pipeline()
        for key in ("waiting", "outgoing", "fresh"):
            pipe.zcard(key)
        return sum(pipe.execute()) == 0 and not (self._any("inbox:*") or self._any("outbox:*"))

    def _any(self, pattern: str) -> bool:
        return next(self.store.scan_iter(pattern, count=10_000), None) is not None

    def coverage(self) -> dict[str, list[str]]:
        """Message id -> ids of the deliveries that were sent and cover it."""
        found: dict[str, list[str]] = {}
        for key in self.store.scan_iter("delivery:*", count=1000):
            fields = self.store.hgetall(key)
            if fields.get("state") == "sent":
                for message in fields.get("covers", "").split():
                    found.setdefault(message, []).append(key.removeprefix("delivery:"))
        return found

    def sent_deliveries(self) -> list[str]:
        """Delivery ids in the order in which the simulated Graph API accepted them."""
        received = self.control("messages", direction="to_patient", limit=20_000)["messages"]
        return [str(message["delivery_id"]) for message in received]


def assert_answered_once_and_in_order(system: System, written: Mapping[str, Sequence[str]]) -> None:
    """Every acknowledged message has one reply, each patient's in order, by what the simulated Graph API accepted.

    Args:
        system: nothing waits in it any more.
        written: message ids of each patient, in the order of their acknowledgement.
    """
    coverage = system.coverage()
    assert set(coverage) == {id_ for ids in written.values() for id_ in ids}
    assert {id_: found for id_, found in coverage.items() if len(found) > 1} == {}
    sent = system.sent_deliveries()
    assert len(sent) == len(set(sent)) == len({found[0] for found in coverage.values()})
    for phone, ids in written.items():
        places = [sent.index(coverage[id_][0]) for id_ in ids]
        assert places == sorted(places), phone
    assert system.store.llen("dead") == 0


def texts(reply: dict[str, Any]) -> str:
    """The text that the patient reads, buttons left out."""
    body = reply["body"]
    return str(body["text"]["body"] if body["type"] == "text" else body["interactive"]["body"]["text"])


@contextlib.contextmanager
def started(folder: Path, **settings: str) -> Iterator[System]:
    """A system with world and webhook; workers are the test's matter."""
    system = System(folder, **settings)
    try:
        system.start_world()
        system.start_webhook()
        yield system
    finally:
        system.stop()
