"""A Redis that is full or read-only ends no worker: it would take its model with it. It waits, and then goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.processes.system import System, started, texts

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

REFUSALS: dict[str, tuple[Callable[[System], object], Callable[[System], object]]] = {
    "full": (lambda s: s.store.config_set("maxmemory", "1"), lambda s: s.store.config_set("maxmemory", "0")),
    "read_only": (lambda s: s.store.replicaof("127.0.0.1", 1), lambda s: s.store.replicaof("NO", "ONE")),
    "alone": (
        lambda s: s.store.config_set("min-replicas-to-write", "1"),
        lambda s: s.store.config_set("min-replicas-to-write", "0"),
    ),
}

NOTICED = ("Connection to broker lost", "Cannot connect to redis", "Unrecoverable error", "OutOfMemoryError")


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_worker_outlives_a_redis_that_refuses_to_write(refusal: str, tmp_path: Path) -> None:
    refuse, allow = REFUSALS[refusal]
    with started(tmp_path) as system:
        worker = system.start_worker()
        refuse(system)
        system.wait_for(lambda: not worker.is_running() or any(words in worker.log() for words in NOTICED))
        allow(system)
        assert worker.is_running(), worker.log()[-3000:]
        patient = "+59171230001"
        system.says(patient, "¿a qué hora atienden?")
        assert "Atendemos" in texts(system.reply(patient))
        assert worker.is_running()
