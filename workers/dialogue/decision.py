"""The data of one turn of the dialogue: what comes in, what is to be done, what came of it, what is said.

The road (`workers/answer.py`) calls `decide`, executes `Decision.call` with the appointments client, then `conclude`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from shared.conversation import Appointment, Conversation, Flow, PatientRecord
from shared.knowledge import Knowledge
from shared.messages import Message, Reply
from shared.prediction import Intent, Prediction, Reason
from shared.texts import Texts
from workers.dialogue.wording import Wording

Params = dict[str, str | bool | None]  # JSON-able: goes out as `params` of POST /chat


@dataclass(frozen=True)
class TurnInput:
    """Everything known about one turn. `now` is the last message's own timestamp in the clinic's time zone.

    `new_number` is unguessable and never used before: it becomes the number of whatever is asked in this turn.
    `appointments` is None when the backend cannot be reached; `record` then says nothing.
    """

    messages: tuple[Message, ...]
    text: str
    prediction: Prediction
    now: dt.datetime
    new_number: str
    identity_known: bool = True  # False: only Meta's user id is known, no phone number
    record: PatientRecord = field(default_factory=PatientRecord)
    appointments: tuple[Appointment, ...] | None = ()
    choice_id: str | None = None  # the tap that counts (`buttons.read_turn`)
    may_be_reminded: bool = True  # False: they neither agreed to be written to nor opted out, so it may be asked
    late: bool = False  # older than LATE_MESSAGE_HOURS: nothing is written without asking again
    other_language: bool = False  # Quechua, Aymara, Guaraní or another language


@dataclass(frozen=True)
class Schedule:
    key: str  # idempotency key of this write
    start: dt.datetime
    reason: Reason | None = None
    name: str | None = None


@dataclass(frozen=True)
class Cancel:
    key: str
    appointment_id: str


@dataclass(frozen=True)
class Reschedule:
    key: str
    appointment_id: str
    start: dt.datetime


@dataclass(frozen=True)
class Confirm:
    key: str
    appointment_id: str


@dataclass(frozen=True)
class FreeSlots:
    """Read the free slots of these days, in this order; the answer is one `Free` with all of them."""

    dates: tuple[dt.date, ...]


BackendCall = Schedule | Cancel | Reschedule | Confirm | FreeSlots


class TakenReason(StrEnum):
    SLOT_TAKEN = "slot_taken"
    CLOSED = "closed"
    PAST = "past"


@dataclass(frozen=True)
class Done:
    """The backend did it. `appointment` is the visit as it now stands, when the answer tells."""

    appointment: Appointment | None = None


@dataclass(frozen=True)
class Taken:
    """409: not at that time. `alternatives` nearest first or in order, aware."""

    reason: TakenReason
    alternatives: tuple[dt.datetime, ...] = ()


@dataclass(frozen=True)
class Free:
    slots: tuple[dt.datetime, ...]


@dataclass(frozen=True)
class Missing:
    """404: the backend does not know this appointment any more."""


@dataclass(frozen=True)
class Refused:
    """The backend understood and said no, for ever."""


@dataclass(frozen=True)
class ByPerson:
    """The backend has no way to do it by itself: it goes on the call list, and staff do it."""

    why: str  # sin_registro, anular, por_persona


@dataclass(frozen=True)
class Unknown:
    """It may have happened, and reading back did not tell: a person has to look."""


Outcome = Done | Taken | Free | Missing | Refused | ByPerson | Unknown


@dataclass(frozen=True)
class Wish:
    """What a person is to arrange: a line of the call list. Times are aware; what the flow does not know is None."""

    key: str  # of the write: the same however often the turn is repeated
    start: dt.datetime | None = None  # when the patient wants to come
    appointment_id: str | None = None
    appointment_ref: str | None = None
    appointment_start: dt.datetime | None = None


@dataclass(frozen=True)
class Conclusion:
    """What the patient reads and what is remembered. `reply` is None when silence is right (a reaction)."""

    reply: Reply | None
    flow: Flow | None = None
    action: str = "none"  # `action` of POST /chat: ask, schedule, cancel, reschedule, confirm, query, inform, ...
    params: Params = field(default_factory=dict)
    unsure_in_a_row: int = 0
    topic: str | None = None  # the knowledge topic that was answered
    handoff: str | None = None  # reason to call a person: pedido, no_entendido, sin_numero, resultado_desconocido …
    wish: Wish | None = None  # what that person is asked for
    optout: bool | None = None  # True: no more proactive messages; False: back again
    consent: str | None = None  # how the patient agreed to reminders in this turn
    asked_about_reminders: bool = False
    introduced: bool = True  # False only when nothing was said
    intent: Intent | None = None  # as acted upon: a tap carries its own

    def remember(self, conversation: Conversation) -> Conversation:
        """The conversation after this turn, except its `turns`, which the road appends."""
        return conversation.model_copy(
            update={
                "flow": self.flow,
                "unsure_in_a_row": self.unsure_in_a_row,
                "topic": self.topic or conversation.topic,
                "introduced": conversation.introduced or self.introduced,
                "asked_about_reminders": self.asked_about_reminders,
            }
        )


@dataclass(frozen=True)
class Decision:
    """Exactly one of three: `conclusion` (nothing to execute), `call` (execute, then `conclude`), `needs_agenda`.

    `needs_agenda` means that the backend could not be reached and this turn cannot be answered without it: the road
    raises `RetryLater` and keeps the message.
    """

    turn: TurnInput
    conversation: Conversation
    conclusion: Conclusion | None = None
    call: BackendCall | None = None
    flow: Flow | None = None  # in whose name the call is made
    aside: str = ""  # said before the answer: a side question that came with the request, or "llegó con retraso"
    needs_agenda: bool = False


@dataclass(frozen=True)
class Known:
    """What does not change between turns; built once at process start.

    `facts` are the centre's data for placeholders (`shared.texts.center_facts`). `approves(text, card_text)` is the
    guardrails' word on the model's wording of a card ("" for a greeting).
    """

    wording: Wording
    texts: Texts
    knowledge: Knowledge
    facts: Mapping[str, str]
    approves: Callable[[str, str], bool]
    has_address: bool = False
    may_send_unreviewed: bool = False

    def say(self, key: str, **values: str) -> str:
        """A sentence of flows.yaml with the centre's facts and `values` filled in."""
        return self.wording.say(key, **(dict(self.facts) | values))

    def text(self, key: str) -> str:
        """A fixed text of texts.yaml."""
        return self.texts.get(key)
