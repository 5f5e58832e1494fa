"""Patients who book: ask for a day, wait for the summary, tap "Confirmar"; the visit must be written once.

One after the other in a thread of its own. How a patient is answered does not matter here but for the summary: a
booking that does not come to its tap (the backend was down and a person takes over) writes nothing and is not counted.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.chaos.posting import BOOKING, Posting, tap
from tests.processes.system import System

DAYS = ("lunes", "martes", "miercoles", "jueves", "viernes")
PATIENCE_S = 120.0


@dataclass
class Booking:
    """`confirmed`: patients who tapped, with what they read then."""

    system: System
    posting: Posting
    confirmed: dict[str, str] = field(default_factory=dict)
    begun: int = 0

    def __post_init__(self) -> None:
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._book, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Let the patient in hand come to an end, and no more."""
        self._enough.set()
        self._thread.join()

    def _book(self) -> None:
        while not self._enough.wait(2):
            phone = f"5916{self.begun:07d}"
            self.begun += 1
            self.system.control("agenda/patients", {"phone": f"+{phone}", "name": "Ana Prueba"})
            words = f"quiero una cita el proximo {DAYS[self.begun % 5]} a las {('10:00', '15:00')[self.begun % 2]}"
            self.posting.say(phone, BOOKING, {"type": "text", "text": {"body": words}})
            summary = self._reply(phone, 0)
            button = next((b["reply"] for b in _buttons(summary) if b["reply"]["title"] == "Confirmar"), None)
            if button is None:
                continue
            self.posting.say(phone, BOOKING, tap(button["id"], "Confirmar"))
            self.confirmed[phone] = str(self._reply(phone, summary["seq"] if summary else 0).get("text", ""))

    def _reply(self, phone: str, after: int) -> dict[str, Any]:
        for _ in range(int(PATIENCE_S // 10)):
            try:
                found = self.system.control("replies", patient=phone, after=after, timeout=10)["messages"]
            except requests.RequestException:
                continue
            if found:
                return dict(found[0])
        return {}


def _buttons(reply: dict[str, Any]) -> list[dict[str, Any]]:
    interactive = reply.get("body", {}).get("interactive", {})
    return list(interactive.get("action", {}).get("buttons", []))
