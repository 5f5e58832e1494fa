"""Reminders in real processes: sent once, and answered in the normal dialogue. Kills: test_kill_matrix.py."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import pytest

from shared.celery_app import QUEUE_OF_TASK, Role, TaskName, create_celery
from shared.identity import candidate_ids
from shared.messages import Identity
from shared.settings import Settings
from simulator.seed import CARLA, ELENA, JUAN, ROSA
from tests.processes.system import PATIENT_ID_KEY, System, started, texts

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    settings = {"QUIET_HOURS": "0-0", "REMINDER_SPREAD_MINUTES": "0", "BURST_WAIT_MS": "0"}
    with started(tmp_path_factory.mktemp("reminders"), **settings) as system:
        remind_nobody_else(system)
        yield system


def tomorrow(system: System, phone: str) -> str:
    """A registered patient who agreed, with a visit in 24 hours; returns the appointment's id."""
    consent = {"date": "2026-10-01", "source": "formulario"}
    system.control("agenda/patients", {"phone": phone, "name": "ANA PRUEBA", "whatsapp_consent": consent})
    start = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=24, minutes=5)).replace(microsecond=0)
    visit = system.control("agenda", {"phone": phone, "datetime": start.isoformat(), "name": "ANA PRUEBA"})
    return str(visit["appointment_id"])


def remind_nobody_else(system: System) -> None:
    """Of the simulated agenda's own people some are due at some hours of the day: they want no reminders."""
    for number in (ROSA, JUAN, CARLA, ELENA):
        (patient,) = candidate_ids(PATIENT_ID_KEY.encode(), Identity(number=number.lstrip("+")))
        system.store.set(f"optout:{patient}", dt.datetime.now(dt.UTC).isoformat())


def ring_remind(system: System) -> None:
    """What Beat does at the full hour."""
    settings = Settings(_env_file=None, DEMO=True, REDIS_URL=system.redis_server.url)
    with create_celery(settings, Role.BEAT) as celery:
        celery.send_task(TaskName.REMIND.value, queue=QUEUE_OF_TASK[TaskName.REMIND].value)


def reminders_of(system: System, phone: str) -> list[dict[str, Any]]:
    received = system.control("messages", direction="to_patient", limit=1000)["messages"]
    return [m for m in received if m["patient"] == phone.lstrip("+") and m["body"]["type"] == "template"]


def test_a_reminder_comes_once_and_its_answer_confirms_the_visit(system: System) -> None:
    phone = "+59171110001"
    appointment = tomorrow(system, phone)
    worker = system.start_worker("reminding")
    ring_remind(system)
    ring_remind(system)
    system.wait_for(lambda: reminders_of(system, phone))
    (reminder,) = reminders_of(system, phone)
    assert "Hola Ana" in reminder["text"]
    payload = reminder["body"]["template"]["components"][1]["parameters"][0]["payload"]
    tap = {"patient": phone, "kind": "button", "id": payload, "title": "Asistiré", "context": reminder["wamid"]}
    system._seen[phone] = system.control("messages", tap)["messages"][0]["seq"]
    assert "asistencia quedó confirmada" in texts(system.reply(phone))
    assert [row["status"] for row in system.appointments(phone)] == ["confirmed"]
    assert appointment in payload
    system.wait_for(lambda: system.store.zcard("reminders") == 0)
    assert len(reminders_of(system, phone)) == 1
    worker.stop()
