"""Everything the simulator holds, in one list; built once by `app`, passed to each part by name."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from typing import Any

from simulator.account import Account
from simulator.appointments_store import AppointmentsStore
from simulator.changes import Changes
from simulator.chats import Chats
from simulator.clock import Clock
from simulator.faults import Faults
from simulator.options import Options
from simulator.people import People
from simulator.rules import PairRate, Rules, Throughput
from simulator.seed import seed_agenda, seed_people
from simulator.seguimiento_seed import seed_seguimiento
from simulator.seguimiento_store import SeguimientoStore
from simulator.templates import Templates
from simulator.timers import Timers
from simulator.webhooks import Webhooks

MAX_WRITES = 100_000


class World:
    """The state of Meta and of the backend, and the threads that play them."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.changes = Changes()
        self.timers = Timers()
        self.clock = Clock()
        self.backend_clock = Clock()
        self.rules = Rules()
        self.account = Account()
        self.people = People()
        self.chats = Chats()
        self.faults = Faults()
        self.templates = Templates()
        self.pair_rate = PairRate()
        self.throughput = Throughput()
        self.webhooks = Webhooks(
            options.webhook_url, options.app_secret, options.account_id, lambda: self.rules, self.timers, self.changes
        )
        self.store = AppointmentsStore(options.database, self.backend_clock, lambda: self.rules)
        self.seguimiento = SeguimientoStore(self.backend_clock.now)
        self.writes: deque[dict[str, Any]] = deque(maxlen=MAX_WRITES)
        self._seed()

    @property
    def metadata(self) -> dict[str, Any]:
        """`value.metadata` of every webhook."""
        return {
            "display_phone_number": self.options.display_phone_number,
            "phone_number_id": self.options.phone_number_id,
        }

    def agenda(self, days: float) -> list[dict[str, Any]]:
        """Return all appointments from yesterday on, in any state, at most `days` days ahead."""
        now = self.store.now()
        return self.store.between(now - timedelta(days=1), now + timedelta(days=days))

    def note_write(self, kind: str, body: dict[str, Any], status: int, answer: Any, *, replayed: bool) -> None:
        """Remember what was asked of the appointments backend and what it said; `replayed` = said before."""
        with self.changes:
            written = {"kind": kind, "body": body, "status": status, "answer": answer, "replayed": replayed}
            self.writes.append(written)

    def reset(self, *, seed: bool = True) -> None:
        """Forget everything and be as just started; `seed` False leaves patients and agenda empty."""
        with self.changes:
            self.timers.clear()
            self.webhooks.clear()
            self.people.clear()
            self.chats.clear()
            self.faults.clear()
            self.templates.reset()
            self.clock.reset()
            self.backend_clock.reset()
            self.rules = Rules()
            self.account = Account()
            self.pair_rate, self.throughput = PairRate(), Throughput()
            self.writes.clear()
            self.store.clear()
            self.seguimiento.clear()
            if seed:
                self._seed()
        self.changes.bump()

    def close(self) -> None:
        """End the threads, wake those who wait, close the database."""
        self.changes.close()
        self.timers.close()
        self.webhooks.close()
        self.store.close()

    def _seed(self) -> None:
        if self.options.seed:
            seed_people(self.people)
            if self.store.is_empty():
                seed_agenda(self.store)
            seed_seguimiento(self.seguimiento, self.store.now().date())
