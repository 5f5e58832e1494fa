"""A worker whose model never answers, and which waits six seconds for what is in hand.

Run: celery -A tests.processes.hung_worker worker. The hang minds no deadline, as a name server or a disk would not.
"""

from __future__ import annotations

import threading

from tests.chaos import worker as scripted
from workers import stopping


def hang_for_ever(deadline_s: float) -> None:
    threading.Event().wait()


setattr(scripted, "suffer", hang_for_ever)  # noqa: B010 - what its reader calls before each answer
setattr(stopping, "WITHIN_S", 6.0)  # noqa: B010 - a constant outside tests

app = scripted.app

__all__ = ["app"]
