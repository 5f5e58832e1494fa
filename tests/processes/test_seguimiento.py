"""The whole road on the centre's present backend: book, look up, move, cancel, and what only a person can do."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests

from tests.processes.system import System, started, texts

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

ROSA, CARLA, ELENA, MARIO = "+59170000001", "+59170000003", "+59170000004", "+59170000005"
ZONE = ZoneInfo("America/La_Paz")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("system"), APPOINTMENTS_API="seguimiento") as system:
        staff = system.control("seguimiento")["staff"][0]["id"]
        url = f"{system.world}/seguimiento"
        system.start_worker(SEGUIMIENTO_SERVICE_URL=url, SEGUIMIENTO_STAFF_ID=staff)
        yield system
        kept = system.control("seguimiento")["counters"]
        assert kept == {"recordatorio": 0, "riesgo_salud": 0, "update_assistant": 0, "deaths": 0}
        logs = "\n".join(process.log() for process in system.running if process.name != "simulator")
        for secret in ("secreto-del-personal", "70000003", "Carla", "personal@example.org"):
            assert secret not in logs


def visits(system: System, phone: str) -> list[dict[str, Any]]:
    number = int(phone.removeprefix("+591"))
    rows = system.control("seguimiento")["visits"]
    return [row for row in rows if row["tratamiento"]["paciente"]["telefono"] == number]


def calls(system: System, why: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in system.store.hvals("calls")]
    return [line for line in lines if line["why"] == why]


def test_a_patient_books_looks_up_moves_confirms_and_asks_to_cancel(system: System) -> None:
    system.says(CARLA, "Quiero una cita el proximo miercoles a las 10 para recoger mis pastillas")
    system.taps(CARLA, system.reply(CARLA), "Confirmar")
    done = texts(system.reply(CARLA))
    assert "quedó para el miércoles" in done
    assert "10:00" in done
    [row] = visits(system, CARLA)
    assert row["fecha_programada"].endswith("T10:00:00.000Z")  # the centre's clock, as the old assistant wrote it
    assert (row["estado"]["descripcion"], row["tipo"]["descripcion"]) == ("Programado", "Toma de medicamentos")

    system.says(CARLA, "¿cuándo es mi cita?")
    told = texts(system.reply(CARLA))
    assert "miércoles" in told
    assert "10:00 para recoger sus medicamentos" in told

    system.says(CARLA, "cambie mi cita a las 3 de la tarde")
    system.taps(CARLA, system.reply(CARLA), "Confirmar")
    assert "15:00" in texts(system.reply(CARLA))
    [moved] = visits(system, CARLA)
    assert (moved["id"], moved["fecha_programada"][10:]) == (row["id"], "T15:00:00.000Z")

    system.says(CARLA, "confirmo que voy a ir a mi cita")
    assert "quedó confirmada" in texts(system.reply(CARLA))
    assert visits(system, CARLA)[0]["estado"]["descripcion"] == "Confirmado"

    system.says(CARLA, "quiero cancelar mi cita")
    system.taps(CARLA, system.reply(CARLA), "Sí, cancelar")
    assert texts(system.reply(CARLA)) == "Ya pasé su pedido al centro para que lo anulen; le confirma una persona."
    [noted] = visits(system, CARLA)
    assert noted["estado"]["descripcion"] == "Confirmado"
    assert "pide cancelar (WhatsApp" in noted["observaciones"]
    [line] = calls(system, "anular")
    start = dt.datetime.fromisoformat(line["start"])
    assert (line["appointment"], start.astimezone(ZONE).hour) == (row["id"], 15)
    assert set(line) == {"patient", "kind", "why", "at", "appointment", "ref", "start"}

    system.control("seguimiento", {"add_states": ["Cancelado"]}, method="PATCH")  # the centre adds the word
    system.says(CARLA, "quiero cancelar mi cita")
    system.taps(CARLA, system.reply(CARLA), "Sí, cancelar")
    assert "quedó cancelada" in texts(system.reply(CARLA))
    assert visits(system, CARLA)[0]["estado"]["descripcion"] == "Cancelado"
    assert len(calls(system, "anular")) == 1


def test_who_is_not_registered_or_not_treated_is_passed_to_a_person(system: System) -> None:
    for patient, name in ((ELENA, None), (MARIO, "Mario Condori")):
        before = len(calls(system, "sin_registro"))
        system.says(patient, "quiero una cita el proximo jueves a las 9")
        reply = system.reply(patient)
        if name:
            system.says(patient, name)
            reply = system.reply(patient)
        system.taps(patient, reply, "Confirmar")
        assert "No encuentro su registro para agendar por aquí. Ya avisé al centro" in texts(system.reply(patient))
        assert visits(system, patient) == [] or patient == ELENA
        lines = calls(system, "sin_registro")
        assert len(lines) == before + 1
        hours = {dt.datetime.fromisoformat(line["wish"]).astimezone(ZONE).strftime("%A %H:%M") for line in lines}
        assert hours == {"Thursday 09:00"}
        assert name is None or name not in json.dumps(lines)


def test_the_old_assistants_callers_get_its_six_fields(system: System) -> None:
    asked = {"messages": [{"role": "user", "content": "hola"}, {"role": "user", "content": "¿cuándo es mi cita?"}]}
    headers = {"Authorization": "Bearer chat-key"}
    for spelling in ("70000001", "59170000001", "+59170000001"):
        answer = requests.post(
            f"{system.url}/chat/",
            json=asked | {"user_id": spelling},
            headers=headers,
            timeout=30,
            allow_redirects=False,
        )
        fields = answer.json()
        assert {"response", "user_id", "conversation_id", "action", "params", "timestamp"} <= set(fields)
        assert (answer.status_code, fields["user_id"], fields["action"]) == (200, spelling, "query")
        assert "a las 09:30" in fields["response"]
    for text in ("no puedo respirar", "estoy tosiendo sangre"):  # HTTP 500 with the old one
        body = {"user_id": "70000077", "messages": [{"role": "user", "content": text}]}
        answer = requests.post(f"{system.url}/chat", json=body, headers=headers, timeout=30)
        assert (answer.status_code, answer.json()["action"]) == (200, "escalate")


def test_the_process_of_the_backend_may_die_while_patients_write(system: System) -> None:
    """Nothing is lost: the turn waits until it is back."""
    system.control("faults", {"target": "backend", "kind": "patient", "drop": "before", "times": 6})
    system.says(ROSA, "¿cuándo es mi cita?")
    assert "09:30" in texts(system.reply(ROSA))


def test_outside_the_demo_a_worker_without_a_channel_for_danger_does_not_start() -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "DEMO": "false",
        "WHATSAPP_ACCESS_TOKEN": "t",
        "WHATSAPP_PHONE_NUMBER_ID": "1",
        "PATIENT_ID_KEY": "k",
        "ENCRYPTION_KEYS": "a" * 43 + "=",
        "APPOINTMENTS_API": "seguimiento",
        "SEGUIMIENTO_STAFF_ID": "5b0e1c1e-0000-4000-8000-000000000001",
    }
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "report"]
    ended = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 78
    assert "No channel can carry a danger alert" in ended.stderr
    heard = environment | {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T/B/x"}
    ended = subprocess.run(command, cwd=ROOT, env=heard, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0


def test_health_tells_what_the_backend_can_do(system: System) -> None:
    def agenda() -> dict[str, Any]:
        [worker] = requests.get(f"{system.url}/health", timeout=5).json()["workers"]
        return dict(worker["agenda"])

    found = system.wait_for(agenda)
    assert (found["clock"], found["has_staff"]) == ("wall", True)
    assert {"alerts", "cancel"} <= set(found["off"])


def test_a_worker_killed_after_the_write_leaves_one_visit_and_one_line(tmp_path: Path) -> None:
    with started(tmp_path, APPOINTMENTS_API="seguimiento", BURST_WAIT_MS="0") as system:
        staff = system.control("seguimiento")["staff"][0]["id"]
        backend = {"SEGUIMIENTO_SERVICE_URL": f"{system.world}/seguimiento", "SEGUIMIENTO_STAFF_ID": staff}
        healthy = system.start_worker(**backend)
        system.says(CARLA, "Quiero una cita el proximo miercoles a las 10")
        booking = system.reply(CARLA)
        system.says(ROSA, "quiero cancelar mi cita")
        cancelling = system.reply(ROSA)
        healthy.stop()
        for patient, summary, title in ((CARLA, booking, "Confirmar"), (ROSA, cancelling, "Sí, cancelar")):
            doomed = system.start_worker("doomed", CRASH_AT="backend_called", **backend)
            system.taps(patient, summary, title)
            system.wait_for(lambda process=doomed: not process.is_running())
        system.start_worker("next", **backend)
        assert "quedó para el miércoles" in texts(system.reply(CARLA))
        assert "Ya pasé su pedido" in texts(system.reply(ROSA))
        assert len(visits(system, CARLA)) == 1
        [noted] = [row for row in visits(system, ROSA) if row["estado"]["descripcion"] == "Programado"]
        assert noted["observaciones"].count("pide cancelar") == 1
        assert len(calls(system, "anular")) == 1
