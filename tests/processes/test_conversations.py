"""Every conversation of `conversations/*.yaml`, through real processes and the bundled model."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes.conversations.runner import conversing, play
from tests.processes.conversations.script import load, names
from tests.processes.system import System

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with conversing(tmp_path_factory.mktemp("conversations")) as system:
        yield system


@pytest.mark.parametrize("name", names())
def test_conversation(system: System, name: str) -> None:
    outcome = play(system, name, load(name))
    assert outcome.done, f"\n{outcome}"
