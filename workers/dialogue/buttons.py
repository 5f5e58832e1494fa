"""The ids of buttons, and what a tap means.

Three scopes: `go:{action}` is always valid; `rem:{action}:{appointment_id}` is about one appointment (also the payload
of the reminder's quick replies); `{flow.number}:{action}[:{arg}]` is valid only while that very question is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from shared.conversation import Appointment, Conversation, Flow
from shared.messages import Button, Message, MessageKind
from shared.prediction import Intent, Prediction, Reason, Slots
from workers.dialogue.wording import Wording, fixed_wording
from workers.dialogue.words import adds_nothing
from workers.language.normalise import words

_OF_A_FLOW = "si_agendar si_reprogramar si_cancelar empezar otra_hora otro_dia mover mantener dejar slot visit"
FLOW_ACTIONS = frozenset(_OF_A_FLOW.split())
VISIT_ACTIONS = frozenset({"asistire", "cambiar", "cancelar"})
_MAX_ID = 256  # WhatsApp's limit

# What a tap says, as if it had been written.
_INTENTS: dict[str, Intent] = {
    "agendar": Intent.AGENDAR_CITA,
    "agendar_control": Intent.AGENDAR_CITA,
    "mi_cita": Intent.CONSULTAR_CITA,
    "informacion": Intent.CONSULTAR_INFO,
    "tema": Intent.CONSULTAR_INFO,
    "llegar": Intent.HORARIOS_UBICACION_COSTOS,
    "horarios": Intent.HORARIOS_UBICACION_COSTOS,
    "llamar": Intent.HORARIOS_UBICACION_COSTOS,
    "alarma": Intent.CONSULTAR_INFO,
    "pruebas": Intent.DIAGNOSTICO_PRUEBAS,
    "sintomas": Intent.SINTOMAS,
    "tratamiento": Intent.TRATAMIENTO,
    "dosis": Intent.DOSIS_OLVIDADA,
    "efectos": Intent.EFECTOS_SECUNDARIOS,
    "contagio": Intent.PREVENCION_CONTAGIO,
    "hablar": Intent.HABLAR_HUMANO,
    "volver": Intent.AFIRMAR,
    "recordar": Intent.AFIRMAR,
    "en_camino": Intent.DESPEDIDA_GRACIAS,
    "baja": Intent.BAJA,
    "go_confirmar": Intent.CONFIRMAR_ASISTENCIA,
    "asistire": Intent.CONFIRMAR_ASISTENCIA,
    "cambiar": Intent.REPROGRAMAR_CITA,
    "cancelar": Intent.CANCELAR_CITA,
    "si_agendar": Intent.AFIRMAR,
    "si_reprogramar": Intent.AFIRMAR,
    "si_cancelar": Intent.AFIRMAR,
    "empezar": Intent.AFIRMAR,
    "otra_hora": Intent.INFORMAR_DATO,
    "otro_dia": Intent.INFORMAR_DATO,
    "slot": Intent.INFORMAR_DATO,
    "visit": Intent.INFORMAR_DATO,
    "mover": Intent.REPROGRAMAR_CITA,
    "mantener": Intent.NEGAR,
    "dejar": Intent.NEGAR,
}
# The knowledge topic behind a free button.
TOPICS = {
    "alarma": "senales_alarma",
    "pruebas": "baciloscopia",
    "sintomas": "sintomas",
    "tratamiento": "tratamiento_esquema",
    "dosis": "dosis_olvidada",
    "efectos": "efectos_leves",
    "contagio": "contagio",
}
# The button that stands for an intent when we ask back.
ASK_BACK: dict[Intent, str] = {
    Intent.AGENDAR_CITA: "agendar",
    Intent.CANCELAR_CITA: "cancelar",
    Intent.REPROGRAMAR_CITA: "cambiar",
    Intent.CONFIRMAR_ASISTENCIA: "go_confirmar",
    Intent.CONSULTAR_CITA: "mi_cita",
    Intent.CONSULTAR_INFO: "informacion",
    Intent.SINTOMAS: "sintomas",
    Intent.DIAGNOSTICO_PRUEBAS: "pruebas",
    Intent.TRATAMIENTO: "tratamiento",
    Intent.DOSIS_OLVIDADA: "dosis",
    Intent.EFECTOS_SECUNDARIOS: "efectos",
    Intent.PREVENCION_CONTAGIO: "contagio",
    Intent.HORARIOS_UBICACION_COSTOS: "horarios",
    Intent.HABLAR_HUMANO: "hablar",
    Intent.BAJA: "baja",
    Intent.URGENCIA: "llamar",
}


class Scope(StrEnum):
    FREE = "free"
    VISIT = "visit"
    FLOW = "flow"
    STALE = "stale"  # of a question that is closed, of another patient, or unreadable: writes nothing


@dataclass(frozen=True)
class Choice:
    """A tap, read. `arg` is a slot's ISO start, an appointment id or a topic."""

    scope: Scope
    action: str = ""
    arg: str = ""

    @property
    def prediction(self) -> Prediction:
        """What the tap means, so that the road can skip understanding."""
        reason = Reason.CONTROL if self.action == "agendar_control" else None
        intent = _INTENTS.get(self.action, Intent.INFORMAR_DATO)
        return Prediction(intent=intent, confidence=1.0, slots=Slots(reason=reason))


