"""Too many at once for a model that hangs, and a worker killed in the middle: told once, answered once, in order."""

from __future__ import annotations

import uuid
from collections import defaultdict
from pathlib import Path

import pytest

from benchmarks.overload.crowd import crowd, patients_of, post
from benchmarks.overload.verdict import judge
from demo import processes
from demo.processes import Process
from shared.identity import message_id
from shared.state import audit
from tests.processes.system import APP_SECRET, PATIENT_ID_KEY, System, started

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

MESSAGES = 110


def start_worker(system: System, name: str) -> Process:
    process = processes.worker(system.environment, system.folder, name)
    process.arguments = ["tests.chaos.worker" if a == "workers.app" else a for a in process.arguments]
    return system.start(process)


def test_a_crowd_is_told_once_that_it_waits_and_then_answered_once_and_in_order(tmp_path: Path) -> None:
    hangs = tmp_path / "model_fault"
    hangs.write_text("hang", encoding="ascii")
    settings = {"CHAOS_MODEL": "scripted", "CHAOS_MODEL_FAULT": str(hangs), "WAIT_NOTICE_S": "3"}
    with started(tmp_path, **settings) as system:
        system.control("rules", {"check_wamids": False})
        doomed = start_worker(system, "doomed")
        lines, run = crowd(MESSAGES, 2.0), uuid.uuid4().hex[:8]
        posted = post(lines, system.port, APP_SECRET.encode(), run)
        assert {one.status for one in posted} == {200}

        def told() -> int:
            return int(system.store.hget("metrics", "notices_total") or 0)

        system.wait_for(lambda: told() >= 10)
        doomed.kill()
        start_worker(system, "steady")
        in_danger = sum(line.in_danger for line in lines)
        wait_for_answer = patients_of(lines) - in_danger
        system.wait_for(lambda: told() == wait_for_answer)
        system.wait_for(lambda: system.store.zcard("outgoing") == 0)
        hangs.unlink()
        system.wait_for(system.everything_is_answered, 120)

        written: dict[str, list[str]] = defaultdict(list)
        for line in sorted(lines, key=lambda line: line.number):
            written[str(line.patient)].append(message_id(PATIENT_ID_KEY.encode(), f"wamid.{run}.{line.number}"))
        verdict = judge(written, audit.read(system.store, "-"), system.sent_deliveries())
        assert verdict.lost == []
        assert verdict.doubled == []
        assert verdict.disordered == []
        assert verdict.told_wrongly == []
        assert told() == wait_for_answer
        # What was being sent when the worker was killed is not sent again: a notice twice is worse than none.
        assert wait_for_answer - 16 <= verdict.told <= wait_for_answer
        assert len(verdict.danger_s) == in_danger == 1
        assert system.store.llen("dead") == 0
