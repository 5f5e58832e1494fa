"""Two appointments backends for the contract tests: a small one in memory here, and the simulator as its own process.

Both are driven the same way, so a test cannot tell which one it talks to.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import requests

from tests.workers.http_server import Answer, Asked, HttpServer

ZONE = ZoneInfo("America/La_Paz")
TOKEN = "clave del centro"
KNOWN, NAME = "+59170000001", "Rosa Mamani"  # registered
UNKNOWN = "+59170009999"
ROOT = Path(__file__).parents[2]


class Backend(Protocol):
    url: str

    def fault(self, **fault: Any) -> None:
        """Order a misfortune, in the words of the simulator's control API."""

    def knows_missed(self, knows: bool) -> None: ...

    def alerts(self) -> list[dict[str, Any]]: ...


def a_free_day() -> dt.date:
    """A Tuesday in a fortnight or so, far from what a simulator begins with."""
    day = dt.datetime.now(ZONE).date() + dt.timedelta(days=14)
    return day + dt.timedelta(days=(1 - day.weekday()) % 7)


@dataclass
class MemoryBackend:
    """The contract in 100 lines: Mondays to Saturdays 08:00 to 12:00, one patient per half hour."""

    url: str = ""
    faults: list[dict[str, Any]] = field(default_factory=list)
    visits: dict[str, dict[str, Any]] = field(default_factory=dict)
    told: dict[str, Answer] = field(default_factory=dict)  # by idempotency key
    alerted: list[dict[str, Any]] = field(default_factory=list)
    missed_known: bool = True

    def fault(self, **fault: Any) -> None:
        self.faults.append({"times": 1} | fault)

    def knows_missed(self, knows: bool) -> None:
        self.missed_known = knows

    def alerts(self) -> list[dict[str, Any]]:
        return self.alerted

    def handle(self, asked: Asked) -> Answer:
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(401, {"error": "unauthorized"})
        kind = asked.path.rsplit("/", 1)[-1] if asked.path != "/appointments" else "list"
        fault = next((f for f in self.faults if f.get("kind") in (kind, None)), {})
        if fault.get("times") == 1:
            self.faults.remove(fault)
        if fault.get("drop") == "before":
            return Answer(then="hang up")
        instead = self._instead(fault)
        if instead and not fault.get("commit"):
            return instead
        answer = self._once(asked) if asked.method == "POST" else self._read(kind, asked)
        return Answer(then="hang up") if fault.get("drop") == "after" else instead or answer

    def _instead(self, fault: dict[str, Any]) -> Answer | None:
        if "raw_body" in fault:
            return Answer(fault["status"], fault["raw_body"].encode())
        if "body_status" in fault:
            return Answer(200, {"statusCode": fault["body_status"], "message": "Error"})
        if "status" in fault:
            return Answer(fault["status"], {"error": "unavailable"}, fault.get("headers", {}))
        return None

    def _once(self, asked: Asked) -> Answer:
        key = asked.headers["idempotency-key"]
        if key not in self.told:
            self.told[key] = self._write(asked.path.rsplit("/", 1)[-1], asked.body)
        return self.told[key]

    def _write(self, kind: str, body: dict[str, Any]) -> Answer:
        if kind == "alerts":
            self.alerted.append(body)
            return Answer(202, {"accepted": True})
        visit = self.visits.get(body.get("appointment_id", ""))
        if kind != "schedule" and (visit is None or visit["status"] == "cancelled"):
            return Answer(404, {"error": "not_found"})
        if kind in ("schedule", "reschedule"):
            start = dt.datetime.fromisoformat(body["datetime"]).astimezone(ZONE)
            if reason := self._why_not(start):
                free = [f"{at.isoformat()}" for at in self._free(start.date())][:3]
                return Answer(409, {"error": reason, "alternatives": free})
            number = len(self.visits) + 1
            visit = visit or {"appointment_id": f"v{number}", "ref": f"CC-{number:04d}", "phone": body["phone"]}
            visit |= {"datetime": start.isoformat(), "name": body.get("name", visit.get("name", ""))}
            visit |= {"reason": body.get("reason", visit.get("reason", "")), "status": f"{kind}d"}
            self.visits[visit["appointment_id"]] = visit
            shown = ("appointment_id", "ref", "datetime", "status")
            return Answer(201 if kind == "schedule" else 200, {name: visit[name] for name in shown})
        assert visit is not None
        visit["status"] = {"cancel": "cancelled", "confirm": "confirmed"}[kind]
        return Answer(200, {"appointment_id": visit["appointment_id"], "status": visit["status"]})

    def _why_not(self, start: dt.datetime) -> str | None:
        if start < dt.datetime.now(ZONE):
            return "past"
        if start not in self._all(start.date()):
            return "closed"
        return None if start in self._free(start.date()) else "slot_taken"

    def _all(self, day: dt.date) -> list[dt.datetime]:
        first = dt.datetime.combine(day, dt.time(8), ZONE)
        return [first + i * dt.timedelta(minutes=30) for i in range(8)] if day.weekday() < 6 else []

    def _free(self, day: dt.date) -> list[dt.datetime]:
        taken = {visit["datetime"] for visit in self.visits.values() if visit["status"] != "cancelled"}
        return [at for at in self._all(day) if at.isoformat() not in taken]

    def _read(self, kind: str, asked: Asked) -> Answer:
        coming = [visit for visit in self.visits.values() if visit["status"] != "cancelled"]
        if kind == "list":
            return Answer(200, [visit for visit in coming if visit["phone"] == asked.query["phone"]])
        if kind == "upcoming":
            end = dt.datetime.now(ZONE) + dt.timedelta(hours=float(asked.query["hours"]))
            return Answer(200, [visit for visit in coming if dt.datetime.fromisoformat(visit["datetime"]) < end])
        if kind == "slots":
            day = dt.date.fromisoformat(asked.query["date"])
            return Answer(200, {"date": day.isoformat(), "free": [f"{at:%H:%M}" for at in self._free(day)]})
        if kind == "missed":
            return Answer(200, []) if self.missed_known else Answer(404, {"error": "not_found"})
        if asked.path == f"/patients/{KNOWN}":
            return Answer(200, {"name": NAME, "registered": True, "last_visit": "2026-10-24"})
        return Answer(404, {"error": "not_found"})


