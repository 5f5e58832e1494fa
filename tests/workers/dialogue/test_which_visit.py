"""Chats in which it must be found out which appointment is meant, or whether there is one."""

from typing import Any

import pytest

from shared.conversation import Expects, Flow, FlowKind
from shared.prediction import Intent
from tests.workers.dialogue.agenda import FRI, MON, NOW, THU, TUE, WED, at, visit
from tests.workers.dialogue.script import Patient, calls
from workers.dialogue.decision import Confirm

DATE, YES, NO = Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR
CANCEL, MOVE, ATTEND = Intent.CANCELAR_CITA, Intent.REPROGRAMAR_CITA, Intent.CONFIRMAR_ASISTENCIA
ONE = visit(417, TUE, "10:00")
OTHER = visit(418, THU, "15:00")


def test_with_several_appointments_it_is_asked_which() -> None:
    patient = Patient(OTHER, ONE)
    patient.says("quiero cancelar", CANCEL)
    patient.sees("varias citas", "martes 24 de noviembre a las 10:00", "jueves 26 de noviembre a las 15:00")
    patient.sees_buttons("mar 24 nov, 10:00", "jue 26 nov, 15:00")
    patient.taps("jue 26 nov, 15:00")
    patient.sees("¿Desea cancelar", "jueves 26")
    patient.taps("Sí, cancelar")
    assert calls(patient) == [("a418",)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("la segunda", {}),
        ("la del jueves", {"date": THU}),
        ("la de las 3", {"time": "15:00"}),
        ("CC-0418", {"appointment_ref": "CC-0418"}),
    ],
)
def test_which_one_can_be_said_in_words(text: str, said: dict[str, Any]) -> None:
    patient = Patient(ONE, OTHER)
    patient.says("quiero cancelar", CANCEL)
    patient.says(text, DATE, **said)
    patient.says("sí", YES)
    assert calls(patient) == [("a418",)]


def test_more_than_three_appointments_become_a_list() -> None:
    visits = [visit(n, day, "10:00") for n, day in enumerate((TUE, WED, THU, FRI), start=1)]
    patient = Patient(*visits)
    patient.says("quiero cambiar una cita", MOVE)
    assert len(patient.reply.rows) == 4
    assert not patient.reply.buttons
    patient.taps("mié 25 nov, 10:00")
    patient.sees("¿Para qué día desea cambiar su cita del miércoles 25")


def test_two_appointments_at_the_same_time_are_told_apart_by_their_codes() -> None:
    patient = Patient(ONE, visit(500, TUE, "10:00"))
    patient.says("quiero cancelar", CANCEL)
    patient.sees_buttons("CC-0417", "CC-0500")
    patient.taps("CC-0500")
    patient.says("sí", YES)
    assert calls(patient) == [("a500",)]


def test_the_day_or_the_code_in_the_request_says_which() -> None:
    patient = Patient(ONE, OTHER)
    patient.says("cancele la del jueves", CANCEL, date=THU)
    patient.sees("jueves 26", "¿Desea cancelar")
    patient.says("no, la otra, la del martes", NO, date=TUE)
    patient.sees("martes 24", "¿Desea cancelar")
    patient.says("sí", YES)
    assert calls(patient) == [("a417",)]


def test_in_moving_the_old_day_chooses_and_the_new_day_is_asked() -> None:
    patient = Patient(ONE, OTHER)
    patient.says("cambiar mi cita del jueves para el viernes a las 9", MOVE, old_date=THU, date=FRI, time="09:00")
    patient.says("sí", YES)
    patient.says("cambiar mi cita del martes", MOVE, date=TUE)
    patient.sees("¿Para qué día desea cambiar su cita del martes 24")
    assert calls(patient) == [("a418", at(FRI, "09:00"))]


def test_which_one_is_asked_before_the_new_time_and_the_new_time_is_kept() -> None:
    patient = Patient(ONE, OTHER)
    patient.says("quiero pasar mi cita al viernes a las 9", MOVE, date=FRI, time="09:00")
    patient.sees("¿Cuál desea cambiar?")
    patient.says("la del martes", DATE, date=TUE)
    patient.sees("del martes 24 de noviembre a las 10:00 para el viernes 27 de noviembre a las 09:00")


