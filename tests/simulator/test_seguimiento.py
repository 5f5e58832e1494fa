"""The stand-in of the centre's present backend has the faults that were measured on the real one."""

from __future__ import annotations

import re
import socket
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from simulator.app import Simulator
from simulator.options import Options
from simulator.server import Server

NOW = "2026-11-22T11:00:00.000Z"


class Api:
    def __init__(self, simulator: Simulator) -> None:
        self.simulator, self.base = simulator, f"{simulator.url}/seguimiento/api"

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        answer = requests.request(method, f"{self.base}/{path}", json=body, timeout=5)
        return answer.status_code, answer.json() if answer.content else None

    def control(self, body: Any = None) -> Any:
        url = f"{self.simulator.url}/control/seguimiento"
        return (requests.patch(url, json=body, timeout=5) if body else requests.get(url, timeout=5)).json()

    def new(self, **fields: Any) -> dict[str, Any]:
        """The body of a POST /cita for Carla."""
        carla = next(row["id"] for row in self.control()["patients"] if row["telefono"] == 70000003)
        treatment = self.ask("GET", f"tratamiento/paciente/{carla}")[1]["data"][0]["id"]
        ids = {name: self.ask("GET", f"cita/{name}")[1]["data"] for name in ("estado-cita", "tipo-cita")}
        body = {
            "idTratamiento": treatment,
            "idEstado": next(row["id"] for row in ids["estado-cita"] if row["descripcion"] == "Programado"),
            "idTipo": ids["tipo-cita"][1]["id"],
            "idUser": "nobody",
            "fecha_programada": "2026-12-01T14:00:00.000Z",
            "fecha_actual": NOW,
            "observaciones": "",
        }
        return body | fields

    def state_id(self, word: str) -> str:
        return str(next(r["id"] for r in self.ask("GET", "cita/estado-cita")[1]["data"] if r["descripcion"] == word))


@pytest.fixture
def api() -> Iterator[Api]:
    with Simulator(Options(port=0)) as simulator:
        yield Api(simulator)


def test_the_four_shapes_of_an_answer(api: Api) -> None:
    status, envelope = api.ask("GET", "paciente/telefono/70000001")
    assert (status, envelope["statusCode"], envelope["data"]["nombre"]) == (200, 200, "Rosa Mamani")
    status, missing = api.ask("GET", "paciente/telefono/70009999")
    assert (status, missing["statusCode"], missing["data"]) == (200, 404, None)
    for odd, says in (
        ("59170000001", "out of range for type integer"),
        ("ana", "invalid input syntax for type integer"),
    ):
        status, service = api.ask("GET", f"paciente/telefono/{odd}")
        assert (status, service["success"], "statusCode" in service) == (500, False, False)
        assert says in service["error"]
    status, service = api.ask("GET", "cita/x")
    assert (status, service["error"]) == (500, 'invalid input syntax for type uuid: "x"')
    status, framework = api.ask("POST", "cita", {})
    assert (status, framework["error"]) == (400, "Bad Request")
    assert "idTipo must be a string" in framework["message"]
    status, bare = api.ask("POST", "cita", api.new(idTipo=str(uuid.uuid4())))
    assert (status, bare) == (500, {"statusCode": 500, "message": "Internal server error"})
    assert api.ask("PUT", f"cita/{uuid.uuid4()}", {})[0] == 404
    assert api.ask("DELETE", "cita/x")[1]["message"].startswith("Cannot DELETE")
    assert api.ask("GET", f"cita/{uuid.uuid4()}")[1]["statusCode"] == 404


def test_paths_ignore_case_and_a_final_slash_and_lists_have_etags(api: Api) -> None:
    assert api.ask("GET", "CITA/Tipo-Cita/")[0] == 200
    first = requests.get(f"{api.base}/cita", timeout=5)
    again = requests.get(f"{api.base}/cita", headers={"If-None-Match": first.headers["ETag"]}, timeout=5)
    assert again.status_code == 304
    big = requests.post(f"{api.base}/cita", data="x" * 110_000, timeout=5)
    assert (big.status_code, big.json()["message"]) == (413, "request entity too large")


def test_an_own_id_becomes_the_rows_and_a_second_post_overwrites(api: Api) -> None:
    own = str(uuid.uuid4())
    status, made = api.ask("POST", "cita", api.new(id=own))
    assert (status, made["data"]["id"], "user" in made["data"]) == (201, own, False)
    api.ask("POST", "cita", api.new(id=own, observaciones="otra"))
    rows = [row for row in api.ask("GET", "cita")[1]["data"] if row["id"] == own]
    assert [row["observaciones"] for row in rows] == ["otra"]
    assert rows[0]["user"] is None  # idUser is ignored
    assert "duplicate key" in api.ask("POST", "cita", api.new(id=own.upper()))[1]["error"]
    for odd in ("", None, "x"):
        assert api.ask("POST", "cita", api.new(id=odd))[0] == 500
    without = api.new()
    del without["observaciones"]
    assert "not-null" in api.ask("POST", "cita", without)[1]["error"]
    two = [api.ask("POST", "cita", api.new())[1]["data"]["id"] for _ in range(2)]
    assert len(set(two)) == 2  # nothing about time is checked


