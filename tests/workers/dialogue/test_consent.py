"""What counts as a yes before something is written, what only sounds like one, and what is doubt."""

import pytest

from shared.conversation import FlowKind
from shared.prediction import Intent
from tests.workers.dialogue.agenda import TUE, at, visit
from tests.workers.dialogue.script import Patient, asked_for_tomorrow_at_ten, calls
from workers.dialogue.consent import agrees, is_undecided

BOOK, MOVE, CANCEL = FlowKind.AGENDAR, FlowKind.REPROGRAMAR, FlowKind.CANCELAR
YES, ATTEND, NO = Intent.AFIRMAR, Intent.CONFIRMAR_ASISTENCIA, Intent.NEGAR
ONE = visit(417, TUE, "10:00")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (BOOK, "sí"),
        (BOOK, "ya"),
        (BOOK, "ok doctora"),
        (BOOK, "ya pues confirme nomás"),
        (BOOK, "sí, el martes a las 10:00 está bien"),
        (BOOK, "confirmo la cita del martes"),
        (BOOK, "si agéndeme por favor"),
        (BOOK, "dale, esa hora me conviene"),
        (MOVE, "sí, cámbiela nomás"),
        (CANCEL, "si cancélela porfa"),
        (CANCEL, "sí, cancelar"),
    ],
)
def test_a_yes_in_whole_words(kind: FlowKind, text: str) -> None:
    assert agrees(text, kind)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (BOOK, "si dios quiere"),
        (BOOK, "¿sí?"),
        (BOOK, "si puedo"),
        (BOOK, "sí pero más tarde"),
        (BOOK, "sí, pero con otro doctor"),
        (BOOK, "sí quiero otra cita"),
        (BOOK, "ahí estaré"),
        (BOOK, "así quedamos entonces, me avisa"),
        (BOOK, "ya le aviso"),
        (BOOK, "bueno a las 11 nomás del martes"),  # the proposal said again
        (BOOK, "si cancele"),
        (BOOK, "sí, ¿y qué llevo?"),
        (BOOK, "no"),
        (BOOK, "👍 o mejor no"),
        (CANCEL, "cancele mi cita"),  # the request said again
        (CANCEL, "sí, agende"),
        (MOVE, "cámbieme la cita"),
    ],
)
def test_what_is_no_yes(kind: FlowKind, text: str) -> None:
    assert not agrees(text, kind)


@pytest.mark.parametrize(("text", "intent"), [("si dios quiere", YES), ("¿sí?", YES), ("ahí estaré", ATTEND)])
def test_what_sounds_like_yes_is_asked_once_more(text: str, intent: Intent) -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says(text, intent, 1.0)
    patient.sees("martes 24 de noviembre a las 10:00", "¿Confirmo la cita? Responda «sí» o toque el botón.")
    patient.sees_buttons("Confirmar", "Otra hora", "Hablar con alguien")
    assert patient.agenda.received == []
    patient.says(text, intent, 1.0)
    patient.sees("una persona", "martes 24 de noviembre a las 10:00")
    assert "Confirmar" in [button.title for button in patient.reply.buttons]
    assert patient.agenda.received == []
    patient.says("sí", YES)
    assert [call[0] for call in calls(patient)] == [at(TUE, "10:00")]


def test_the_proposal_said_again_is_understood_but_no_yes() -> None:
    patient = asked_for_tomorrow_at_ten()
    for _ in range(3):
        patient.says("bueno a las 10 nomás", Intent.INFORMAR_DATO, time="10:00")
        patient.sees("Responda «sí» o toque el botón.")
        patient.does_not_see("no le entendí", "sin entenderle")
    assert patient.agenda.received == []


@pytest.mark.parametrize(
    "text", ["no sé si voy a poder", "sinceramente no sé", "luego le confirmo", "tengo que ver", "tal vez", "capaz"]
)
def test_doubt_is_neither_yes_nor_no(text: str) -> None:
    assert is_undecided(text)
    for intent in (NO, YES, Intent.CANCELAR_CITA):
        patient = asked_for_tomorrow_at_ten()
        patient.says(text, intent)
        patient.sees("pendiente", "martes 24 de noviembre a las 10:00", "¿Confirmo la cita?")
        assert patient.agenda.received == []
        patient.taps("Confirmar")
        assert len(patient.agenda.received) == 1


@pytest.mark.parametrize("text", ["no se preocupe", "sí", "el jueves", "no se moleste", "mañana a las 9"])
def test_what_is_no_doubt(text: str) -> None:
    assert not is_undecided(text)


def test_cancelling_that_only_sounds_agreed_to_is_asked_once_more() -> None:
    patient = Patient(ONE)
    patient.says("no voy a poder ir", Intent.CANCELAR_CITA)
    patient.says("si dios quiere", YES, 1.0)
    patient.sees("¿Desea cancelar", "Responda «sí» o toque el botón.")
    assert patient.agenda.received == []
