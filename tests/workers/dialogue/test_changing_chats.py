"""Chats in which an appointment is cancelled or moved; flows never mix."""

import pytest

from shared.prediction import Intent, TimeWindow
from tests.workers.dialogue.agenda import FRI, SAT, THU, TUE, at, visit
from tests.workers.dialogue.script import Patient, calls
from workers.dialogue.decision import Cancel, Confirm, Reschedule, Unknown

DATE, YES, NO = Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR
CANCEL, MOVE, ATTEND = Intent.CANCELAR_CITA, Intent.REPROGRAMAR_CITA, Intent.CONFIRMAR_ASISTENCIA
ONE = visit(417, TUE, "10:00")
OTHER = visit(418, THU, "15:00")


def test_the_only_appointment_is_the_one_that_is_cancelled_after_a_yes() -> None:
    patient = Patient(ONE)
    patient.says("no voy a poder llegar a la cita", CANCEL)
    patient.sees("martes 24 de noviembre a las 10:00", "¿Desea cancelar")
    patient.sees_buttons("Sí, cancelar", "Cambiar fecha", "Mantener cita")
    assert patient.agenda.received == []
    number = patient.conversation.flow.number  # type: ignore[union-attr]
    patient.taps("Sí, cancelar")
    assert patient.agenda.received == [Cancel(f"{number}:cancel", "a417")]
    patient.sees("quedó cancelada")
    patient.taps("Sí, cancelar")
    patient.sees("ya no está activo")
    assert len(patient.agenda.received) == 1


@pytest.mark.parametrize(
    ("text", "intent"), [("sí", YES), ("Sí, cancelar", CANCEL), ("sí cancele nomás", CANCEL), ("confirmo", ATTEND)]
)
def test_a_cancellation_can_be_affirmed_in_words(text: str, intent: Intent) -> None:
    patient = Patient(ONE)
    patient.says("cancele mi cita", CANCEL)
    patient.says(text, intent)
    assert calls(patient) == [("a417",)]
    assert isinstance(patient.agenda.received[0], Cancel)


def test_saying_that_one_comes_after_all_is_no_yes_to_the_cancellation() -> None:
    patient = Patient(ONE)
    patient.says("cancele mi cita", CANCEL)
    patient.says("sí voy a ir nomás", ATTEND)
    (call,) = patient.agenda.received
    assert isinstance(call, Confirm)
    patient.sees("asistencia quedó confirmada")


@pytest.mark.parametrize("how", ["no", "Mantener cita"])
def test_an_appointment_is_kept(how: str) -> None:
    patient = Patient(ONE)
    patient.says("cancele mi cita", CANCEL)
    if how == "no":
        patient.says("no", NO)
    else:
        patient.taps(how)
    patient.sees("no cancelé nada", "martes 24 de noviembre a las 10:00")
    assert patient.agenda.received == []
    assert patient.conversation.flow is None


def test_asking_to_cancel_twice_does_not_cancel() -> None:
    patient = Patient(ONE)
    patient.says("cancele mi cita", CANCEL)
    patient.says("cancele mi cita", CANCEL)
    patient.sees("¿Desea cancelar")
    assert patient.agenda.received == []


def test_changing_the_date_instead_of_cancelling() -> None:
    patient = Patient(ONE)
    patient.says("cancele mi cita", CANCEL)
    patient.taps("Cambiar fecha")
    patient.sees("¿Para qué día desea cambiar su cita del martes 24")
    patient.says("el jueves a las 9", DATE, date=THU, time="09:00")
    patient.sees("del martes 24 de noviembre a las 10:00 para el jueves 26 de noviembre a las 09:00")
    patient.taps("Sí, cancelar")  # of the flow that was left
    patient.sees("ya no está activo")
    patient.taps("Confirmar")
    assert calls(patient) == [("a417", at(THU, "09:00"))]


def test_a_new_day_in_answer_to_the_cancellation_moves_instead() -> None:
    patient = Patient(ONE)
    patient.says("no puedo ir", CANCEL)
    patient.says("mejor el viernes a las 3", DATE, date=FRI, time="15:00")
    patient.sees("para el viernes 27 de noviembre a las 15:00")
    patient.says("sí", YES)
    assert calls(patient) == [("a417", at(FRI, "15:00"))]


