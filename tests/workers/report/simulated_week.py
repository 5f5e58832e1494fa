"""Days of an invented clinic, written into the audit as the system would write them, with a count kept beside it.

The count (`Truth`) is made while events are invented, not from them: it knows nothing of how a report counts.
"""

from __future__ import annotations

import datetime as dt
import json
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import redis

from shared.canary import canary_patient
from shared.settings import Settings
from shared.state.alarms import alarm_id

ZONE = ZoneInfo("America/La_Paz")
MONDAY = dt.date(2026, 11, 23)  # the last simulated day
MORNING_AFTER = dt.datetime(2026, 11, 24, 7, 5, tzinfo=ZONE)
BURST_S = 0.8

_HOURS = (1, 1, 0, 0, 0, 1, 4, 12, 20, 24, 22, 18, 12, 10, 16, 19, 17, 14, 11, 9, 8, 6, 4, 2)
_BUSY = (1.25, 1.05, 1.0, 1.0, 1.1, 0.55, 0.3)  # by weekday
_INTENTS = {
    "agendar_cita": 22, "consultar_cita": 12, "confirmar_asistencia": 10, "horarios_ubicacion_costos": 9,
    "efectos_secundarios": 8, "tratamiento": 7, "dosis_olvidada": 5, "reprogramar_cita": 6, "cancelar_cita": 3,
    "sintomas": 4, "diagnostico_pruebas": 5, "saludo": 6, "despedida_gracias": 6, "afirmar": 7, "hablar_humano": 2,
    "fuera_de_tema": 2, "baja": 1, "prevencion_contagio": 3,
}  # fmt: skip
_WRITES = {
    "agendar_cita": "schedule", "reprogramar_cita": "reschedule", "cancelar_cita": "cancel",
    "confirmar_asistencia": "confirm",
}  # fmt: skip
_SOURCES = {"both": 70, "rules": 14, "model": 11, "fallback": 5}


@dataclass
class Truth:
    """What happened on one day."""

    messages: int = 0
    patients: set[str] = field(default_factory=set)
    by_hour: Counter[int] = field(default_factory=Counter)
    intents: Counter[str] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    confidences: list[float] = field(default_factory=list)
    visits: Counter[str] = field(default_factory=Counter)
    alarms: Counter[str] = field(default_factory=Counter)
    acknowledged_s: list[int] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    given_up: int = 0
    failed_replies: int = 0
    silent: int = 0
    optouts: int = 0
    reply_s: list[float] = field(default_factory=list)
    reminders: Counter[str] = field(default_factory=Counter)
    reminder_calls: Counter[str] = field(default_factory=Counter)
    other_calls: Counter[str] = field(default_factory=Counter)


