"""The fixed clock of the language tests and the example messages."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

LA_PAZ = ZoneInfo("America/La_Paz")
DATA = Path(__file__).parent / "data"


@pytest.fixture
def now() -> dt.datetime:
    """Monday 2026-11-23, nine in the morning at the clinic."""
    return dt.datetime(2026, 11, 23, 9, 0, tzinfo=LA_PAZ)


def load_messages(name: str) -> list[dict[str, Any]]:
    """Return the labelled messages of a file in `data/`."""
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line]
