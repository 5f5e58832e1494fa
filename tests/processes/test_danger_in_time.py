"""A danger message gets its fixed reply while the backend or the model hangs, the model loads, or a queue stands.

The conditions and how they are measured are those of `make bench-danger`, with fewer messages. No wall time is asserted
but the one that counts: what hangs is not over yet when the replies are there.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.danger.conditions import CONDITIONS, Amount, measure
from benchmarks.danger.replies import PATIENCE_S

pytestmark = [pytest.mark.processes, pytest.mark.timeout(240)]

FEW = Amount(messages=10, per_second=4, asking_per_second=4, backlog=40, queue_s=4, workers=1)
HARD = [name for name in CONDITIONS if name != "calm"]


@pytest.mark.parametrize("condition", HARD)
def test_every_danger_message_gets_its_fixed_reply_once(condition: str, tmp_path: Path) -> None:
    found = measure(condition, FEW, tmp_path)
    assert (found.missing, found.doubled) == (0, 0)
    assert len(found.seconds) >= FEW.messages
    assert max(found.seconds) < PATIENCE_S / 2
    assert condition == "limit" or found.standing > 0
