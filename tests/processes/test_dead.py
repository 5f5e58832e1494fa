"""Dead letters and unreadable bodies in real processes: after a replay there is exactly one reply."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from demo.processes import ROOT
from shared.identity import message_id
from tests.processes.system import PATIENT_ID_KEY, PHONE_NUMBER_ID, System, started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PATIENT, OTHER = "+59172240001", "+59172240002"
REFUSED = 131026  # undeliverable


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("dead"), BURST_WAIT_MS="0") as system:
        system.start_worker()
        yield system


def dead(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers.dead", *arguments],
        cwd=ROOT,
        env=os.environ | system.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def received(system: System, patient: str) -> list[dict[str, Any]]:
    return list(system.control("messages", patient=patient, direction="to_patient")["messages"])


def test_a_reply_that_meta_refused_is_put_back_and_arrives_once(system: System) -> None:
    system.control("faults", {"patient": PATIENT, "code": REFUSED, "times": 0})
    wamid = system.says(PATIENT, "¿Cuánto tiempo dura el tratamiento?")
    system.wait_for(lambda: system.store.llen("dead") == 1)
    system.control("faults", method="DELETE", body={})

    listed = dead(system, "list").stdout
    letter = listed.split()[0]
    assert letter.startswith("x_")
    assert f"PartnerRefused {REFUSED}" in listed
    assert "1 message(s)" in listed
    shown = dead(system, "show", letter).stdout
    assert message_id(PATIENT_ID_KEY.encode(), wamid) in shown
    assert "possible" in shown
    assert "tratamiento" not in listed + shown
    assert PATIENT.lstrip("+") not in listed + shown

    replayed = dead(system, "replay", letter)
    assert (replayed.returncode, replayed.stdout) == (0, f"{letter} put back\n")
    again = dead(system, "replay", letter)
    assert again.returncode == 1
    assert "is not there" in again.stderr
    system.reply(PATIENT)
    system.wait_for(system.everything_is_answered)
    assert len(received(system, PATIENT)) == 1
    assert system.store.llen("dead") == 0


def test_bodies_that_can_be_read_now_are_answered_once_and_the_others_stay(system: System) -> None:
    message = {"from": OTHER.lstrip("+"), "id": "wamid.KEPT", "timestamp": str(int(time.time()))}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"phone_number_id": PHONE_NUMBER_ID},
        "messages": [message | {"type": "text", "text": {"body": "hola buenas tardes"}}],
    }
    body = {"object": "whatsapp_business_account", "entry": [{"changes": [{"field": "messages", "value": value}]}]}
    for content in (json.dumps(body).encode(), b"[1, 2]"):
        kept = {"at": "2026-03-02T12:00:00+00:00", "why": "odd item"}
        system.store.lpush("unreadable", json.dumps(kept | {"zlib": base64.b64encode(zlib.compress(content)).decode()}))
    listed = dead(system, "unreadable")
    assert "2 unreadable bodies" in listed.stderr
    assert "2026-03-02 08:00:00" in listed.stdout  # the clinic's time
    assert "hola" not in listed.stdout

    replayed = dead(system, "unreadable", "--replay")
    assert replayed.returncode == 1
    assert replayed.stdout == "2 of 2 posted, 1 unreadable now\n"
    system.reply(OTHER)
    assert dead(system, "unreadable", "--replay").stdout == "1 of 1 posted, 1 unreadable now\n"
    system.wait_for(system.everything_is_answered)
    assert len(received(system, OTHER)) == 1
