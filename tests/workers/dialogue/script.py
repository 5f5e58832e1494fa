"""A chat as a script: `patient.says(...)`, `patient.taps(...)`, `patient.sees(...)`, `agenda.received == [...]`.

The dialogue is the real one; the agenda is a small honest backend; understanding is given by hand, turn by turn.
"""

from __future__ import annotations

from typing import Any

from shared.conversation import Appointment, Conversation, PatientRecord, Role, Turn
from shared.knowledge import Card, Knowledge
from shared.messages import Button, ListRow, Message, MessageKind, Reply
from shared.prediction import Intent, Prediction, Reason, Slots
from shared.settings import Settings
from shared.texts import Texts, center_facts
from tests.workers.dialogue.agenda import NOW, TUE, Agenda
from workers.dialogue.buttons import read_choice, read_turn
from workers.dialogue.decide import conclude, decide
from workers.dialogue.decision import (
    Conclusion,
    Known,
    TurnInput,
)
from workers.dialogue.wording import MAX_TITLE, load_wording

WORDING = load_wording()


SETTINGS = Settings(_env_file=None)
TEXTS = Texts.load(SETTINGS)


def card(topic: str, text: str, intent: Intent, *ask: str, source: str = "S8", **options: Any) -> Card:
    return Card(
        topic_id=topic, title=topic, text=text, sources=(source,), intents=frozenset({intent}), ask=ask, **options
    )


CARDS = (
    card("tb_que_es", "La tuberculosis es causada por una bacteria.", Intent.CONSULTAR_INFO, "tuberculosis"),
    card("contagio", "Se transmite por el aire.", Intent.PREVENCION_CONTAGIO, "contagia", "aire"),
    card("senales_alarma", "Sangre al toser, dificultad para respirar.", Intent.CONSULTAR_INFO, "alarma"),
    card("baciloscopia", "Es el examen de la flema al microscopio.", Intent.DIAGNOSTICO_PRUEBAS, "flema"),
    card("efectos_leves", "Coma algo liviano y avise.", Intent.EFECTOS_SECUNDARIOS, "nausea", alarm_pointer=True),
    card("direccion", "Estamos en {address}.", Intent.HORARIOS_UBICACION_COSTOS, "queda", source="config"),
    card("horarios", "De {hours}.", Intent.HORARIOS_UBICACION_COSTOS, "atienden", source="config"),
)


def build_known(*, signed: bool = True, approves: bool = True, unreviewed: bool = False) -> Known:
    """The real wording, texts and search over a few cards."""
    signature = {"reviewed_by": "Dra. Prueba", "reviewed_on": NOW.date()} if signed else {}
    return Known(
        wording=WORDING,
        texts=TEXTS,
        knowledge=Knowledge([c.model_copy(update=signature) for c in CARDS], {}),
        facts=center_facts(SETTINGS),
        approves=lambda text, card_text: approves,
        has_address=False,
        may_send_unreviewed=unreviewed,
    )


