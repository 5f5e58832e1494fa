"""Progress of a download as log lines, where there is no terminal to draw a bar on. Given to the library by `hub`."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

if TYPE_CHECKING:
    Bar = tqdm[Any]
else:
    Bar = tqdm  # at run time it takes no type argument

log = logging.getLogger(__name__)


class LoggedProgress(Bar):
    """A bar that speaks every few seconds and at its end."""

    EVERY_S = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._logged_at = time.monotonic()
        # The library shows three bars; the bytes that arrive are the one worth a line.
        self._speaks = kwargs.get("unit") == "B" and str(kwargs.get("desc")).startswith("Downloading")
        super().__init__(*args, **{**kwargs, "disable": False, "mininterval": 1.0})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Called by tqdm to draw."""
        total = self.total or 0
        done = 0 < total <= self.n
        now = time.monotonic()
        if self._speaks and (done or now - self._logged_at >= self.EVERY_S):
            self._logged_at = now
            megabytes = {"done_mb": round(self.n / 1e6, 1), "total_mb": round(total / 1e6, 1)}
            log.info("downloading the model", extra=megabytes)

    def clear(self, nolock: bool = False) -> None:
        """There is nothing on the screen to clear."""
