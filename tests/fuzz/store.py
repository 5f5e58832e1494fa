"""The target with a real Redis: any signed body through the webhook's intake, and every Lua script that it feeds.

Nothing outside may make a script fail, and what was accepted is read back as it was.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import redis

from demo.redis_server import RedisServer
from shared.settings import Settings
from shared.state import inbox
from tests.fuzz.inputs import Choices, bodies
from webhook.intake import Intake


class Rung:
    """A doorbell that remembers who was rung for."""

    def __init__(self) -> None:
        self.patients: list[str] = []

    def ring(self, patients: list[str]) -> None:
        self.patients = list(patients)


@functools.cache
def _parts() -> tuple[redis.Redis, Intake, Rung]:
    folder = Path(tempfile.mkdtemp(prefix="fuzz-redis-"))
    server = RedisServer(folder).start()
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    atexit.register(server.stop)
    client = redis.Redis.from_url(server.url, decode_responses=True)
    settings = Settings(_env_file=None, DEMO=True, REDIS_URL=server.url, PATIENT_ID_KEY="a key of the fuzzers")
    bell: Any = Rung()
    return client, Intake(settings, client, bell, Mock(), Mock()), bell


def store(data: bytes) -> None:
    """Accept a body twice: the second time nothing is added, and all that was added can be read."""
    client, intake, bell = _parts()
    client.flushdb()
    choices = Choices(data)
    body = json.dumps(choices.almost(choices.one_of(bodies()))).encode()
    intake.take(body)
    patients = sorted(set(bell.patients))
    kept = {patient: inbox.unsearched(client, [patient]).get(patient, []) for patient in patients}
    intake.take(body)
    again = {patient: inbox.unsearched(client, [patient]).get(patient, []) for patient in patients}
    assert [[e.message.id for e in entries] for entries in kept.values()] == [
        [e.message.id for e in entries] for entries in again.values()
    ]
    assert client.llen("dead") == 0