def test_a_put_without_ids_takes_the_first_row_of_each_table(api: Api) -> None:
    own = str(uuid.uuid4())
    api.ask("POST", "cita", api.new(id=own))
    assert api.ask("PUT", f"cita/{own}", {"observaciones": "x", "idTipo": None})[0] == 200
    last = api.ask("GET", "cita")[1]["data"][-1]  # a row that was touched goes last
    assert (last["id"], last["tratamiento"]["paciente"]["nombre"]) == (own, "Paciente Primero")
    assert last["user"]["contrasena"]
    assert set(api.ask("GET", f"cita/{own}")[1]["data"]) & {"tratamiento", "user"} == set()


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("2026-12-01T10:00:00-04:00", "2026-12-01T14:00:00.000Z"),
        ("2026-12-01T10:00:00", "2026-12-01T10:00:00.000Z"),
        ("2026-12-01", "2026-12-01T00:00:00.000Z"),
        ("2026-02-31", "2026-03-03T00:00:00.000Z"),
        ("2026-12-01T25:00:00", 400),
        ("mañana", 400),
        (1_795_438_800_000, 500),
    ],
)
def test_times_are_echoed_as_sent_and_read_as_stored(sent: object, stored: str | int, api: Api) -> None:
    own = str(uuid.uuid4())
    status, answer = api.ask("POST", "cita", api.new(id=own, fecha_programada=sent))
    if isinstance(stored, int):
        assert status == stored
        return
    assert answer["data"]["fecha_programada"] == sent
    assert api.ask("GET", f"cita/{own}")[1]["data"]["fecha_programada"] == stored


def test_another_clock_of_the_server_moves_every_time(api: Api) -> None:
    own = str(uuid.uuid4())
    api.ask("POST", "cita", api.new(id=own, fecha_programada="2026-12-01T10:00:00.000Z"))
    api.control({"switches": {"time_zone": "America/La_Paz"}})
    assert api.ask("GET", f"cita/{own}")[1]["data"]["fecha_programada"] == "2026-12-01T14:00:00.000Z"


@pytest.mark.parametrize("saved", [True, False])
def test_the_state_of_a_missed_visit_kills_the_process(saved: bool, api: Api) -> None:
    api.control({"switches": {"dies_saving": saved, "down_s": 0.2}})
    own = str(uuid.uuid4())
    with pytest.raises(requests.ConnectionError):
        api.ask("POST", "cita", api.new(id=own, idEstado=api.state_id("Perdido")))
    with pytest.raises(requests.ConnectionError):
        api.ask("GET", "health")
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            assert api.ask("GET", "health")[1]["uptime"] < 5
            break
        except requests.ConnectionError:
            time.sleep(0.02)
    assert api.ask("GET", f"cita/{own}")[1]["statusCode"] == (200 if saved else 404)
    assert api.control()["counters"]["deaths"] == 1


def test_two_gets_have_side_effects_and_one_kills_without_n8n(api: Api) -> None:
    requests.head(f"{api.base}/cita/recordatorio", timeout=5)
    status, told = api.ask("GET", "paciente/riesgo-salud/70000001")
    assert (status, told["message"], told["data"][0]["contrasena"] != "") == (200, "Notificacion enviada", True)
    api.control({"switches": {"n8n": "refused", "down_s": 0.1}})
    assert api.ask("GET", "paciente/riesgo-salud/70000001")[0] == 200  # said before it is sent
    counters = api.control()["counters"]
    assert (counters["recordatorio"], counters["riesgo_salud"], counters["deaths"]) == (1, 2, 1)


def test_the_assistants_own_route_moves_the_last_row_whatever_was_meant(api: Api) -> None:
    api.control({"add_states": ["Reprogramado"]})
    juan = next(row["id"] for row in api.control()["patients"] if row["telefono"] == 70000002)
    ids = [row["id"] for row in api.ask("GET", f"cita/paciente/{juan}")[1]["data"]]
    wish = {"id_paciente": juan, "fecha_programada": "2026-12-01T10:00:00.000Z", "motivo": "x", "id_estado": 1}
    moved = api.ask("PUT", "cita/update-assistant", wish)[1]["data"]["id"]
    assert moved == ids[-1]


def test_old_releases_fail_without_a_word(api: Api) -> None:
    api.control({"switches": {"bare": True}})
    assert api.ask("GET", "cita/x")[1] == {"statusCode": 500, "message": "Internal server error"}


def test_at_its_own_port_idle_connections_are_closed() -> None:
    with Simulator(Options(port=0, backend_port=0, backend="seguimiento")) as simulator:
        assert requests.get(f"{simulator.backend_url}/api/health", timeout=5).json()["status"] == "OK"
        app = simulator._backend
        assert app is not None
        quick = Server("127.0.0.1", 0, app._server.app, idle_s=0.1)
        with socket.create_connection((quick.host, quick.port)) as line:
            line.sendall(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n")
            head = b""
            while b"uptime" not in head:
                head += line.recv(4096)
            assert re.match(rb"HTTP/1.1 200", head)
            line.settimeout(5)
            while line.recv(4096):
                pass  # the rest of the answer, then the end
        quick.stop()
