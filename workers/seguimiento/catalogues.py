"""The backend's words for states and types, with their ids: read when first needed, kept for an hour.

A word that is missing is looked for again each time it is needed, and never added: that is the centre's decision.
Retired ones are not written.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from shared.errors import PartnerRefused
from workers.seguimiento.answers import PARTNER
from workers.seguimiento.api import Api
from workers.seguimiento.rows import CANCELADO, word

KEEP_S = 3600
STATES, TYPES = "/cita/estado-cita", "/cita/tipo-cita"


class Catalogues:
    """Safe for threads."""

    def __init__(self, api: Api, now: Callable[[], float] = time.monotonic) -> None:
        self._api, self._now = api, now
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, dict[str, str]]] = {}

    def ids(self, route: str) -> dict[str, str]:
        """Word -> id of the rows in use. Raises as a read does."""
        with self._lock:
            known = self._known.get(route)
            if known is None or self._now() - known[0] > KEEP_S:
                rows = [row for row in self._api.get_list(route) if isinstance(row, dict)]
                ids = {word(row, "descripcion"): word(row, "id") for row in rows if row.get("estado") is True}
                known = self._known[route] = (self._now(), ids)
            return known[1]

    def state(self, name: str) -> str:
        """The id of a state. Raises PartnerRefused when the backend has no such word."""
        return self._id(STATES, name)

    def type(self, name: str) -> str:
        """The id of a type of visit, likewise."""
        return self._id(TYPES, name)

    def cancelled(self) -> str | None:
        """The word for cancelled visits; None when the centre has none, as it is delivered."""
        return next((name for name in CANCELADO if self._find(STATES, name)), None)

    def forget(self) -> None:
        """Read again what is needed next: an id was refused."""
        with self._lock:
            self._known.clear()

    def _id(self, route: str, name: str) -> str:
        found = self._find(route, name)
        if not found:
            raise PartnerRefused(f"{PARTNER}: {name!r} is missing in {route}", code=f"no {name}")
        return found

    def _find(self, route: str, name: str) -> str | None:
        found = self.ids(route).get(name)
        if found:
            return found
        with self._lock:
            self._known.pop(route, None)  # it may have been added meanwhile
        return self.ids(route).get(name)
