"""A clinic with one patient and one worker on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from shared.settings import Settings
from tests.workers.fakes import Clinic


@pytest.fixture
def clinic(settings: Settings, client: redis.Redis) -> Iterator[Clinic]:
    clinic = Clinic(settings.model_copy(update={"BURST_WAIT_MS": 0}), client)
    yield clinic
    clinic.services.background.shutdown()
    clinic.services.alarms.shutdown()
