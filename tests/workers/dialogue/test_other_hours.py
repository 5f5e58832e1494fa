"""Chats about another hour or week than the one just named, and about visits that keep a part of what they have."""

import pytest

from shared.messages import MessageKind
from shared.prediction import Intent
from tests.workers.dialogue.agenda import FRI, THU, TUE, WED, at, visit
from tests.workers.dialogue.script import Patient, asked_for_tomorrow_at_ten, calls

BOOK, MOVE, CANCEL = Intent.AGENDAR_CITA, Intent.REPROGRAMAR_CITA, Intent.CANCELAR_CITA
DATE, YES, NO, ATTEND = Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR, Intent.CONFIRMAR_ASISTENCIA
ONE, OTHER = visit(417, TUE, "10:00"), visit(418, THU, "15:00")


def times(patient: Patient) -> list[str]:
    return [button.title.split(", ")[1] for button in patient.reply.buttons]


def test_yes_but_later_offers_later_hours_of_that_day() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("sí pero más tarde", YES)
    patient.sees("martes 24 de noviembre más tarde tengo libre")
    assert min(times(patient)) > "10:00"
    assert patient.agenda.received == []


def test_earlier_offers_earlier_hours_and_says_when_there_are_none() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("más tempranito", DATE)
    assert max(times(patient)) < "10:00"
    patient = Patient()
    patient.says("cita mañana a las 8", BOOK, date=TUE, time="08:00")
    patient.says("más temprano", DATE)
    patient.sees("martes 24 de noviembre más temprano no tengo horas libres", "miércoles 25")


def test_another_hour_than_those_offered_is_not_the_same_again() -> None:
    patient = Patient()
    patient.says("cita el viernes en la tarde", BOOK, date=FRI, time_window="tarde")
    first = times(patient)
    patient.says("otra", NO)
    assert not set(first) & set(times(patient))


def test_a_weekday_after_the_other_week_is_of_that_week() -> None:
    patient = Patient()
    patient.says("quiero cita la otra semana", BOOK)
    patient.says("el martes a las 9", DATE, date=TUE, time="09:00")
    patient.sees("martes 1 de diciembre a las 09:00")
    patient.says("mejor la semana que viene el 3", DATE)
    patient.says("martes 24 a las 9", DATE, date=TUE, time="09:00")
    patient.sees("martes 24 de noviembre")


def test_the_other_week_at_the_summary_asks_for_the_day() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("la otra semana mejor", DATE)
    patient.sees("¿Para qué día")
    patient.says("el martes", DATE, date=TUE)
    patient.sees("martes 1 de diciembre a las 10:00")


def test_moving_to_another_day_at_the_same_hour() -> None:
    patient = Patient(ONE)
    patient.says("no podré ir mañana", CANCEL)
    patient.says("mejor el jueves a esa misma hora, se puede?", DATE, date=THU)
    patient.sees("jueves 26 de noviembre a las 10:00", "¿Confirmo el cambio?")
    patient.says("sí", YES)
    assert calls(patient) == [("a417", at(THU, "10:00"))]


@pytest.mark.parametrize("text", ["quiero cambiar la hora de mi cita", "cambie el horario de mi cita"])
def test_changing_only_the_hour_keeps_the_day(text: str) -> None:
    patient = Patient(ONE)
    patient.says(text, MOVE)
    patient.sees("¿A qué hora", "martes 24 de noviembre")
    patient.says("más tarde", DATE)
    assert min(times(patient)) > "10:00"


def test_an_hour_alone_in_answer_to_the_day_keeps_the_day() -> None:
    patient = Patient(ONE)
    patient.says("me cambia mi cita?", MOVE)
    patient.says("a las 5", DATE, time="17:00")
    patient.sees("para el martes 24 de noviembre a las 17:00")


def test_earlier_than_the_visit_offers_hours_at_once() -> None:
    patient = Patient(ONE)
    patient.says("puedo ir más temprano a mi cita?", MOVE)
    patient.sees("martes 24 de noviembre más temprano tengo libre")
    assert max(times(patient)) < "10:00"


def test_not_being_able_at_that_hour_after_a_look_up_is_about_that_visit() -> None:
    patient = Patient(ONE)
    patient.says("¿cuándo es mi cita?", Intent.CONSULTAR_CITA)
    patient.says("ah no puedo a esa hora", NO)
    patient.sees("¿Desea cancelar su cita del martes 24", "cambiarle la fecha")
    patient.says("el jueves a las 9", DATE, date=THU, time="09:00")
    patient.sees("cambiar su cita del martes 24", "jueves 26 de noviembre a las 09:00")


