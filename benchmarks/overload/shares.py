"""The cores' shares as compose.yaml gives them to containers (`cpu_shares`), given to processes that run side by side.

Acknowledging goes before answering: webhook and Redis count four times. So do the senders, because Meta has machines of
its own. On Linux a session of processes is one group for the scheduler; only root may favour one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

FOUR_TIMES = "-6"  # as a nice value of the group: a weight of 3906 beside 1024


def favour(pids: Iterable[int]) -> bool:
    """Favour the sessions that these processes lead, and our own; False when it is not allowed or not known here."""
    try:
        for pid in (*pids, os.getpid()):
            Path(f"/proc/{pid}/autogroup").write_text(FOUR_TIMES, encoding="ascii")
    except OSError:
        return False
    return True
