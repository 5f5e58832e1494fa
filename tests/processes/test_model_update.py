"""Another revision of the model and back, while patients write: each message is answered exactly once.

Real processes, a Hub on loopback with two revisions of the bundled model; the steps are those of docs/running.md. And a
model that fails the release gate: refused, told everywhere, and patients are answered.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from demo import processes
from demo.processes import Process
from shared.identity import message_id
from shared.settings import BUNDLED_MODEL
from tests.processes.system import PATIENT_ID_KEY, System, started, texts
from tests.processes.test_load import SAID, body, post
from tests.workers.model.conftest import save_model
from tests.workers.model.hub_server import HubServer, Repo

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

NAME = "clinic/gpt2"
PATIENTS = 8
EVERY_S = 0.25  # four messages a second, all the while


@contextmanager
def patients_writing(system: System) -> Iterator[list[str]]:
    """Let patients write one after the other until the block ends; yields the ids of what they wrote."""
    written: list[str] = []
    problems: list[BaseException] = []
    enough = threading.Event()

    def write() -> None:
        for number, said in zip(itertools.count(), itertools.cycle(SAID)):
            phone, wamid = f"5917{number % PATIENTS:07d}", f"wamid.update.{number}"
            try:
                post(system, body(phone, wamid, said))
            except BaseException as error:
                problems.append(error)
                return
            written.append(message_id(PATIENT_ID_KEY.encode(), wamid))
            if enough.wait(EVERY_S):
                return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        enough.set()
        writer.join()
    assert problems == []


def revisions(system: System) -> Counter[str]:
    """Which revisions answer now, as GET /model tells an operator."""
    workers = requests.get(f"{system.url}/model", timeout=5).json()["workers"]
    return Counter(str(worker["revision"]) for worker in workers if worker["state"] == "ready")


def replace(system: System, old: list[Process], tag: str, commit: str) -> list[Process]:
    """Start workers with another revision, wait until they have it, then end the old ones by SIGTERM."""
    environment = system.environment | {"MODEL_REVISION": tag}
    begun = len(system.running)
    new = [system.start(processes.worker(environment, system.folder, f"worker-{begun}-{n}")) for n in range(2)]
    system.wait_for(lambda: revisions(system)[commit] == 2)
    for worker in old:
        assert worker.process is not None
        worker.process.terminate()
    for worker in old:
        assert worker.process is not None
        assert worker.process.wait(timeout=60) == 0
    return new


def test_no_message_is_lost_or_doubled_while_the_model_changes_and_back(tmp_path: Path) -> None:
    with HubServer() as hub:
        repo = hub.repos[NAME] = Repo(token="hf_secret")
        one = repo.commit_folder(BUNDLED_MODEL, "v1", **{"training.json": b'{"release": 1}'})
        two = repo.commit_folder(BUNDLED_MODEL, "v2", **{"training.json": b'{"release": 2}'})
        model = {"MODEL_NAME": NAME, "MODEL_CACHE_DIR": str(tmp_path / "models"), "MODEL_THREADS": "1"}
        access = {"HF_TOKEN": "hf_secret", "HF_ENDPOINT": hub.address}
        with started(tmp_path, **model, **access, RATE_LIMIT_PER_MINUTE="1000") as system:
            system.control("rules", {"check_wamids": False})  # the simulator did not send these messages itself
            workers = replace(system, [], "v1", one)
            with patients_writing(system) as written:
                system.wait_for(lambda: len(system.sent_deliveries()) > 3)
                workers = replace(system, workers, "v2", two)
                system.wait_for(lambda: revisions(system) == {two: 2})
                seen = len(system.sent_deliveries())
                system.wait_for(lambda: len(system.sent_deliveries()) > seen + 3)
                workers = replace(system, workers, "v1", one)
                system.wait_for(lambda: revisions(system) == {one: 2})
            system.wait_for(system.everything_is_answered)

            coverage = system.coverage()
            assert set(coverage) == set(written)
            doubled = {
                m: [system.store.hgetall(f"delivery:{d}") for d in ds] for m, ds in coverage.items() if len(ds) > 1
            }
            assert doubled == {}
            sent = system.sent_deliveries()
            assert len(sent) == len(set(sent)) == len({each[0] for each in coverage.values()})
            assert system.store.llen("dead") == 0
            assert len(written) > 20
            assert any(str(name).startswith("model_seconds|") for name in system.store.hkeys("metrics"))


def test_a_model_that_fails_the_gate_is_refused_told_and_does_without(tmp_path: Path) -> None:
    folder = save_model(tmp_path / "random")  # our format, and nothing learnt
    with started(tmp_path, MODEL_NAME=str(folder), MODEL_THREADS="1") as system:
        worker = system.start_worker()
        refused = "the model is refused by the release gate"

        def told() -> list[str]:
            problems: list[str] = requests.get(f"{system.url}/health", timeout=5).json()["problems"]
            return [problem for problem in problems if refused in problem]

        assert len(system.wait_for(told)) == 1
        model = requests.get(f"{system.url}/model", timeout=5)
        assert (model.status_code, model.json()["workers"][0]["state"]) == (503, "failed")
        assert refused in model.json()["workers"][0]["error"]
        assert '"kind": "model_failed"' in worker.log()
        assert f"no model: {refused}" in worker.log()
        system.says("+59170000001", "¿a qué hora atienden?")
        assert "Atendemos de lunes a viernes" in texts(system.reply("+59170000001"))