def test_moving_asks_day_then_time_and_writes_after_the_yes() -> None:
    patient = Patient(ONE)
    patient.says("¿me la puede pasar para otro día?", MOVE)
    patient.sees("¿Para qué día")
    patient.says("el jueves", DATE, date=THU)
    patient.sees("¿A qué hora")
    patient.says("a las 3", DATE, time="15:00")
    patient.sees("¿Confirmo el cambio?")
    patient.taps("Confirmar")
    (call,) = patient.agenda.received
    assert isinstance(call, Reschedule)
    assert calls(patient) == [("a417", at(THU, "15:00"))]
    patient.sees("cambiada para el jueves 26 de noviembre a las 15:00", "CC-0417")


def test_the_same_hour_and_only_the_hour_are_understood() -> None:
    patient = Patient(ONE)
    patient.says("cámbieme la hora, mejor a las 5", MOVE, time="17:00")
    patient.sees("para el martes 24 de noviembre a las 17:00")
    patient.says("no, mejor el jueves a la misma hora", NO, date=THU)
    patient.sees("para el jueves 26 de noviembre a las 10:00")
    patient.says("sí", YES)
    assert calls(patient) == [("a417", at(THU, "10:00"))]


def test_moving_to_where_it_already_is_asks_for_another_day() -> None:
    patient = Patient(ONE)
    patient.says("páseme al martes a las 10", MOVE, date=TUE, time="10:00")
    patient.sees("ya está para el martes 24", "¿Para qué día")
    assert patient.agenda.received == []


def test_refusing_the_new_time_keeps_the_old_one() -> None:
    patient = Patient(ONE)
    patient.says("páseme al jueves a las 9", MOVE, date=THU, time="09:00")
    patient.says("no", NO)
    patient.sees_buttons("Otra hora", "Otro día", "Mantener cita")
    patient.taps("Mantener cita")
    patient.sees("no cambié nada", "martes 24 de noviembre a las 10:00")
    assert patient.agenda.received == []


def test_flows_do_not_mix_booking_then_cancelling_then_booking() -> None:
    patient = Patient(ONE)
    patient.says("quiero otra cita el viernes", Intent.AGENDAR_CITA, date=FRI)
    patient.says("cancele mi cita del martes", CANCEL, date=TUE)
    patient.sees("¿Desea cancelar", "martes 24")
    patient.does_not_see("viernes")
    patient.says("no", NO)
    patient.says("quiero una cita", Intent.AGENDAR_CITA)
    patient.sees("¿Para qué día")  # the Friday of the first attempt is forgotten
    patient.says("el sábado a las 9", DATE, date=SAT, time="09:00")
    patient.says("sí", YES)
    assert calls(patient) == [(at(SAT, "09:00"), None, None)]


def test_a_new_request_to_move_my_appointment_is_not_a_correction_of_the_booking() -> None:
    patient = Patient(ONE)
    patient.says("otra cita el viernes a las 9", Intent.AGENDAR_CITA, date=FRI, time="09:00")
    patient.says("más bien cámbieme mi cita para el jueves", MOVE, date=THU)
    patient.sees("¿A qué hora", "jueves 26")
    assert patient.conversation.flow.state == "reprogramar:hora"  # type: ignore[union-attr]
    patient.taps("Confirmar")  # of the booking that was left
    patient.sees("ya no está activo")
    assert patient.agenda.received == []


def test_the_move_that_collides_offers_alternatives() -> None:
    patient = Patient(ONE)
    patient.agenda.taken = {at(THU, "09:00")}
    patient.says("páseme al jueves a las 9", MOVE, date=THU, time="09:00")
    patient.says("sí", YES)
    patient.sees("ya está ocupada", "08:00, 08:30 o 09:30")
    patient.says("a las 9 y media", DATE, time="09:30")
    patient.says("sí", YES)
    assert calls(patient)[-1] == ("a417", at(THU, "09:30"))
    assert patient.agenda.visits == [ONE.model_copy(update={"start": at(THU, "09:30")})]


def test_moving_by_part_of_the_day_offers_free_slots() -> None:
    patient = Patient(ONE)
    patient.says("cámbiela al jueves en la mañana", MOVE, date=THU, time_window=TimeWindow.MANANA)
    patient.sees("jueves 26 de noviembre por la mañana", "08:00, 10:00 o 11:30")
    patient.taps("jue 26 nov, 10:00")
    patient.sees("¿Confirmo el cambio?")


def test_an_unknown_cancellation_is_not_claimed() -> None:
    patient = Patient(ONE)
    patient.says("cancele mi cita", CANCEL)
    patient.agenda.forced = [Unknown()]
    patient.says("sí", YES)
    patient.sees("No tengo la certeza")
    patient.does_not_see("quedó cancelada")
