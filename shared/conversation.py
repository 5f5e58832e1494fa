"""What is remembered of a patient's conversation: the last turns and the flow in progress.

Kept in Redis for CONVERSATION_TTL seconds (`shared.state.conversations`); read by the dialogue and the prompt.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from shared.messages import Frozen
from shared.prediction import Slots


class Role(StrEnum):
    PATIENT = "user"
    ASSISTANT = "assistant"


class Turn(Frozen):
    role: Role
    text: str
    at: dt.datetime


class FlowKind(StrEnum):
    """What the patient is in the middle of. The value is the first half of `Estado` in the prompt."""

    AGENDAR = "agendar"
    CANCELAR = "cancelar"
    REPROGRAMAR = "reprogramar"
    CONFIRMAR = "confirmar"  # confirming attendance, when it must be asked which visit


class Expects(StrEnum):
    """The one datum that was asked for. The value is the second half of `Estado`."""

    FECHA = "fecha"
    HORA = "hora"
    NOMBRE = "nombre"
    CUAL = "cual"  # which of several appointments
    CONFIRMAR = "confirmar"  # the summary was shown: yes or no


class Flow(Frozen):
    """One pending task. `number` is used once: it stands in every button id and in the idempotency key."""

    kind: FlowKind
    expects: Expects
    number: str
    slots: Slots = Slots()
    appointment_id: str | None = None
    appointment_ref: str | None = None
    appointment_start: dt.datetime | None = None  # the visit being moved, cancelled or confirmed
    offered: tuple[dt.datetime, ...] = ()  # slots or alternatives last shown, in order
    suspended: bool = False  # an alarm came in between: nothing is executed without a new confirmation

    @property
    def state(self) -> str:
        """`agendar:fecha`, as it stands in the prompt's `Estado` line."""
        return f"{self.kind}:{self.expects}"


class Conversation(Frozen):
    """The memory of one patient. `turns` oldest first, at most MAX_TURNS."""

    turns: tuple[Turn, ...] = ()
    flow: Flow | None = None
    unsure_in_a_row: int = 0  # low-confidence turns; two offer a person
    introduced: bool = False  # the first-contact notice was given
    asked_about_reminders: bool = False  # by our last reply
    topic: str | None = None  # last knowledge topic, for a bare "¿y cuánto dura?"


MAX_TURNS = 12
TRIMMED_TURNS = 4


def recent(turns: tuple[Turn, ...]) -> tuple[Turn, ...]:
    """Return at most the last MAX_TURNS.

    Old ones leave a few at a time: the prompts between two cuts then begin alike, and what the model made of their
    beginning is used again.
    """
    over = len(turns) - MAX_TURNS
    return turns[-(-over // TRIMMED_TURNS) * TRIMMED_TURNS :] if over > 0 else turns


def leaving(turns: int) -> int:
    """Return how many of the oldest turns to leave out when `turns` are too many for a prompt: a few, or the last few
    one by one."""
    return TRIMMED_TURNS if turns > TRIMMED_TURNS else 1


class Appointment(Frozen):
    """A visit as the appointments backend reports it. `start` is timezone-aware."""

    id: str
    ref: str
    start: dt.datetime
    status: str
    phone: str = ""
    name: str = ""
    reason: str = ""


class PatientRecord(Frozen):
    """What the backend knows of a patient."""

    registered: bool = False
    name: str | None = None
    last_visit: dt.date | None = None
    consented: bool = False  # agreed, at the clinic, to be written to on WhatsApp
