"""Chats in which an appointment is booked, or nearly."""

from typing import Any

import pytest

from shared.prediction import Intent, Reason
from tests.workers.dialogue.agenda import FRI, THU, TUE, WED, at
from tests.workers.dialogue.script import Patient, asked_for_tomorrow_at_ten
from workers.dialogue.decision import Schedule

DATE, YES, NO, BOOK = Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR, Intent.AGENDAR_CITA


def test_a_complete_request_is_read_back_and_written_after_the_tap() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.sees("martes 24 de noviembre", "10:00", "recoger sus medicamentos", "¿Confirmo la cita?")
    patient.sees_buttons("Confirmar", "Otra hora", "Hablar con alguien")
    assert patient.agenda.received == []
    number = patient.conversation.flow.number  # type: ignore[union-attr]
    patient.taps("Confirmar")
    assert patient.agenda.received == [Schedule(f"{number}:schedule", at(TUE, "10:00"), Reason.MEDICAMENTOS, None)]
    patient.sees("quedó para el martes 24 de noviembre a las 10:00", "CC-0500")
    assert patient.conversation.flow is None
    assert patient.last.action == "schedule"
    assert patient.last.params["datetime"] == "2026-11-24T10:00:00-04:00"


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("sí", YES),
        ("dale pues", YES),
        ("Confirmar", Intent.CONFIRMAR_ASISTENCIA),
        ("confirmo", Intent.CONFIRMAR_ASISTENCIA),
        ("sí, el martes a las 10", DATE),
        ("si quiero la cita", BOOK),
    ],
)
def test_a_written_yes_is_as_good_as_the_button(text: str, intent: Intent) -> None:
    patient = asked_for_tomorrow_at_ten()
    said: dict[str, Any] = {"date": TUE, "time": "10:00"} if intent is DATE else {}
    patient.says(text, intent, **said)
    assert len(patient.agenda.received) == 1


@pytest.mark.parametrize(
    ("text", "intent", "confidence"),
    [
        ("no", NO, 0.95),
        ("no así no", NO, 0.95),
        ("no sé", YES, 0.9),
        ("mmm", YES, 0.4),
        ("gracias", Intent.DESPEDIDA_GRACIAS, 0.95),
        ("quiero una cita", BOOK, 0.95),
        ("sinceramente no me acuerdo", Intent.FUERA_DE_TEMA, 0.9),
    ],
)
def test_what_is_no_clear_yes_writes_nothing(text: str, intent: Intent, confidence: float) -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says(text, intent, confidence)
    assert patient.agenda.received == []


def test_day_time_and_the_name_of_a_new_patient_are_asked_one_at_a_time() -> None:
    patient = Patient(registered=False)
    patient.says("quisiera una ficha", BOOK)
    patient.sees("¿Para qué día")
    assert patient.conversation.flow.state == "agendar:fecha"  # type: ignore[union-attr]
    patient.says("el jueves", DATE, date=THU)
    patient.sees("¿A qué hora", "jueves 26 de noviembre")
    patient.says("a las 9 y media", DATE, time="09:30")
    patient.sees("¿A nombre de quién")
    patient.says("soy rosa mamani quispe", Intent.FUERA_DE_TEMA)
    patient.sees("jueves 26 de noviembre a las 09:30", "a nombre de Rosa Mamani Quispe")
    patient.says("sí", YES)
    (call,) = patient.agenda.received
    assert isinstance(call, Schedule)
    assert (call.start, call.name) == (at(THU, "09:30"), "Rosa Mamani Quispe")


def test_a_registered_patient_is_not_asked_for_a_name() -> None:
    patient = asked_for_tomorrow_at_ten(registered=True)
    patient.sees("¿Confirmo la cita?")


def test_a_name_understood_from_the_sentence_counts() -> None:
    patient = Patient(registered=False)
    patient.says("cita mañana a las 10 para Juan Choque", BOOK, date=TUE, time="10:00", name="Juan Choque")
    patient.sees("a nombre de Juan Choque", "¿Confirmo la cita?")


