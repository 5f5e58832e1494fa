"""Our own beat and many claimers over HTTP on the same agenda: nobody is reminded twice, everybody once."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis
import requests
from flask import Flask
from werkzeug.serving import make_server

from shared.conversation import Appointment
from shared.settings import Settings
from tests.workers.fakes import Clinic
from tests.workers.reminders.world import Patients
from webhook import reminders_claim
from workers.deliver import deliver
from workers.reminders import beat

VISITS, CLAIMERS = 60, 8
START = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=24)).replace(second=0, microsecond=0)


@pytest.fixture
def by_day(app_settings: Settings) -> Settings:
    return app_settings.model_copy(update={"QUIET_HOURS": "0-0", "REMINDER_SPREAD_MINUTES": 0.0})


@pytest.fixture
def url(by_day: Settings, client: redis.Redis) -> Iterator[str]:
    app = Flask("claims")
    app.register_blueprint(reminders_claim.blueprint(by_day, client))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/reminders/claim"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clinic(by_day: Settings, client: redis.Redis) -> Iterator[Clinic]:
    """A worker of ours; everybody has a visit at the same time tomorrow and agreed to reminders."""
    clinic = Clinic(by_day, client)
    visits = [
        Appointment(id=str(i), ref=f"CC-{i:04}", start=START, status="scheduled", phone=f"+5917{i:07}")
        for i in range(VISITS)
    ]
    clinic.agenda = Patients({visit.id: visit for visit in visits})  # type: ignore[assignment]
    clinic.services = clinic.worker()
    yield clinic
    clinic.services.background.shutdown()
    clinic.services.alarms.shutdown()


def test_nobody_is_reminded_twice_and_everybody_once(
    url: str, clinic: Clinic, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    visits = list(clinic.agenda.visits.values())  # type: ignore[union-attr]
    answered = threading.Semaphore(0)
    granted: list[str] = []
    # Small lots, each after an answer to a claimer: the two take turns instead of one of them being done at once.
    monkeypatch.setattr(beat, "CHUNK", 5)
    monkeypatch.setattr(beat, "reached", lambda _step: answered.acquire(timeout=10))

    def claim_all(number: int) -> None:
        with requests.Session() as session:
            session.headers["Authorization"] = "Bearer chat-key"
            # From the end of the agenda and from its middle, while the beat comes from the beginning.
            for visit in reversed(visits[number * 3 :] + visits[: number * 3]):
                asked = {"appointment_id": visit.id, "start": START.isoformat(), "kind": "ahead", "phone": visit.phone}
                answer = session.post(url, json=asked | {"consent": True}, timeout=20).json()
                answered.release()
                if answer["claimed"]:
                    granted.append(visit.phone)

    with ThreadPoolExecutor(CLAIMERS + 1) as pool:
        running = [pool.submit(claim_all, number) for number in range(CLAIMERS)]
        ours = pool.submit(beat.remind, clinic.services)
        for one in running:
            one.result()
    while waiting := client.zrange("reminders", 0, -1):  # they leave at a pace
        for member in waiting:
            deliver(clinic.services, str(member).partition(":")[0], "reminder")

    sent = [body["to"] for body in clinic.whatsapp.bodies]
    assert Counter(sent + granted) == {visit.phone: 1 for visit in visits}
    assert sent
    assert granted
    assert ours.result() == len(sent)
    assert client.zcard("unconfirmed") == VISITS  # whoever sends: what does not arrive is called about
