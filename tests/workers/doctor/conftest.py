"""The doctor's patients: settings without any of the developer's, a running simulator, checks by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import requests

from shared.settings import Settings
from simulator.app import Simulator
from simulator.options import Options
from workers.doctor.check import Check, State

ACCOUNT = "100000000000001"


class Outside:
    """Meta and the backend as the simulator plays them, and what is done to them."""

    def __init__(self, simulator: Simulator) -> None:
        self.url, self.backend = simulator.url, simulator.backend_url
        self._http = requests.Session()
        self._http.trust_env = False

    def settings(self, **more: Any) -> Settings:
        """Settings that fit this world, outside the demo."""
        fitting = {
            "WHATSAPP_API_URL": self.url,
            "WHATSAPP_ACCESS_TOKEN": "demo-token",
            "WHATSAPP_PHONE_NUMBER_ID": "200000000000002",
            "WHATSAPP_BUSINESS_ACCOUNT_ID": ACCOUNT,
            "SEGUIMIENTO_SERVICE_URL": self.backend,
        }
        return plain(**(fitting | more))

    def control(self, method: str, path: str, **body: Any) -> Any:
        answer = self._http.request(method, f"{self.url}/control/{path}", json=body or None, timeout=5)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def close(self) -> None:
        self._http.close()


@pytest.fixture
def outside() -> Iterator[Outside]:
    with Simulator(Options(port=0)) as simulator:
        outside = Outside(simulator)
        yield outside
        outside.close()


def plain(**more: Any) -> Settings:
    return Settings(_env_file=None, **({"DEMO": False} | more))


def one(checks: Iterable[Check], name: str) -> Check:
    [check] = [check for check in checks if check.name == name]
    return check


def told(check: Check, state: State, found: str, advice: str = "") -> None:
    """State, a part of what was found and a part of the advice; only what is wrong carries advice."""
    assert check.state is state, check
    assert found in check.found, check
    assert advice in check.advice, check
    assert bool(check.advice) is (state in (State.FAILED, State.WARNING)), check
