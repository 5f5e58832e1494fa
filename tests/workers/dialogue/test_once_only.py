"""Chats in which a write could happen twice, too early or too late, and does not."""

import pytest

from shared.messages import MessageKind
from shared.prediction import Intent, Prediction, Slots
from tests.workers.dialogue.agenda import THU, TUE
from tests.workers.dialogue.script import BackendNeeded, Patient, asked_for_tomorrow_at_ten
from workers.dialogue.decision import Refused, Unknown

DATE, YES, NO, BOOK = Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR, Intent.AGENDAR_CITA


def test_the_confirm_button_of_an_older_summary_writes_nothing() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("mejor el jueves", DATE, date=THU)
    patient.taps("Confirmar", back=1)
    patient.sees("ya no está activo", "jueves 26 de noviembre")
    assert patient.agenda.received == []
    patient.taps("Confirmar")
    assert len(patient.agenda.received) == 1


def test_confirming_twice_writes_once_and_tells_how_things_stand() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.taps("Confirmar")
    patient.taps("Confirmar")
    patient.sees("ya no está activo", "martes 24 de noviembre a las 10:00")
    patient.taps("Otra hora")
    patient.sees("ya no está activo")
    assert len(patient.agenda.received) == 1
    assert len(patient.agenda.visits) == 1


def test_a_double_tap_in_one_burst_writes_once() -> None:
    patient = asked_for_tomorrow_at_ten()
    tap = patient.reply.buttons[0]
    taps = [patient.message(MessageKind.CHOICE, text="Confirmar", choice_id=tap.id) for _ in range(2)]
    patient.bursts(*taps)
    assert len(patient.agenda.received) == 1


def test_words_beside_a_tap_count_more_than_the_tap() -> None:
    patient = asked_for_tomorrow_at_ten()
    tap = patient.message(MessageKind.CHOICE, text="Confirmar", choice_id=patient.reply.buttons[0].id)
    correction = patient.message(text="ay no, mejor el jueves")
    patient.bursts(tap, correction, prediction=Prediction(intent=DATE, confidence=0.9, slots=Slots(date=THU)))
    patient.sees("jueves 26 de noviembre")
    assert patient.agenda.received == []


def test_thanks_beside_a_tap_do_not_stop_it() -> None:
    patient = asked_for_tomorrow_at_ten()
    tap = patient.message(MessageKind.CHOICE, text="Confirmar", choice_id=patient.reply.buttons[0].id)
    thanks = patient.message(text="gracias")
    patient.bursts(tap, thanks)
    assert len(patient.agenda.received) == 1


def test_a_button_of_another_patient_writes_nothing() -> None:
    other = asked_for_tomorrow_at_ten()
    patient = Patient()
    patient.says("quiero cita", BOOK)
    patient.taps_id("other" + other.reply.buttons[0].id)
    patient.sees("ya no está activo", "¿Para qué día")
    assert patient.agenda.received == []


def test_an_unknown_outcome_is_never_claimed_and_calls_a_person() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.agenda.forced = [Unknown()]
    patient.says("sí", YES)
    patient.sees("No tengo la certeza", "Una persona del centro")
    patient.does_not_see("quedó para", "Listo")
    assert patient.last.handoff == "resultado_desconocido"
    assert patient.conversation.flow is None


def test_a_refused_write_gives_the_phone() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.agenda.forced = [Refused()]
    patient.says("sí", YES)
    patient.sees("No pude", "+591")


def test_an_alarm_in_the_middle_suspends_until_a_new_confirmation() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.has_an_alarm()
    patient.taps("Confirmar")
    patient.sees("confirme de nuevo", "martes 24 de noviembre a las 10:00")
    assert patient.agenda.received == []
    patient.taps("Confirmar", back=1)  # the button from before the alarm
    patient.sees("ya no está activo")
    assert patient.agenda.received == []
    patient.says("sí", YES)
    assert len(patient.agenda.received) == 1


def test_a_late_yes_is_asked_again() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("sí", YES, late=True)
    patient.sees("¿Confirmo la cita?")
    assert patient.agenda.received == []
    patient.says("sí", YES)
    assert len(patient.agenda.received) == 1


def test_a_late_request_says_that_it_came_late_and_writes_nothing() -> None:
    patient = Patient()
    patient.says("cita mañana a las 10", BOOK, date=TUE, time="10:00", late=True)
    patient.sees("llegó con retraso", "martes 24 de noviembre", "¿Confirmo la cita?")
    assert patient.agenda.received == []


def test_the_backend_being_down_is_said_to_the_road_and_information_still_works() -> None:
    patient = Patient()
    patient.agenda.reachable = False
    patient.says("¿qué es la tuberculosis?", Intent.CONSULTAR_INFO)
    patient.sees("causada por una bacteria")
    for intent in (BOOK, Intent.CANCELAR_CITA, Intent.CONSULTAR_CITA, Intent.CONFIRMAR_ASISTENCIA):
        with pytest.raises(BackendNeeded):
            patient.says("mi cita", intent)