def read_choice(choice_id: str, conversation: Conversation) -> Choice:
    """Say what a tapped id means now. Never raises: what is not ours or not valid any more is STALE."""
    head, _, rest = choice_id.partition(":")
    action, _, arg = rest.partition(":")
    flow = conversation.flow
    if head == "go" and (action in _INTENTS) and action not in FLOW_ACTIONS:
        return Choice(Scope.FREE, action, arg)
    if head == "rem" and action in VISIT_ACTIONS and arg:
        return Choice(Scope.VISIT, action, arg)
    if flow is not None and head == flow.number and action in FLOW_ACTIONS:
        return Choice(Scope.FLOW, action, arg)
    return Choice(Scope.STALE, action if action in FLOW_ACTIONS else "")


def read_turn(messages: Iterable[Message], conversation: Conversation) -> tuple[str, str | None]:
    """Reduce a burst to its text and the one tap that counts, if any.

    Words written beside a tap count more than the tap ("Confirmar", then "ay no, mejor el jueves"), unless they only
    agree, greet or thank. Titles of tapped buttons are then no words of the patient. Of several taps the last one of
    the open question counts, else the last one.
    """
    taps: list[Message] = []
    written: list[str] = []
    for message in messages:
        if message.kind is MessageKind.CHOICE and message.choice_id:
            taps.append(message)
        elif message.text.strip():
            written.append(message.text)
    if written and not all(adds_nothing(text) for text in written):
        return "\n".join(written), None
    ids = [tap.choice_id for tap in taps if tap.choice_id]
    live = [id_ for id_ in ids if read_choice(id_, conversation).scope is Scope.FLOW]
    counting = live or ids
    text = "\n".join(written or [tap.text for tap in taps if tap.text.strip()])
    return text, counting[-1] if counting else None


def buttons_for(intent: Intent) -> tuple[Button, ...]:
    """The buttons of an intent whose menu needs no open flow; for fixed replies outside the dialogue (alarms)."""
    return menu(fixed_wording(), intent)


def button(
    wording: Wording, action: str, *, flow: Flow | None = None, visit: str | None = None, arg: str = "", title: str = ""
) -> Button:
    """Build one button. Flow actions need `flow`; `visit` (an appointment id) ties a visit action to it."""
    tail = f":{arg}" if arg else ""
    if action in FLOW_ACTIONS:
        if flow is None:
            raise ValueError(f"the button {action} needs a flow")
        return Button(id=f"{flow.number}:{action}{tail}"[:_MAX_ID], title=title or wording.buttons[action])
    if visit and action in VISIT_ACTIONS:
        return Button(id=visit_payload(action, visit), title=wording.buttons[action])
    return Button(id=f"go:{action}{tail}", title=title or wording.buttons[action])


def visit_payload(action: str, appointment_id: str) -> str:
    """The id of a button about one appointment; the reminder template's quick replies carry it too."""
    if action not in VISIT_ACTIONS:
        raise ValueError(f"unknown visit action {action!r}")
    return f"rem:{action}:{appointment_id}"


def menu(
    wording: Wording, name: str, *, flow: Flow | None = None, visit: Appointment | str | None = None
) -> tuple[Button, ...]:
    """The buttons of an intent (or of a named menu of flows.yaml)."""
    visit_id = visit.id if isinstance(visit, Appointment) else visit
    return tuple(button(wording, action, flow=flow, visit=visit_id) for action in wording.menus[name])


def typed_choice(text: str, buttons: Iterable[Button]) -> str | None:
    """The id of the button whose title was written instead of tapped, if any."""
    typed = words(text)
    return next((b.id for b in buttons if typed and words(b.title) == typed), None)
