"""The road through real processes: booking, danger, chat, health, stopping."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.processes.system import System, started, texts

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

ROSA = "+59170000001"
CARLA = "+59170000003"
MARIO = "+59170000005"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("system")) as system:
        system.start_worker()
        yield system


def test_a_patient_books_by_text_and_tap_and_the_backend_has_it(system: System) -> None:
    system.says(CARLA, "Quiero una cita el proximo miercoles a las 10 para recoger mis pastillas")
    summary = system.reply(CARLA)
    assert "miércoles" in texts(summary)
    assert "10:00" in texts(summary)
    assert system.appointments(CARLA) == []
    system.taps(CARLA, summary, "Confirmar")
    assert "miércoles" in texts(system.reply(CARLA))
    booked = system.appointments(CARLA)
    assert len(booked) == 1
    assert "T10:00:00-04:00" in booked[0]["datetime"]


def test_a_second_tap_on_the_same_button_writes_nothing(system: System) -> None:
    patient = "+59170000002"
    before = len(system.appointments(patient))
    system.says(patient, "quiero sacar otra cita para el viernes a las 3 de la tarde")
    summary = system.reply(patient)
    system.taps(patient, summary, "Confirmar")
    system.reply(patient)
    system.taps(patient, summary, "Confirmar")
    system.reply(patient)
    assert len(system.appointments(patient)) == before + 1


def test_a_danger_sign_is_answered_at_once_and_staff_are_told(system: System) -> None:
    began = time.monotonic()
    system.says(MARIO, "dra estoy tosiendo con sangre")
    reply = system.reply(MARIO)
    assert time.monotonic() - began < 10
    assert "AHORA" in texts(reply)
    assert "Ya avisé al personal" in texts(reply)
    alerts = system.control("alerts")["alerts"]
    assert any(a["category"] == "hemoptisis" and a["level"] == "emergencia" for a in alerts)
    system.says(MARIO, "quiero una cita mañana a las 10")
    assert "168" in texts(system.reply(MARIO))
    assert system.appointments(MARIO) == []


def test_statuses_reach_the_delivery(system: System) -> None:
    system.says(ROSA, "hola buenos dias")
    system.reply(ROSA)
    delivery = system.sent_deliveries()[-1]
    system.wait_for(lambda: system.store.hget(f"delivery:{delivery}", "status") == "read", 20)


def test_chat_takes_the_same_road(system: System) -> None:
    body = {
        "user_id": "70000009",
        "messages": [{"role": "user", "content": "¿la tuberculosis se contagia por platos?"}],
    }
    answered = requests.post(
        f"{system.url}/chat", json=body, headers={"Authorization": "Bearer chat-key"}, timeout=30
    ).json()
    assert answered["intent"] == "prevencion_contagio"
    assert answered["user_id"] == "70000009"
    danger = body | {"messages": [{"role": "user", "content": "me sale sangre al toser"}]}
    answered = requests.post(
        f"{system.url}/chat", json=danger, headers={"Authorization": "Bearer chat-key"}, timeout=30
    ).json()
    assert answered["intent"] == "urgencia"
    assert answered["action"] == "escalate"


def test_baja_is_answered_and_remembered(system: System) -> None:
    patient = "+59171112223"
    system.says(patient, "BAJA")
    system.reply(patient)
    assert system.wait_for(lambda: any(system.store.scan_iter("optout:*")))


def test_a_slow_backend_does_not_hold_back_a_danger_sign(system: System) -> None:
    patient = "+59171112224"
    system.control("faults", {"target": "backend", "kind": "patient", "delay_s": 8, "times": 1})
    system.says(patient, "quiero una cita mañana")
    time.sleep(0.5)  # the turn now hangs in the backend
    began = time.monotonic()
    system.says(patient, "me ahogo no puedo respirar")
    reply = system.reply(patient)
    assert "AHORA" in texts(reply)
    assert time.monotonic() - began < 5
    system.control("faults", method="DELETE", body={})


def test_health_and_model_tell_the_truth(system: System) -> None:
    health = system.wait_for(lambda: requests.get(f"{system.url}/health", timeout=5).json())
    assert health["workers_alive"] == 1
    assert health["workers"][0]["consuming"] is True
    assert health["model_loaded"] is False  # no model in this system: rules and cards answer
    assert requests.get(f"{system.url}/model", timeout=5).status_code == 503
    metrics = requests.get(f"{system.url}/metrics", timeout=5).text
    assert 'assistant_danger_total{level="emergencia"}' in metrics


def test_a_frozen_worker_is_not_taken_for_a_healthy_one(system: System) -> None:
    frozen = system.start_worker("frozen")
    os.kill(frozen.pid, signal.SIGSTOP)
    try:
        gone = system.wait_for(
            lambda: requests.get(f"{system.url}/health", timeout=5).json()["dead_workers"] or None, 40
        )
        assert len(gone) == 1
    finally:
        os.kill(frozen.pid, signal.SIGCONT)
    frozen.stop()


def test_a_stopped_worker_finishes_what_it_has_in_hand(tmp_path: Path) -> None:
    with started(tmp_path, BURST_WAIT_MS="0") as system:
        worker = system.start_worker()
        system.control("faults", {"target": "backend", "kind": "patient", "delay_s": 3, "times": 1})
        system.says(ROSA, "hola")
        system.wait_for(lambda: any(system.store.scan_iter("lease:*")))
        assert worker.process is not None
        worker.process.terminate()
        worker.process.wait(timeout=30)
        assert worker.process.returncode == 0
        assert not any(system.store.scan_iter("inbox:*"))  # committed; the reply waits for the next worker
        system.start_worker("next")
        system.reply(ROSA)
        system.wait_for(system.everything_is_answered)
