"""A worker dies in the middle and another finishes: the timeline of the message tells all of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from demo.processes import ROOT
from shared.checkpoints import Step
from shared.identity import message_id
from tests.processes.system import PATIENT_ID_KEY, System, started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PATIENT = "+59172230001"


def timeline(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workers.timeline", *arguments],
        cwd=ROOT,
        env=os.environ | system.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(system: System, identifier: str) -> dict[str, Any]:
    return dict(json.loads(timeline(system, identifier, "--json").stdout))


def test_the_timeline_is_complete_when_two_workers_had_the_message(tmp_path: Path) -> None:
    with started(tmp_path, BURST_WAIT_MS="0") as system:
        doomed = system.start_worker("doomed", CRASH_AT=Step.UNDERSTOOD.value)
        wamid = system.says(PATIENT, "¿Cuánto tiempo dura el tratamiento?")
        system.wait_for(lambda: not doomed.is_running())
        waiting = timeline(system, wamid)
        assert waiting.returncode == 0, waiting.stderr
        assert waiting.stdout.splitlines()[-1].startswith("Not answered yet: in the inbox at place 1")

        system.start_worker("survivor")
        reply = system.reply(PATIENT)
        system.wait_for(lambda: "delivered" in [s["detail"].get("status") for s in told(system, wamid)["steps"]], 20)
        found = told(system, wamid)
        message = message_id(PATIENT_ID_KEY.encode(), wamid)
        assert found["id"] == message
        story = [step["what"] for step in found["steps"] if step["what"] != "status"]
        assert story == [
            "written_by_patient",
            "accepted",
            "drained",
            "understood",
            "drained",
            "understood",
            "committed",
            "sending",
            "sent",
        ]
        first, second = (s["detail"]["worker"] for s in found["steps"] if s["what"] == "drained")
        assert first != second
        assert all(step["after_ms"] >= 0 for step in found["steps"][1:])
        assert "dura" not in json.dumps(found)

        delivery = system.sent_deliveries()[-1]
        assert [s["what"] for s in told(system, delivery)["steps"]] == [s["what"] for s in told(system, wamid)["steps"]]
        assert told(system, reply["wamid"])["id"] == delivery  # Meta's id of the reply leads there too

        lines = timeline(system, message).stdout.splitlines()
        assert lines[0].startswith(f"{message} of p_")
        assert first in lines[3]
        assert lines[-1].startswith(f"{delivery} was sent, Meta says: ")

        unknown = timeline(system, "m_000000000000000000000000")
        assert unknown.returncode == 1
        assert "Nothing is known" in unknown.stderr
        assert timeline(system, "rosa").returncode == 2