def test_a_correction_at_the_summary_keeps_the_rest_and_is_read_back() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("no, mejor el jueves", NO, date=THU)
    patient.sees("jueves 26 de noviembre a las 10:00", "recoger sus medicamentos")
    patient.says("mejor a las 11", DATE, time="11:00")
    patient.sees("jueves 26 de noviembre a las 11:00")
    patient.says("cámbiela para el viernes", Intent.REPROGRAMAR_CITA, date=FRI)
    patient.sees("viernes 27 de noviembre a las 11:00", "¿Confirmo la cita?")
    assert patient.agenda.received == []
    patient.taps("Confirmar")
    assert [call.start for call in patient.agenda.received] == [at(FRI, "11:00")]  # type: ignore[union-attr]


def test_saying_no_at_the_summary_asks_what_to_change() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("no", NO)
    patient.sees("¿Qué desea cambiar")
    patient.sees_buttons("Otra hora", "Otro día", "No agendar")
    patient.taps("Otro día")
    patient.sees("¿Para qué día")
    patient.says("el viernes", DATE, date=FRI)
    patient.sees("viernes 27 de noviembre a las 10:00")


def test_no_twice_leaves_the_booking() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("no", NO)
    patient.says("no, nada", NO)
    patient.sees("no agendé")
    assert patient.conversation.flow is None
    patient.says("sí", YES)
    assert patient.agenda.received == []


@pytest.mark.parametrize("text", ["la hora", "otra hora", "Otra hora"])
def test_what_to_change_may_be_written(text: str) -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("no", NO)
    patient.says(text, DATE)
    patient.sees("martes 24 de noviembre", "tengo libre")
    patient.does_not_see("10:00")


def test_a_question_in_the_middle_is_answered_and_the_pending_one_repeated() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("¿qué es la tuberculosis?", Intent.CONSULTAR_INFO)
    patient.sees("causada por una bacteria", "¿Confirmo la cita?")
    patient.sees_buttons("Confirmar", "Otra hora", "Hablar con alguien")
    patient.taps("Confirmar", back=1)  # the question did not change, so its first button is still good
    assert len(patient.agenda.received) == 1


def test_a_side_question_that_comes_with_the_request_is_answered_too() -> None:
    patient = Patient()
    patient.says(
        "quiero cita el jueves y qué es la tuberculosis",
        BOOK,
        date=THU,
        secondary=(Intent.CONSULTAR_INFO,),
    )
    patient.sees("causada por una bacteria", "¿A qué hora")


def test_a_bare_day_offers_a_booking() -> None:
    patient = Patient()
    patient.says("el miércoles", DATE, date=WED)
    patient.sees("¿Desea agendar una cita para el miércoles 25 de noviembre")
    patient.sees_buttons("Sí, agendar", "No agendar")
    patient.says("sí", YES)
    patient.sees("¿A qué hora")
    patient.says("no", NO)
    patient.sees("no agendé")


def test_a_datum_beside_a_question_is_not_lost() -> None:
    patient = Patient()
    patient.says("quiero cita", BOOK)
    patient.says("el jueves, ¿qué es la tuberculosis?", Intent.CONSULTAR_INFO, secondary=(DATE,), date=THU)
    patient.sees("causada por una bacteria", "¿A qué hora", "jueves 26")


def test_a_yes_with_a_condition_is_no_yes() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("sí pero con otro doctor", DATE)
    patient.says("sí, pero más cerca", BOOK)
    assert patient.agenda.received == []


def test_asking_for_appointments_in_the_middle_does_not_lose_the_booking() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("¿tengo otra cita?", Intent.CONSULTAR_CITA)
    patient.sees("No encuentro citas", "martes 24 de noviembre a las 10:00", "¿Confirmo la cita?")
    patient.says("sí", YES)
    assert len(patient.agenda.received) == 1


def test_leaving_a_booking_in_words() -> None:
    for text, intent in (("ya no quiero", NO), ("cancelar", Intent.CANCELAR_CITA), ("olvídelo", NO)):
        patient = asked_for_tomorrow_at_ten()
        patient.says(text, intent)
        patient.sees("no agendé")
        assert patient.conversation.flow is None