def test_an_appointment_that_does_not_exist_is_not_guessed() -> None:
    patient = Patient(ONE)
    patient.says("confirmo la del viernes", ATTEND, date=FRI)
    patient.sees("No encuentro una cita suya para el viernes 27", "¿Confirma que asistirá", "martes 24")
    assert patient.agenda.received == []
    patient.says("cancele la CC-9999", CANCEL, appointment_ref="CC-9999")
    patient.sees("No encuentro la cita CC-9999")
    assert patient.agenda.received == []


@pytest.mark.parametrize("intent", [CANCEL, MOVE, ATTEND, Intent.CONSULTAR_CITA])
def test_without_appointments_a_booking_is_offered(intent: Intent) -> None:
    patient = Patient()
    patient.says("mi cita", intent)
    patient.sees("No encuentro citas", "¿Desea agendar una?")
    patient.says("sí", YES)
    patient.sees("¿Para qué día")
    assert patient.agenda.received == []


def test_looking_up_says_when_and_offers_what_can_be_done() -> None:
    patient = Patient(ONE)
    patient.says("¿qué día me tocaba ir?", Intent.CONSULTAR_CITA)
    patient.sees("martes 24 de noviembre a las 10:00", "CC-0417")
    patient.sees_buttons("Asistiré", "Cambiar fecha", "Cancelar cita")
    assert patient.last.action == "query"
    patient.taps("Asistiré")
    assert calls(patient) == [("a417",)]


def test_looking_up_several_lists_them() -> None:
    patient = Patient(ONE, OTHER)
    patient.says("¿cuándo son mis citas?", Intent.CONSULTAR_CITA)
    patient.sees("martes 24 de noviembre a las 10:00 y jueves 26 de noviembre a las 15:00")
    patient.taps("Cancelar cita")
    patient.sees("¿Cuál desea cancelar?")


def test_past_and_cancelled_appointments_are_not_mentioned() -> None:
    patient = Patient(visit(1, MON, "07:00"), visit(2, FRI, "09:00", status="cancelled"))
    patient.says("mi cita", Intent.CONSULTAR_CITA)
    patient.sees("No encuentro citas")


def test_a_visit_that_has_just_begun_still_counts() -> None:
    patient = Patient(visit(1, MON, "08:40"))
    assert patient.agenda.visits[0].start < NOW
    patient.says("no llego a mi cita", CANCEL)
    patient.sees("lunes 23 de noviembre a las 08:40")


def test_times_of_the_backend_in_another_offset_are_shown_in_clinic_time() -> None:
    import datetime as dt

    utc = ONE.model_copy(update={"start": ONE.start.astimezone(dt.UTC)})
    patient = Patient(utc)
    patient.says("mi cita", Intent.CONSULTAR_CITA)
    patient.sees("a las 10:00")


def test_an_appointment_that_vanished_is_said_and_a_booking_offered() -> None:
    patient = Patient(ONE)
    patient.says("cancele mi cita", CANCEL)
    patient.agenda.visits.clear()
    patient.says("sí", YES)
    patient.sees("ya no figura", "¿Desea agendar una nueva?")


@pytest.mark.parametrize("kind", FlowKind)
@pytest.mark.parametrize("expects", Expects)
def test_a_flow_that_lacks_its_data_never_breaks_a_turn(kind: FlowKind, expects: Expects) -> None:
    said: list[tuple[str, dict[str, Any]]] = [("sí", {}), ("el jueves", {"date": THU}), ("a las 9", {"time": "09:00"})]
    for intent in Intent:
        for visits in ((), (ONE,), (ONE, OTHER)):
            for text, slots in said:
                patient = Patient(*visits)
                flow = Flow(kind=kind, expects=expects, number="000000000000")
                patient.conversation = patient.conversation.model_copy(update={"flow": flow})
                patient.says(text, intent, **slots)
                assert all(isinstance(call, Confirm) for call in patient.agenda.received)
