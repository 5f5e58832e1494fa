"""The present backend's stand-in over real HTTP, and an adapter that talks to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
import requests

from shared.settings import Settings
from simulator.app import Simulator
from simulator.options import Options
from workers.seguimiento import Seguimiento

ZONE = ZoneInfo("America/La_Paz")
ROSA, JUAN, CARLA, ELENA = "+59170000001", "+59170000002", "+59170000003", "+59170000004"
UNKNOWN = "+59170000099"
SECRET = "secreto-del-personal"


def a_tuesday() -> dt.date:
    """In a fortnight or so, far from what the stand-in begins with."""
    day = dt.datetime.now(ZONE).date() + dt.timedelta(days=14)
    return day + dt.timedelta(days=(1 - day.weekday()) % 7)


DAY = a_tuesday()


def at(hour: int, minute: int = 0, day: dt.date = DAY) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(hour, minute), ZONE)


def wall(start: dt.datetime) -> str:
    return f"{start.astimezone(ZONE):%Y-%m-%dT%H:%M:%S}.000Z"


class Backend:
    """The stand-in as a test drives it."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.url = f"{simulator.url}/seguimiento"
        self.http = requests.Session()
        self.http.trust_env = False

    def control(self, method: str, path: str = "", body: Any = None) -> Any:
        url = f"{self.simulator.url}/control/{path}"
        answer = self.http.request(method, url, json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control("GET", "seguimiento")
        return found

    def switch(self, **switches: Any) -> None:
        self.control("PATCH", "seguimiento", {"switches": switches})

    def states(self, *, add: tuple[str, ...] = (), retire: tuple[str, ...] = ()) -> None:
        self.control("PATCH", "seguimiento", {"add_states": add, "retire_states": retire})

    def fault(self, **fault: Any) -> None:
        self.control("POST", "faults", {"target": "backend", "times": 1} | fault)

    def row(self, phone: str, start: dt.datetime | str, **fields: Any) -> dict[str, Any]:
        """A visit as staff write it; returns it as listed."""
        when = start if isinstance(start, str) else wall(start)
        wish = {"number": int(phone.removeprefix("+591")), "fecha_programada": when} | fields
        found: dict[str, Any] = self.control("POST", "seguimiento/visits", wish)
        return found

    def rows(self, phone: str) -> list[dict[str, Any]]:
        number = int(phone.removeprefix("+591"))
        return [row for row in self.state()["visits"] if row["tratamiento"]["paciente"]["telefono"] == number]

    def visit(self, visit_id: str) -> dict[str, Any]:
        found: dict[str, Any] = next(row for row in self.state()["visits"] if row["id"] == visit_id)
        return found

    def staff_id(self) -> str:
        return str(self.state()["staff"][0]["id"])


@pytest.fixture(scope="session")
def simulator() -> Iterator[Simulator]:
    with Simulator(Options(port=0)) as running:
        yield running


@pytest.fixture
def backend(simulator: Simulator) -> Iterator[Backend]:
    simulator.world.reset()
    backend = Backend(simulator)
    yield backend
    # Whatever a test did: the routes that write to people or choose by themselves were never called.
    counters = backend.state()["counters"]
    assert (counters["recordatorio"], counters["riesgo_salud"], counters["update_assistant"]) == (0, 0, 0)
    backend.http.close()


@pytest.fixture
def chosen(backend: Backend) -> dict[str, Any]:
    """Settings of the adapter; a test changes what it is about."""
    return {
        "APPOINTMENTS_API": "seguimiento",
        "SEGUIMIENTO_SERVICE_URL": backend.url,
        "SEGUIMIENTO_STAFF_ID": backend.staff_id(),
        "SEGUIMIENTO_TIMEOUT": 5,
    }


@pytest.fixture
def agenda(chosen: dict[str, Any], client: redis.Redis) -> Iterator[Seguimiento]:
    made = Seguimiento(Settings(_env_file=None, **chosen), client)
    yield made
    made.close()


@pytest.fixture
def build(chosen: dict[str, Any], client: redis.Redis) -> Iterator[Any]:
    """An adapter with other settings."""
    made: list[Seguimiento] = []

    def with_settings(**settings: Any) -> Seguimiento:
        made.append(Seguimiento(Settings(_env_file=None, **chosen | settings), client))
        return made[-1]

    yield with_settings
    for one in made:
        one.close()
