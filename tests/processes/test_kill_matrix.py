"""A process is killed between any two effects; afterwards there is exactly one reply, one alarm, one backend write.

The points are the members of `Step`: a new one is covered by itself, or this test says that it is not reached.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from shared.checkpoints import Step
from shared.identity import message_id
from shared.state import alarms
from tests.processes.system import PATIENT_ID_KEY, System, started, texts

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

ALARM = {Step.ALARM_TOLD, Step.ALARM_QUEUED}
REMINDERS = {Step.REMINDERS_CLAIMED, Step.REMINDER_CHECKED}  # test_reminders.py kills there


DAYS = ("lunes", "martes", "miercoles", "jueves", "viernes")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with started(tmp_path_factory.mktemp("kill"), BURST_WAIT_MS="0") as system:
        yield system


@pytest.fixture(scope="module")
def summaries(system: System) -> dict[Step, dict[str, Any]]:
    """Bring one booking per step to its summary with a healthy worker: the tap will make the backend write.

    Each has a time of its own; the simulated agenda keeps 10:00 and 15:00 of every day free.
    """
    worker = system.start_worker("healthy")
    found = {}
    for number, step in enumerate(s for s in Step if s not in ALARM | REMINDERS):
        patient = patient_of(step)
        system.control("agenda/patients", {"phone": patient, "name": "Ana Prueba"})
        time = "10:00" if number < 5 else "15:00"
        system.says(patient, f"quiero una cita el proximo {DAYS[number % 5]} a las {time}")
        found[step] = system.reply(patient)
        assert "Confirmar" in str(found[step]["body"]), texts(found[step])
    system.wait_for(system.everything_is_answered)
    worker.stop()
    return found


def patient_of(step: Step) -> str:
    return f"+5917222{list(Step).index(step):04d}"


def covering(system: System, wamid: str) -> list[str]:
    return system.coverage().get(message_id(PATIENT_ID_KEY.encode(), wamid), [])


@pytest.mark.parametrize("step", [s for s in Step if s is not Step.ACCEPTED and s not in REMINDERS], ids=str)
def test_a_worker_killed_at_a_step_leaves_exactly_one_reply_and_one_write(
    step: Step, system: System, summaries: dict[Step, dict[str, Any]]
) -> None:
    patient, summary = patient_of(step), summaries.get(step)
    sent_before = Counter(system.sent_deliveries())

    doomed = system.start_worker("doomed", CRASH_AT=step.value)
    if summary is None:
        wamid = system.says(patient, "mi papá está escupiendo sangre, ayuda")
    else:
        wamid = system.taps(patient, summary, "Confirmar")
    system.wait_for(lambda: not doomed.is_running())
    assert doomed.process is not None
    assert doomed.process.returncode == -9

    survivor = system.start_worker("survivor")
    system.reply(patient)
    system.wait_for(system.everything_is_answered)
    system.wait_for(lambda: covering(system, wamid))
    survivor.stop()

    sent = Counter(system.sent_deliveries()) - sent_before
    assert len(covering(system, wamid)) == 1
    assert sum(sent.values()) == 1, sent
    if summary is not None:
        visits = [v for v in system.appointments(patient) if v["status"] == "scheduled"]
        assert len(visits) == 1
    else:
        alerts = [a for a in system.control("alerts")["alerts"] if a.get("phone") == patient]
        assert alerts
        id_ = alarms.alarm_id(message_id(PATIENT_ID_KEY.encode(), wamid))
        assert id_ in [alarm.id for alarm in alarms.waiting(system.store)]  # the ladder goes on


def test_a_webhook_killed_before_its_200_is_asked_again_and_answers_once(system: System) -> None:
    system.running[1].stop()
    doomed = system.start_webhook(CRASH_AT=Step.ACCEPTED.value)
    patient = "+59172220999"
    wamid = system.says(patient, "hola buenas tardes")
    survivor = system.start_worker("after")
    reply = system.reply(patient)  # the sweep rings although nobody rang the bell
    doomed.kill()
    system.start_webhook()
    system.wait_for(lambda: system.control("idle", timeout=20) is not None)
    system.wait_for(system.everything_is_answered)
    assert texts(reply)
    assert len(covering(system, wamid)) == 1
    assert len(system.control("messages", patient=patient, direction="to_patient")["messages"]) == 1
    survivor.stop()
