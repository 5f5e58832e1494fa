"""After a real conversation neither words nor number of the patient lie anywhere in Redis or its file; then they go."""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from demo import processes
from shared.identity import patient_id
from tests.processes.system import PATIENT_ID_KEY, System, started, texts
from tests.shared.state.dump import everything, where
from tests.shared.state.retention import faults

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

NUMBER = "59173456789"
WORD = "zanahoriacanaria"
NAME = "Melquiades"
SAID_BY_US = ("⚠️", "Entendido", "tuberculosis es")


def new_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def tool(system: System, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | system.environment | settings
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=processes.ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def converse(system: System) -> None:
    """Small talk, a booking, a question, a sign of danger, a body that nobody can read, and POST /chat."""
    system.control("agenda/patients", {"phone": f"+{NUMBER}", "name": NAME})
    for text in (
        f"hola {WORD}, soy {NAME}, mi numero es {NUMBER}",
        f"quiero una cita el proximo lunes a las 9 {WORD}",
        "¿qué es la tuberculosis?",
        f"toso con sangre {WORD}",
    ):
        system.says(f"+{NUMBER}", text, name=NAME)
        assert texts(system.reply(f"+{NUMBER}"))
    system.control("webhook", {"text": f'{{"broken": "{WORD} {NUMBER}"', "secret": "test-app-secret"})
    chat = {"user_id": NUMBER, "messages": [{"role": "user", "content": WORD}]}
    answer = requests.post(f"{system.url}/chat", json=chat, headers={"Authorization": "Bearer chat-key"}, timeout=30)
    assert answer.json()["response"]
    system.wait_for(system.everything_is_answered)


def test_a_copy_of_the_store_says_nothing_of_a_patient_and_erasing_leaves_no_trace(tmp_path: Path) -> None:
    old, new = new_key(), new_key()
    with started(tmp_path, ENCRYPTION_KEYS=old) as system:
        system.start_worker()
        converse(system)
        secret = (NUMBER, NUMBER[3:], WORD, NAME)
        assert where(system.store, *secret) == {}
        kept = everything(system.store)
        patient = patient_id(PATIENT_ID_KEY.encode(), NUMBER)
        assert {f"address:{patient}", f"conversation:{patient}", "unreadable", "encrypted"} <= set(kept)
        assert not [text for text in kept.values() if "wamid" in text]

        assert faults(system.store) == []

        written = b"".join(path.read_bytes() for path in tmp_path.glob("redis/**/*.aof"))
        assert b"evalsha" in written.lower() or b"rpush" in written.lower()
        for word in (*secret, *SAID_BY_US):
            assert word.encode() not in written, f"{word} stands in the file of Redis"

        rotated = tool(system, "workers.rotate_keys", ENCRYPTION_KEYS=f"{new},{old}")
        assert rotated.returncode == 0, rotated.stdout + rotated.stderr
        refused = processes.worker(system.environment, tmp_path, "worker-with-the-old-key")
        system.start(refused)
        system.wait_for(lambda: not refused.is_running())
        assert "encrypted with a key that this process does not have" in refused.log()

        erased = tool(system, "workers.erase", f"+{NUMBER}", "--yes", ENCRYPTION_KEYS=new)
        assert erased.returncode == 0, erased.stdout + erased.stderr
        assert "COMPROBANTE DE BORRADO" in erased.stdout
        assert where(system.store, patient, *secret) == {}