@contextmanager
def memory_backend() -> Iterator[MemoryBackend]:
    backend = MemoryBackend()
    server = HttpServer(backend.handle)
    backend.url = server.url
    try:
        yield backend
    finally:
        server.stop()


@dataclass
class SimulatedBackend:
    """The simulator's backend at its own port, and the address of its other half, the Graph API."""

    url: str
    graph_url: str

    @property
    def control(self) -> str:
        return f"{self.graph_url}/control"

    def fault(self, **fault: Any) -> None:
        self._post("faults", {"target": "backend"} | fault)

    def knows_missed(self, knows: bool) -> None:
        self._post("rules", {"knows_missed": knows})

    def alerts(self) -> list[dict[str, Any]]:
        alerts: list[dict[str, Any]] = requests.get(f"{self.control}/alerts", timeout=5).json()["alerts"]
        return alerts

    def reset(self) -> None:
        self._post("reset", {})
        self.knows_missed(True)

    def _post(self, what: str, body: dict[str, Any]) -> None:
        requests.post(f"{self.control}/{what}", json=body, timeout=5).raise_for_status()


@contextmanager
def simulated_backend() -> Iterator[SimulatedBackend]:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--backend-port", "0"]
    environment = os.environ | {"SEGUIMIENTO_TOKEN": TOKEN}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            addresses = dict(process.stdout.readline().split() for _ in range(2))
            yield SimulatedBackend(addresses["backend"], addresses["simulator"])
        finally:
            process.terminate()
            process.wait(10)
