"""Patients who book: ask for a day, wait for the summary, tap "Confirmar"; the visit must be written once.

Four side by side, each in a thread. How a patient is answered does not matter here but for the summary: a
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
AT_ONCE = 4


@dataclass
class Booking:
    """`confirmed`: patients who tapped, with what they read then."""

    system: System
    posting: Posting
    confirmed: dict[str, str] = field(default_factory=dict)
    begun: int = 0

    def __post_init__(self) -> None:
        self._enough = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._book, daemon=True) for _ in range(AT_ONCE)]
        for thread in self._threads:
            thread.start()

    def finish(self) -> None:
        """Let the patients in hand come to an end, and no more."""
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def _book(self) -> None:
        while not self._enough.wait(2):
            with self._lock:
                self.begun += 1
                number = self.begun
            phone = f"5916{number:07d}"
            self.system.control("agenda/patients", {"phone": f"+{phone}", "name": "Ana Prueba"})
            words = f"quiero una cita el proximo {DAYS[number % 5]} a las {('10:00', '15:00')[number % 2]}"
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
