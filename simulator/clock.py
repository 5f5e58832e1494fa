"""A clock that can be frozen or moved, one for Meta and one for the backend. Set by the control API."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta


class Clock:
    """Tells the time: the wall clock, unless it was set."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frozen: datetime | None = None
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the present moment, timezone-aware (UTC)."""
        with self._lock:
            return self._frozen if self._frozen is not None else datetime.now(UTC) + self._offset

    def set(self, at: datetime, *, ticking: bool = False) -> None:
        """Stand still at `at`, or go on from there when `ticking`. `at` must be timezone-aware."""
        with self._lock:
            self._frozen = None if ticking else at.astimezone(UTC)
            self._offset = at.astimezone(UTC) - datetime.now(UTC) if ticking else timedelta()

    def advance(self, seconds: float) -> None:
        """Move by `seconds`, a frozen clock too; negative goes back."""
        with self._lock:
            if self._frozen is not None:
                self._frozen += timedelta(seconds=seconds)
            else:
                self._offset += timedelta(seconds=seconds)

    def reset(self) -> None:
        """Be the wall clock again."""
        with self._lock:
            self._frozen, self._offset = None, timedelta()
