"""What surrounds a message in the prompt: record, visits, dialogue state, earlier turns.

Called by `training.dataset`.
"""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.conversation import Appointment, PatientRecord, Role, Turn
from shared.prediction import Intent
from training.phrases import load

TZ = ZoneInfo("America/La_Paz")
START = dt.datetime(2026, 1, 5, 8, 0, tzinfo=TZ)

# Chance that a flow is pending when a message of this intent arrives.
_FLOW_SHARE = {Intent.AFIRMAR: 0.75, Intent.NEGAR: 0.75, Intent.INFORMAR_DATO: 0.75}
_FLOW_SHARE_OTHERS = 0.15
_HISTORY_WITH_FLOW = 0.7
_HISTORY_WITHOUT_FLOW = 0.1


@dataclass(frozen=True)
class Context:
    record: PatientRecord
    visits: tuple[Appointment, ...]
    state: str | None
    turns: tuple[Turn, ...]


def draw(intent: Intent, slots: set[str], rng: random.Random, state: str | None = None) -> Context:
    """Draw surroundings that fit a message of `intent` which fills `slots`; `state` if it makes sense in one only."""
    state = state or _state(intent, slots, rng)
    visits = _visits(state, rng)
    known = rng.random() < 0.75 or bool(visits)
    macros = load("macros")
    name = f"{rng.choice(macros['nombre_pila'])} {rng.choice(macros['apellido'])}".title() if known else None
    last = (START + dt.timedelta(days=rng.randint(0, 600))).date() if known and rng.random() < 0.6 else None
    record = PatientRecord(registered=known, name=name, last_visit=last)
    return Context(record, visits, state, _history(state, rng))


def _state(intent: Intent, slots: set[str], rng: random.Random) -> str | None:
    if rng.random() >= _FLOW_SHARE.get(intent, _FLOW_SHARE_OTHERS):
        return None
    states = list(load("replies")["asked"])
    if intent in (Intent.AFIRMAR, Intent.NEGAR):
        fitting = [state for state in states if state.endswith("confirmar")] * 3 + states
    elif intent is Intent.INFORMAR_DATO:
        ends = {"name": "nombre", "appointment_ref": "cual", "date": "fecha", "time": "hora"}
        wanted = [end for slot, end in ends.items() if slot in slots]
        fitting = [state for state in states if any(state.endswith(end) for end in wanted)] * 2 + states
    else:
        fitting = states
    return str(rng.choice(fitting))


def _visits(state: str | None, rng: random.Random) -> tuple[Appointment, ...]:
    if state and state.endswith("cual"):
        count = 2
    elif state and not state.startswith("agendar"):
        count = 1
    else:
        count = rng.choices((0, 1, 2), (0.55, 0.38, 0.07))[0]
    starts = sorted(
        START + dt.timedelta(days=rng.randint(0, 600), minutes=30 * rng.randint(0, 18)) for _ in range(count)
    )
    statuses = ("scheduled", "scheduled", "confirmed")
    return tuple(
        Appointment(id=str(number), ref="", start=start, status=rng.choice(statuses))
        for number, start in enumerate(starts)
    )


def _history(state: str | None, rng: random.Random) -> tuple[Turn, ...]:
    asked = load("replies")["asked"]
    if state:
        if rng.random() >= _HISTORY_WITH_FLOW:
            return ()
        said = _turn(Role.ASSISTANT, rng.choice(asked[state]))
        return (said,) if rng.random() < 0.6 else (_turn(Role.PATIENT, _earlier_words(state, rng)), said)
    if rng.random() >= _HISTORY_WITHOUT_FLOW:
        return ()
    topics = load("information")
    topic = rng.choice([topic for intent in topics.values() for topic in intent.values()])
    return (_turn(Role.PATIENT, _earlier_words("", rng)), _turn(Role.ASSISTANT, rng.choice(topic["replies"])))


def _earlier_words(state: str, rng: random.Random) -> str:
    words = {
        "agendar": ("quiero una cita", "me da una ficha por favor", "necesito consulta", "el jueves", "agendar cita"),
        "cancelar": ("quiero cancelar mi cita", "no voy a poder ir", "anule mi ficha"),
        "reprogramar": ("quiero cambiar mi cita", "me la pasa para otro dia", "otra fecha por favor"),
        "confirmar": ("confirmo mi cita", "si voy a ir"),
    }
    return rng.choice(words.get(state.split(":")[0], ("hola", "buenas tardes", "una consulta", "tengo una duda")))


def _turn(role: Role, text: str) -> Turn:
    return Turn(role=role, text=text, at=START)