def test_rather_another_day_after_a_look_up_moves_the_visit() -> None:
    patient = Patient(ONE)
    patient.says("¿cuándo es mi cita?", Intent.CONSULTAR_CITA)
    patient.says("mejor el miércoles a las 9", DATE, date=WED, time="09:00")
    patient.sees("cambiar su cita del martes 24", "miércoles 25 de noviembre a las 09:00")


def test_coming_late_is_not_taken_for_a_confirmation() -> None:
    patient = Patient(ONE)
    patient.says("voy a llegar un poco tarde a mi cita de mañana", ATTEND, date=TUE)
    patient.sees("llame al centro", "+591")
    assert patient.agenda.received == []


def test_not_knowing_when_gets_the_nearest_free_hours() -> None:
    patient = Patient()
    patient.says("quiero una cita", BOOK)
    patient.says("no sé", NO)
    patient.sees("Tengo libre")


def test_a_question_in_a_sentence_of_its_own_is_answered_beside_the_request() -> None:
    patient = Patient(ONE)
    patient.says("anule mi cita x favor y otra cosa, se contagia la tuberculosis por usar el mismo plato?", CANCEL)
    patient.sees("Se transmite por el aire", "¿Desea cancelar su cita del martes 24")


def test_the_reason_of_a_visit_is_told() -> None:
    patient = Patient(ONE.model_copy(update={"reason": "control"}))
    patient.says("¿para qué era mi cita?", Intent.CONSULTAR_CITA)
    patient.sees("para su control")


def test_to_move_what_is_not_there_needs_to_be_sure() -> None:
    patient = Patient()
    patient.says("lo del otro día", MOVE, 0.7)
    patient.reads("no_seguro")
    patient.says("cámbieme mi cita", MOVE, 0.7)
    patient.sees("No encuentro citas")


def test_the_first_greeting_introduces_us_once() -> None:
    patient = Patient(introduced=False)
    patient.says("hola", Intent.SALUDO, reply="¡Buen día! Soy el asistente automático del centro.")
    assert patient.reply.text.count("Soy el asistente") == 1


def test_a_picture_in_the_middle_of_a_booking_asks_again() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.sends(MessageKind.MEDIA, media="image")
    patient.sees("imágenes", "martes 24 de noviembre a las 10:00")
    assert "Confirmar" in [button.title for button in patient.reply.buttons]


def test_all_of_them_are_cancelled_one_by_one_each_with_its_own_yes() -> None:
    patient = Patient(ONE, OTHER)
    patient.says("cancele todas mis citas", CANCEL)
    patient.sees("una por una", "¿Desea cancelar su cita del martes 24")
    patient.taps("Sí, cancelar")
    patient.sees("quedó cancelada", "¿Desea cancelar su cita del jueves 26")
    patient.taps("Sí, cancelar", back=1)
    patient.sees("ya no está activo", "jueves 26")
    patient.taps("Sí, cancelar")
    assert calls(patient) == [("a417",), ("a418",)]
    assert patient.conversation.flow is None


def test_both_are_confirmed_one_by_one() -> None:
    patient = Patient(ONE, OTHER)
    patient.says("confirmo mi asistencia", ATTEND)
    patient.says("a las dos", DATE, time="14:00")
    patient.sees("confirmada para el martes 24", "¿Confirma que asistirá a su cita del jueves 26")
    patient.says("sí", YES)
    assert calls(patient) == [("a417",), ("a418",)]


def test_the_soonest_hours_are_the_first_ones() -> None:
    patient = Patient()
    patient.says("cita para mañana, la más cercana", BOOK, date=TUE)
    assert times(patient) == ["08:00", "08:30", "09:00"]


def test_a_day_said_twice_is_not_taken_for_misunderstood() -> None:
    patient = Patient()
    patient.says("cita el jueves", BOOK, date=THU)
    patient.says("jueves", DATE, date=THU)
    patient.sees("¿A qué hora")
    patient.does_not_see("no le entendí")


def test_a_bare_number_to_the_summary_is_an_hour() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("4", YES, 0.6)
    patient.sees("martes 24 de noviembre a las 16:00", "¿Confirmo la cita?")
    assert patient.agenda.received == []
