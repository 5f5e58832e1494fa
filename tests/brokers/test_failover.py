"""Redis behind Sentinel, short: masters die and freeze while patients write; what each failover lost is printed.

The long version is `make chaos-sentinel`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.__main__ import table
from tests.chaos.broker_faults import SENTINEL
from tests.chaos.chaos import run

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]
SECONDS = 29
ONLY = ("master killed, a replica takes over", "master frozen, a replica takes over")


def test_a_failover_loses_doubles_and_reorders_nothing(tmp_path: Path) -> None:
    only = [fault for fault in SENTINEL if fault.name in ONLY]
    done = run(tmp_path, seed=12, seconds=SECONDS, per_second=4, redis="sentinel", only=only)
    print(table(done))
    assert done.verdict.is_clean, table(done)
    assert done.failed == []
    assert len(done.failovers) >= 2
    assert [failover.lost for failover in done.failovers] == [0] * len(done.failovers)
    assert all(failover.seconds and failover.acknowledged for failover in done.failovers)