class Patient:
    """One chat. Everything shown stays on the screen, so old buttons can be tapped again."""

    def __init__(
        self,
        *visits: Appointment,
        registered: bool = True,
        known: Known | None = None,
        introduced: bool = True,
        **turn: Any,
    ) -> None:
        self.agenda = Agenda(list(visits))
        self.record = PatientRecord(registered=registered, name="Rosa Mamani" if registered else None)
        self.conversation = Conversation(introduced=introduced)
        self.known = known or build_known()
        self.turn_options: dict[str, Any] = turn
        self.shown: list[Reply] = []
        self.last: Conclusion = Conclusion(reply=None)
        self.count = 0

    # What the patient does.

    def says(self, text: str, intent: Intent = Intent.FUERA_DE_TEMA, confidence: float = 0.95, **extra: Any) -> None:
        """`extra`: slots, and `secondary`, `alternatives`, `reply` of the prediction, `late` and so on of the turn."""
        about = {key: extra.pop(key) for key in ("secondary", "alternatives", "reply", "danger") if key in extra}
        options = {key: extra.pop(key) for key in ("late", "other_language", "identity_known") if key in extra}
        prediction = Prediction(intent=intent, confidence=confidence, slots=Slots(**extra), **about)
        self._turn((self._message(MessageKind.TEXT, text=text),), prediction, **options)

    def taps(self, title: str, back: int = 0, **options: Any) -> None:
        """Tap a button or row by its title: the newest on the screen, or `back` replies with it earlier."""
        found = [b for reply in reversed(self.shown) for b in options_of(reply) if b.title == title]
        assert len(found) > back, f"no button {title!r} on the screen"
        self.taps_id(found[back].id, title, **options)

    def taps_id(self, choice_id: str, title: str = "x", **options: Any) -> None:
        self._turn((self._message(MessageKind.CHOICE, text=title, choice_id=choice_id),), None, **options)

    def sends(self, kind: MessageKind, prediction: Prediction | None = None, **fields: Any) -> None:
        options = {key: fields.pop(key) for key in ("identity_known",) if key in fields}
        self._turn((self._message(kind, **fields),), prediction, **options)

    def bursts(self, *messages: Message, prediction: Prediction | None = None) -> None:
        self._turn(messages, prediction)

    def message(self, kind: MessageKind = MessageKind.TEXT, **fields: Any) -> Message:
        return self._message(kind, **fields)

    # What the patient gets.

    def sees(self, *fragments: str) -> None:
        text = self.reply.text
        for fragment in fragments:
            assert fragment.lower() in text.lower(), f"{fragment!r} not in {text!r}"

    def reads(self, key: str) -> None:
        """A fixed text of texts.yaml."""
        assert TEXTS.get(key) in self.reply.text

    def does_not_see(self, *fragments: str) -> None:
        for fragment in fragments:
            assert fragment.lower() not in self.reply.text.lower()

    def sees_buttons(self, *titles: str) -> None:
        assert tuple(b.title for b in self.reply.buttons) == titles

    @property
    def reply(self) -> Reply:
        assert self.last.reply is not None, "nothing was answered"
        return self.last.reply

    # The road, in small.

    def _message(self, kind: MessageKind, **fields: Any) -> Message:
        self.count += 1
        return Message(id=f"m{self.count}", kind=kind, at=NOW, received_at=NOW, **fields)

    def _turn(self, messages: tuple[Message, ...], prediction: Prediction | None, **options: Any) -> None:
        text, choice_id = read_turn(messages, self.conversation)
        if prediction is None and choice_id is not None:
            prediction = read_choice(choice_id, self.conversation).prediction
        turn = TurnInput(
            messages=messages,
            text=text,
            prediction=prediction or Prediction(intent=Intent.FUERA_DE_TEMA, confidence=0.0),
            now=NOW,
            new_number=f"n{self.count}",
            record=self.record,
            appointments=tuple(self.agenda.visits) if self.agenda.reachable else None,
            choice_id=choice_id,
            **(self.turn_options | options),
        )
        decision = decide(turn, self.conversation, self.known)
        assert [decision.conclusion is not None, decision.call is not None, decision.needs_agenda].count(True) == 1
        if decision.needs_agenda:
            raise BackendNeeded
        outcome = self.agenda.execute(decision.call) if decision.call else None
        self.last = conclude(decision, outcome, self.known)
        if self.last.reply is not None:
            check(self.last.reply)
            self.shown.append(self.last.reply)
        turns = (*self.conversation.turns, Turn(role=Role.PATIENT, text=text, at=NOW))
        self.conversation = self.last.remember(self.conversation).model_copy(update={"turns": turns})

    def has_an_alarm(self) -> None:
        """What the road does with an open flow when the safety layer fires."""
        from workers.dialogue.social import suspend

        self.conversation = self.conversation.model_copy(update={"flow": suspend(self.conversation.flow)})


class BackendNeeded(Exception):
    """The turn cannot be answered without the backend."""


def options_of(reply: Reply) -> tuple[Button | ListRow, ...]:
    return (*reply.buttons, *reply.rows)


def check(reply: Reply) -> None:
    """What holds for every reply: WhatsApp's limits and ours, and no placeholder left open."""
    assert 0 < len(reply.text) <= 900
    assert "{" not in reply.text
    assert "  " not in reply.text
    assert not (reply.buttons and reply.rows)
    options = options_of(reply)
    assert len({o.id for o in options}) == len(options)
    assert len({o.title for o in options}) == len(options)
    assert all(len(b.title) <= MAX_TITLE for b in reply.buttons)
    assert len(reply.buttons) <= 3
    assert len(reply.rows) <= 10
    assert all(len(r.title) <= 24 and len(r.description) <= 72 for r in reply.rows)
    assert bool(reply.rows) == bool(reply.rows_label)


def asked_for_tomorrow_at_ten(**options: Any) -> Patient:
    """A chat that has come to the summary of Tuesday at ten, to pick up pills."""
    patient = Patient(**options)
    text, said = "Quiero una cita mañana a las 10 para recoger mis pastillas", Reason.MEDICAMENTOS
    patient.says(text, Intent.AGENDAR_CITA, date=TUE, time="10:00", reason=said)
    return patient


def calls(patient: Patient) -> list[tuple[object, ...]]:
    """What the agenda received, without the keys."""
    return [tuple(value for name, value in vars(call).items() if name != "key") for call in patient.agenda.received]
