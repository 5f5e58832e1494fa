"""Incidents of this process alone, for the time when Redis cannot be asked. Same interface as `RedisIncidents`."""

from __future__ import annotations

import threading
from dataclasses import replace

from shared.state.incidents import CLOSED_TTL_S, Ending, Incident


class LocalIncidents:
    """Kept in memory; safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, Incident] = {}
        self._closed_ms: dict[str, int] = {}

    def open(self, kind: str, detail: str, now_ms: int, *, settle_ms: int, unsteady_ms: int) -> bool:
        with self._lock:
            known = self._open.get(kind)
            if known:
                self._open[kind] = replace(known, detail=detail, last_ms=now_ms, count=known.count + 1, works_ms=0)
                return False
            unsteady = now_ms - self._closed_ms.get(kind, 0) < CLOSED_TTL_S * 1000
            self._open[kind] = Incident(
                kind, detail, now_ms, now_ms, 1, tried_ms=now_ms, settle_ms=unsteady_ms if unsteady else settle_ms
            )
            return True

    def close(self, kind: str, ending: Ending, now_ms: int, quiet_ms: int = 0) -> Incident | None:
        with self._lock:
            known = self._open.get(kind)
            if known is None or (ending is Ending.SETTLED and not known.works_ms):
                return None
            if ending is Ending.WORKS and not known.works_ms:
                known = self._open[kind] = replace(known, works_ms=now_ms)
            if ending is not Ending.HAND and now_ms - known.last_ms < (
                quiet_ms if ending is Ending.QUIET else known.settle_ms
            ):
                return None
            self._closed_ms[kind] = now_ms
            return self._open.pop(kind)

    def claim(self, kind: str, tried_ms: int, now_ms: int) -> bool:
        with self._lock:
            known = self._open.get(kind)
            if known is None or known.tried_ms != tried_ms:
                return False
            self._open[kind] = replace(known, tried_ms=now_ms)
            return True

    def told(self, kind: str, opened_ms: int, count: int, now_ms: int) -> None:
        with self._lock:
            known = self._open.get(kind)
            if known and known.opened_ms == opened_ms:
                self._open[kind] = replace(known, told_ms=now_ms, told_count=count)

    def kinds(self) -> set[str]:
        with self._lock:
            return set(self._open)

    def listed(self) -> list[Incident]:
        with self._lock:
            return list(self._open.values())

    def get(self, kind: str) -> Incident | None:
        with self._lock:
            return self._open.get(kind)

    def take(self, kind: str) -> None:
        """Forget it here without closing it: Redis keeps it from now on."""
        with self._lock:
            self._open.pop(kind, None)
