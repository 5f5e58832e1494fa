"""A canary patient writes; afterwards neither number nor words are in logs, Celery messages, Flower or metrics."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import requests

from demo import processes
from demo.redis_server import free_port
from tests.processes.system import started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

NUMBER = "59173456789"
WORD = "zanahoriacanaria"
NAME = "Melquiades Canario"


def test_number_name_and_words_of_a_patient_reach_no_log_queue_or_figure(tmp_path: Path) -> None:
    with started(tmp_path, LOG_LEVEL="DEBUG") as system:
        flower_port = free_port()
        flower = f"http://127.0.0.1:{flower_port}"
        system.start(processes.beat(system.environment, tmp_path))
        system.start(processes.flower(system.environment, tmp_path, flower_port))
        system.wait_for(lambda: requests.get(f"{flower}/healthcheck", timeout=2).ok)
        commands: list[str] = []
        stop = threading.Event()

        def listen() -> None:
            with system.store.monitor() as monitor:
                for command in monitor.listen():
                    if "wa:q:" in command["command"]:
                        commands.append(command["command"])
                    if stop.is_set():
                        return

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        system.start_worker()
        system.control("agenda/patients", {"phone": f"+{NUMBER}", "name": NAME})
        for text in (
            f"hola {WORD}, soy {NAME}, mi numero es {NUMBER}",
            f"quiero una cita el proximo lunes a las 9 {WORD}",
            f"toso con sangre {WORD}",
        ):
            system.says(f"+{NUMBER}", text, name=NAME)
            system.reply(f"+{NUMBER}")
        system.control("webhook", {"text": f'{{"broken": "{WORD} {NUMBER}"', "secret": "test-app-secret"})
        chat = {"user_id": NUMBER, "messages": [{"role": "user", "content": WORD}]}
        requests.post(f"{system.url}/chat", json=chat, headers={"Authorization": "Bearer chat-key"}, timeout=30)
        system.wait_for(system.everything_is_answered)
        tasks = system.wait_for(lambda: requests.get(f"{flower}/tasks", timeout=5).text)
        metrics = requests.get(f"{system.url}/metrics", timeout=5).text
        health = requests.get(f"{system.url}/health", timeout=5).text
        stop.set()
        system.store.ping()
        logs = {p.name: p.log() for p in system.running if p.name != "simulator"}
        assert len(commands) > 3
        assert all(log.strip() for name, log in logs.items() if name in ("worker", "webhook"))
        haystacks = {**logs, "flower page": tasks, "metrics": metrics, "health": health, "celery": "\n".join(commands)}
        for where, text in haystacks.items():
            for secret in (NUMBER, NUMBER[3:], WORD, NAME.split()[0], "test-token", "test-app-secret"):
                assert secret.lower() not in text.lower(), f"{secret} stands in {where}"