class SimulatedWeek:
    """Invent `days` days that end with MONDAY; the same seed gives the same days."""

    def __init__(self, settings: Settings, days: int = 8, seed: int = 7, busy: float = 170) -> None:
        self._random = random.Random(seed)
        self._canary = canary_patient(settings)
        self._events: list[tuple[float, str, str, tuple[str, ...], dict[str, Any]]] = []
        self._people = [f"p_{self._random.getrandbits(96):024x}" for _ in range(400)]
        self.truth: dict[dt.date, Truth] = {}
        # The system ran before: the audit does not begin with the first of these days.
        first = dt.datetime.combine(MONDAY - dt.timedelta(days=days - 1), dt.time(tzinfo=ZONE)).timestamp()
        self._messages(first - 60, self._canary, 1, None)
        for back in range(days - 1, -1, -1):
            day = MONDAY - dt.timedelta(days=back)
            self.truth[day] = Truth()
            self._day(day, round(busy * _BUSY[day.weekday()] * self._random.uniform(0.9, 1.1)))

    def write(self, client: redis.Redis) -> int:
        """Put all events into the stream in the order of time; returns how many."""
        self._events.sort(key=lambda event: event[0])
        with client.pipeline(transaction=False) as pipe:
            for n, (at, event, patient, ids, detail) in enumerate(self._events):
                fields: dict[Any, Any] = {"e": event, "p": patient, "ids": " ".join(ids), "d": json.dumps(detail)}
                pipe.xadd("audit", fields, id=f"{round(at * 1000)}-{n}")
            pipe.execute()
        return len(self._events)

    def _note(self, at: float, event: str, patient: str, ids: tuple[str, ...], **detail: Any) -> None:
        self._events.append((at, event, patient, ids, detail))

    def _id(self, kind: str) -> str:
        return f"{kind}_{self._random.getrandbits(96):024x}"

    def _pick(self, weights: dict[str, int]) -> str:
        return self._random.choices(list(weights), list(weights.values()))[0]

    def _day(self, day: dt.date, turns: int) -> None:
        truth = self.truth[day]
        midnight = dt.datetime.combine(day, dt.time(tzinfo=ZONE)).timestamp()
        for hour in self._random.choices(range(24), _HOURS, k=turns):
            self._turn(midnight + hour * 3600 + self._random.uniform(0, 3590), truth)
        for n in range(round(turns * 0.3)):
            self._reminder(midnight + (7.5 + 11 * n / turns) * 3600, truth)
        for half_hour in range(48):
            self._messages(midnight + half_hour * 1800 + 3, self._canary, 1, None)

    def _messages(self, at: float, patient: str, count: int, truth: Truth | None) -> tuple[list[str], float]:
        """A burst; returns its ids and when its last message came."""
        ids: list[str] = []
        for _ in range(count):
            ids.append(self._id("m"))
            self._note(at, "accepted", patient, (ids[-1],), kind="text", channel="whatsapp", wrote_ms=round(at * 1000))
            if truth is not None:
                truth.messages += 1
                truth.patients.add(patient)
                truth.by_hour[dt.datetime.fromtimestamp(at, ZONE).hour] += 1
            last, at = at, at + self._random.uniform(0.15, 0.7)
        return ids, last

    def _turn(self, at: float, truth: Truth) -> None:
        random_, patient = self._random, self._random.choice(self._people)
        ids, last = self._messages(at, patient, random_.choices((1, 2, 3), (75, 18, 7))[0], truth)
        messages, ready, chance = tuple(ids), last + BURST_S, random_.random()
        if chance < 0.022:
            self._danger(messages, patient, last, truth)
        elif chance < 0.032:
            truth.silent += 1
            self._note(ready + 0.1, "committed", patient, messages, action="handoff", intent="hablar_humano", source="rules", confidence=1.0, handoff=None, optout=None)  # fmt: skip # noqa: E501
        elif chance < 0.035:
            truth.given_up += len(ids)
            truth.late += ids
            self._note(ready + 40, "given_up", patient, messages, why="TurnError")
        else:
            slow = random_.uniform(660, 1500) if chance < 0.041 else 0.0
            self._answer(messages, patient, ready, slow, truth, fails=0.041 <= chance < 0.043)

    def _answer(
        self, messages: tuple[str, ...], patient: str, ready: float, slow: float, truth: Truth, *, fails: bool
    ) -> None:
        random_, delivery = self._random, self._id("d")
        intent, source = self._pick(_INTENTS), self._pick(_SOURCES)
        confidence = round(random_.uniform(0.2, 0.58) if source == "fallback" else random_.betavariate(9, 1.2), 3)
        call = _WRITES.get(intent) if source != "fallback" and random_.random() < 0.6 else None
        done = ready + slow + random_.lognormvariate(-0.6, 0.5)
        if slow:
            self._note(ready + 1, "waits", patient, messages, why="RetryLater", wait_s=round(slow, 1))
        self._note(ready + 0.05, "drained", patient, messages, worker="w1", messages=len(messages))
        said = {"intent": intent, "confidence": confidence, "source": source}
        self._note(done - 0.2, "understood", patient, messages, **said, model="v4", danger=None)
        if call:
            truth.visits[call] += 1
            self._note(done - 0.1, "backend", patient, messages, call=call, outcome="done")
        optout = True if intent == "baja" else None
        truth.optouts += bool(optout)
        action = call or ("ask" if source == "fallback" or intent in _WRITES else "inform")
        handoff = "pedido" if intent == "hablar_humano" else None
        if handoff:
            truth.other_calls[handoff] += 1
            self._note(done, "call", patient, (f"h:{patient}",), why=handoff)
        self._note(done, "committed", patient, (*messages, delivery), action=action, handoff=handoff, optout=optout, **said)  # fmt: skip # noqa: E501
        truth.intents[intent] += 1
        truth.sources[source] += 1
        truth.confidences.append(confidence)
        sent = round(done + random_.lognormvariate(-1.2, 0.4), 3)
        self._note(done + 0.02, "sending", patient, (delivery,), kind="reply", attempt=1)
        if fails:
            truth.failed_replies += 1
            truth.late += messages
            self._note(sent, "failed", patient, (delivery,), code="131026", why="undeliverable")
            return
        self._note(sent, "sent", patient, (delivery,))
        truth.reply_s.append(sent - ready)
        if slow:
            truth.late += messages
        self._note(sent + 1.2, "status", patient, (delivery,), status="delivered", code="")

    def _danger(self, messages: tuple[str, ...], patient: str, last: float, truth: Truth) -> None:
        random_, delivery, message = self._random, self._id("d"), messages[-1]
        level = random_.choices(("emergencia", "mismo_dia"), (60, 40))[0]
        truth.alarms[level] += 1
        truth.intents["urgencia"] += 1
        truth.sources["safety"] += 1
        at = last + 0.2
        self._note(at, "alarm", patient, (message, delivery), reason="alarm", level=level, category="hemoptisis", told=True)  # fmt: skip # noqa: E501
        self._note(at + 0.4, "sent", patient, (delivery,))
        self._note(at + 1.5, "committed", patient, messages, action="escalate", intent="urgencia", source="safety")
        if random_.random() < 0.8:
            after_s = round(random_.lognormvariate(5.2, 0.7))
            truth.acknowledged_s.append(after_s)
            self._note(at + after_s, "acknowledged", patient, (alarm_id(message),), by="email", after_s=after_s)

    def _reminder(self, at: float, truth: Truth) -> None:
        random_, patient, delivery = self._random, self._random.choice(self._people), self._id("r")
        if random_.random() < 0.08:
            truth.reminder_calls["no_consent"] += 1
            self._note(at, "call", patient, (delivery,), why="no_consent")
            return
        truth.reminders["planned"] += 1
        self._note(at, "planned", patient, (delivery,), reminder="ahead", kind="reminder")
        if random_.random() < 0.03:
            truth.reminders["failed"] += 1
            truth.reminder_calls["failed"] += 1
            self._note(at + 60, "failed", patient, (delivery,), code="131049", why="failed")
            self._note(at + 60, "call", patient, (delivery,), why="failed")
            return
        truth.reminders["sent"] += 1
        self._note(at + 60, "sent", patient, (delivery,))
        if random_.random() < 0.06:
            truth.reminder_calls["not_delivered"] += 1
            self._note(at + 7200, "call", patient, (delivery,), why="not_delivered")
            return
        truth.reminders["delivered"] += 1
        self._note(at + 64, "status", patient, (delivery,), status="delivered", code="")
        if random_.random() < 0.72:
            truth.reminders["read"] += 1
            self._note(at + 64 + random_.uniform(30, 5000), "status", patient, (delivery,), status="read", code="")
