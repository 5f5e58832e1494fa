"""A process is killed between any two effects; afterwards there is exactly one reply, alarm, write, reminder, report.

The points are the members of `Step`, each tried on its road: a new one is covered by itself, or its test says that the
road does not reach it. What is delivered takes the same steps three times: as a reply, a danger reply and a reminder.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from demo import processes
from demo.processes import Process
from shared.celery_app import QUEUE_OF_TASK, Role, TaskName, create_celery
from shared.checkpoints import Road, Step
from shared.identity import candidate_ids, message_id
from shared.messages import Identity
from shared.settings import Settings
from shared.state import alarms
from tests.processes.system import PATIENT_ID_KEY, System, started, texts
from tests.processes.test_reminders import remind_nobody_else, reminders_of, tomorrow
from tests.shared.alerts.mail import Mailbox, mail_server
from workers.report import once

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

DAYS = ("lunes", "martes", "miercoles", "jueves", "viernes")
DANGER = "mi papá está escupiendo sangre, ayuda"
OFFICE = "administracion@ejemplo.bo"


def on(*roads: Road) -> list[Step]:
    return [step for step in Step if step.road in roads]


def patient_of(step: Step, sort: int) -> str:
    return f"+591722{sort}{list(Step).index(step):04d}"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    settings = {"BURST_WAIT_MS": "0", "QUIET_HOURS": "0-0", "REMINDER_SPREAD_MINUTES": "0"}
    with started(tmp_path_factory.mktemp("kill"), **settings) as system:
        remind_nobody_else(system)
        yield system


@pytest.fixture(scope="module")
def summaries(system: System) -> dict[Step, dict[str, Any]]:
    """Bring one booking per step to its summary with a healthy worker: the tap will make the backend write.

    Each has a time of its own; the simulated agenda keeps 10:00 and 15:00 of every day free.
    """
    worker = system.start_worker("healthy")
    found = {}
    for number, step in enumerate(on(Road.DRAIN, Road.DELIVER)):
        patient = patient_of(step, 1)
        system.control("agenda/patients", {"phone": patient, "name": "Ana Prueba"})
        time = ("10:00", "15:00")[number // len(DAYS) % 2]
        system.says(patient, f"quiero una cita el proximo {DAYS[number % len(DAYS)]} a las {time}")
        found[step] = system.reply(patient)
        assert "Confirmar" in str(found[step]["body"]), texts(found[step])
    system.wait_for(system.everything_is_answered)
    worker.stop()
    return found


def covering(system: System, wamid: str) -> list[str]:
    return system.coverage().get(message_id(PATIENT_ID_KEY.encode(), wamid), [])


def killed_and_replaced(system: System, step: Step, act: Callable[[], str]) -> tuple[Process, str]:
    """Let a worker die at `step` of what `act` begins, and start another; returns that one, and what `act` returned."""
    doomed = system.start_worker("doomed", CRASH_AT=step.value)
    done = act()
    system.wait_for(lambda: not doomed.is_running())
    assert doomed.process is not None
    assert doomed.process.returncode == -9
    return system.start_worker("survivor"), done


@pytest.mark.parametrize("step", on(Road.DRAIN, Road.DELIVER), ids=str)
def test_a_worker_killed_in_a_turn_leaves_one_reply_and_one_write(
    step: Step, system: System, summaries: dict[Step, dict[str, Any]]
) -> None:
    patient, before = patient_of(step, 1), Counter(system.sent_deliveries())
    survivor, wamid = killed_and_replaced(system, step, lambda: system.taps(patient, summaries[step], "Confirmar"))
    system.reply(patient)
    system.wait_for(system.everything_is_answered)
    system.wait_for(lambda: covering(system, wamid))
    survivor.stop()

    assert len(covering(system, wamid)) == 1
    sent = Counter(system.sent_deliveries()) - before
    assert sum(sent.values()) == 1, sent
    assert len([v for v in system.appointments(patient) if v["status"] == "scheduled"]) == 1


@pytest.mark.parametrize("step", on(Road.TRIAGE, Road.DELIVER), ids=str)
def test_a_worker_killed_over_a_danger_sign_leaves_one_reply_and_staff_told(step: Step, system: System) -> None:
    patient, before = patient_of(step, 2), Counter(system.sent_deliveries())
    survivor, wamid = killed_and_replaced(system, step, lambda: system.says(patient, DANGER))
    system.reply(patient)
    system.wait_for(system.everything_is_answered)
    system.wait_for(lambda: covering(system, wamid))
    survivor.stop()

    assert len(covering(system, wamid)) == 1
    sent = Counter(system.sent_deliveries()) - before
    assert sum(sent.values()) == 1, sent
    assert [a for a in system.control("alerts")["alerts"] if a.get("phone") == patient]
    id_ = alarms.alarm_id(message_id(PATIENT_ID_KEY.encode(), wamid))
    assert id_ in [alarm.id for alarm in alarms.waiting(system.store)]  # the ladder goes on


@pytest.mark.parametrize("step", on(Road.REMIND, Road.DELIVER), ids=str)
def test_a_worker_killed_over_a_reminder_doubles_nothing_and_loses_nothing(step: Step, system: System) -> None:
    patient = patient_of(step, 3)
    tomorrow(system, patient)
    survivor, _ = killed_and_replaced(system, step, lambda: ring(system, TaskName.REMIND))
    ring(system, TaskName.REMIND)  # the ring of the dead worker is delivered again later: harmless, this one is enough

    p = candidate_ids(PATIENT_ID_KEY.encode(), Identity(number=patient.lstrip("+")))[0]

    def calls() -> list[dict[str, Any]]:
        return [call for call in map(json.loads, system.store.hvals("calls")) if call["patient"] == p]

    def told() -> list[dict[str, Any]]:
        # What was rung for the dead worker is rung again after a minute; the test need not wait for it.
        if system.store.zscore("reminders", f"{p}:reminder") is not None:
            system.store.zadd("reminders", {f"{p}:reminder": 0}, xx=True)
            return []
        return reminders_of(system, patient) or calls()

    system.wait_for(told)
    survivor.stop()
    # Marked as being sent when the power went: nobody knows, so it is never repeated and a person calls. A status of
    # Meta tells what became of it, where one comes.
    assert len(reminders_of(system, patient)) == (0 if step is Step.CLAIMED else 1)
    assert bool(calls()) == (step is Step.CLAIMED)


@pytest.mark.parametrize("step", on(Road.ACCEPT), ids=str)
def test_a_webhook_killed_before_its_200_is_asked_again_and_answers_once(step: Step, system: System) -> None:
    next(p for p in reversed(system.running) if p.name == "webhook").stop()
    doomed = processes.webhook(system.environment | {"CRASH_AT": step.value}, system.folder)
    doomed.log_path = system.folder / f"webhook-{step}.log"
    system.start(doomed)
    system.wait_for(lambda: requests.get(f"{system.url}/health/live", timeout=2).ok)
    patient = patient_of(step, 4)
    wamid = system.says(patient, "hola buenas tardes")
    survivor = system.start_worker("after")
    reply = system.reply(patient)  # the sweep rings although nobody rang the bell
    system.wait_for(lambda: "SIGKILL" in doomed.log())  # gunicorn says it of its children
    doomed.kill()
    system.start_webhook()
    system.wait_for(lambda: system.control("idle", timeout=20)["idle"])
    system.wait_for(system.everything_is_answered)
    assert texts(reply)
    (delivery,) = covering(system, wamid)
    assert len(system.control("messages", patient=patient, direction="to_patient")["messages"]) == 1
    assert system.store.hget(f"delivery:{delivery}", "status") == "read"
    survivor.stop()


# The daily report: nothing of it concerns a patient, so it has a system of its own, where it is noon.


@pytest.fixture(scope="module")
def post_office() -> Iterator[tuple[Mailbox, int]]:
    with mail_server() as found:
        yield found


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory, post_office: tuple[Mailbox, int]) -> Iterator[System]:
    settings = {
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(post_office[1]),
        "SMTP_STARTTLS": "false",
        "ALERT_EMAIL_FROM": "asistente@ejemplo.bo",
        "ALERT_EMAIL_TO": "enfermeria@ejemplo.bo",
        "REPORT_EMAIL_TO": OFFICE,
        "CENTER_TIMEZONE": f"Etc/GMT{dt.datetime.now(dt.UTC).hour - 12:+d}",
    }
    system = System(tmp_path_factory.mktemp("office"), **settings)
    try:
        system.start_world()
        yield system
    finally:
        system.stop()


@pytest.mark.parametrize("step", on(Road.REPORT), ids=str)
def test_a_worker_killed_over_the_report_sends_no_second_one(
    step: Step, office: System, post_office: tuple[Mailbox, int]
) -> None:
    mailbox, store = post_office[0], office.store
    for key in store.scan_iter("report:*"):
        store.delete(key)
    mailbox.mails.clear()
    survivor, _ = killed_and_replaced(office, step, lambda: ring(office, TaskName.REPORT))
    (key,) = store.scan_iter("report:*")
    # Ten minutes later: a lease has run out, and what was being sent is not under way any more.
    store.pexpire(key, 1 if step is Step.REPORT_CLAIMED else once.KEEP_MS - once.LEASE_MS)
    ring(office, TaskName.REPORT)
    office.wait_for(lambda: store.get(key) in ("sent", "unknown"))
    ring(office, TaskName.REPORT)
    seen = store.hget("pulse", "ops")
    office.wait_for(lambda: store.hget("pulse", "ops") != seen)  # whatever stood in the queue before has been done
    survivor.stop()

    reports = [mail for mail in mailbox.mails if OFFICE in str(mail["To"])]
    assert len(reports) == (0 if step is Step.REPORT_SENDING else 1)
    # When it may have gone out, it is not sent again by itself, and staff are told.
    told = store.zscore("incidents", "report_unknown") is not None
    assert told == (step is not Step.REPORT_CLAIMED)
    store.zrem("incidents", "report_unknown")


def ring(system: System, task: TaskName) -> str:
    """What Beat does."""
    settings = Settings(_env_file=None, DEMO=True, REDIS_URL=system.redis_server.url)
    with create_celery(settings, Role.BEAT) as celery:
        celery.send_task(task.value, queue=QUEUE_OF_TASK[task].value)
    return task.value


def test_every_step_has_a_road_that_is_walked() -> None:
    walked = {Road.ACCEPT, Road.TRIAGE, Road.DRAIN, Road.DELIVER, Road.REMIND, Road.REPORT}
    assert {step.road for step in Step} == walked == set(Road)
