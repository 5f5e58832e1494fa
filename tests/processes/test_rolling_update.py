"""A release is replaced by another and back, as deploy/update.sh and deploy/rollback.sh do it, while patients write.

Migration first; then workers, new ones beside the old; then webhook processes one by one, old and new on one port. Who
posts may get no answer for a moment, and posts again, as nginx and Meta do: nothing is lost, doubled or reordered.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest
import requests

from demo import processes
from demo.processes import Process
from shared.identity import message_id
from shared.state import schema
from tests.processes.system import PATIENT_ID_KEY, System, assert_answered_once_and_in_order, started
from tests.processes.test_load import SAID, body, post

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

PATIENTS = 6
EVERY_S = 0.12
AGAIN_S = 0.2
GIVE_UP_S = 30  # Meta itself tries for days


@dataclass
class Written:
    """What Meta has posted: patient -> message ids in order; and how often it had to post again."""

    ids: dict[str, list[str]] = field(default_factory=dict)
    repeated: int = 0
    problems: list[BaseException] = field(default_factory=list)

    def total(self) -> int:
        return sum(len(ids) for ids in self.ids.values())


def post_as_meta_does(system: System, content: bytes, written: Written) -> None:
    """Post until it is acknowledged."""
    deadline = time.monotonic() + GIVE_UP_S
    while True:
        try:
            return post(system, content)
        except (requests.RequestException, AssertionError):
            if time.monotonic() > deadline:
                raise
            written.repeated += 1
            time.sleep(AGAIN_S)


@contextmanager
def patients_writing(system: System) -> Iterator[Written]:
    written, enough = Written(), threading.Event()

    def write() -> None:
        try:
            for number in count():
                phone, wamid = f"5917{number % PATIENTS:07d}", f"wamid.rolling.{number}"
                post_as_meta_does(system, body(phone, wamid, SAID[number % len(SAID)]), written)
                written.ids.setdefault(phone, []).append(message_id(PATIENT_ID_KEY.encode(), wamid))
                if enough.wait(EVERY_S):
                    return
        except BaseException as error:
            written.problems.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        enough.set()
        writer.join()
    assert written.problems == []


def end(process: Process) -> None:
    """SIGTERM, as an engine sends it, and wait."""
    assert process.process is not None
    process.process.terminate()
    assert process.process.wait(timeout=60) == 0, process.log()[-2000:]


def is_listening(process: Process) -> bool:
    """Whether a gunicorn has booted its workers: they are its children, and each listens by itself."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return len(children.read_text().split()) >= 2 and process.is_running()


def migrate(system: System) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "workers.migrate"],
        cwd=processes.ROOT,
        env=os.environ | system.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "up to date" in done.stdout


def replace(system: System, release: str, workers: list[Process], webhooks: list[Process]) -> tuple[list[Process], ...]:
    """The steps of deploy/update.sh."""
    migrate(system)
    new_workers = [system.start_worker(f"worker-{release}-{n}") for n in range(len(workers))]
    for worker in workers:
        end(worker)
    new_webhooks = []
    for number, old in enumerate(webhooks):
        new = processes.webhook(system.environment, system.folder)
        new.log_path = system.folder / f"webhook-{release}-{number}.log"
        new_webhooks.append(system.start(new))
        system.wait_for(lambda: is_listening(new))  # noqa: B023 - waited for here
        end(old)
    return new_workers, new_webhooks


def test_no_message_is_lost_doubled_or_reordered_by_an_update_and_its_roll_back(tmp_path: Path) -> None:
    with started(tmp_path, RATE_LIMIT_PER_MINUTE="1000") as system:
        system.control("rules", {"check_wamids": False})  # the simulator did not send these messages itself
        webhooks = [process for process in system.running if process.name == "webhook"]
        second = processes.webhook(system.environment, system.folder)
        webhooks.append(system.start(second))
        system.wait_for(lambda: is_listening(second))
        workers = [system.start_worker(f"worker-before-{n}") for n in range(2)]
        with patients_writing(system) as written:
            system.wait_for(lambda: len(system.sent_deliveries()) > 3)
            for release in ("after", "back"):
                workers, webhooks = replace(system, release, workers, webhooks)
                seen = len(system.sent_deliveries())
                system.wait_for(lambda: len(system.sent_deliveries()) > seen + 3)  # noqa: B023
        system.wait_for(system.everything_is_answered)

        assert_answered_once_and_in_order(system, written.ids)
        assert system.store.get(schema.KEY) == str(schema.CURRENT)
        assert written.total() > 50
        print(f"{written.total()} messages, {written.repeated} posted again")


def test_an_older_store_is_migrated_by_the_first_worker_and_what_meta_posted_meanwhile_is_answered(
    tmp_path: Path,
) -> None:
    system = System(tmp_path)
    try:
        line = {"patient": "p_0", "delivery": "d_0", "kind": "reply", "why": "unknown", "at": 1795168800000}
        system.store.lpush("calls", json.dumps(line))
        system.store.set("optout:p_0", 1795168800000)
        system.start_world()
        system.control("rules", {"check_wamids": False})
        system.start_webhook()
        content, written = body("59170000001", "wamid.older", "hola"), Written()
        with pytest.raises(AssertionError):
            post(system, content)
        refused = requests.get(f"{system.url}/health", timeout=5)
        assert refused.status_code == 503
        assert "waits for schema 2" in refused.json()["problems"][0]

        worker = system.start_worker()
        post_as_meta_does(system, content, written)
        system.wait_for(system.sent_deliveries)
        system.wait_for(system.everything_is_answered)

        assert list(system.coverage()) == [message_id(PATIENT_ID_KEY.encode(), "wamid.older")]
        assert json.loads(system.store.hget("calls", "d_0") or "") == line
        assert system.store.zscore("optouts", "p_0") == 1795168800000
        assert "Schema 2: done" in worker.log()
    finally:
        system.stop()
