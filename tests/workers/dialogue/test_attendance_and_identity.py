"""Chats about attending, reminders' quick replies, and patients without a known number."""

from shared.messages import MessageKind
from shared.prediction import Intent, Prediction
from tests.workers.dialogue.agenda import THU, TUE, visit
from tests.workers.dialogue.script import Patient, calls
from workers.dialogue.buttons import visit_payload
from workers.dialogue.decision import Confirm

DATE, YES, NO = Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR
CANCEL, MOVE, ATTEND = Intent.CANCELAR_CITA, Intent.REPROGRAMAR_CITA, Intent.CONFIRMAR_ASISTENCIA
ONE = visit(417, TUE, "10:00")
OTHER = visit(418, THU, "15:00")


def test_confirming_attendance_runs_at_once_and_only_once() -> None:
    patient = Patient(ONE)
    patient.says("ahí estaré sin falta", ATTEND)
    assert [type(c) for c in patient.agenda.received] == [Confirm]
    patient.sees("martes 24 de noviembre a las 10:00")
    patient.says("confirmo", ATTEND)
    patient.sees("ya está confirmada")
    assert len(patient.agenda.received) == 1


def test_a_late_confirmation_is_asked_first() -> None:
    patient = Patient(ONE)
    patient.says("ahí estaré", ATTEND, late=True)
    patient.sees("llegó con retraso", "¿Confirma que asistirá")
    assert patient.agenda.received == []
    patient.says("sí", YES)
    assert [type(c) for c in patient.agenda.received] == [Confirm]


def test_the_quick_replies_of_a_reminder_enter_the_same_flows() -> None:
    patient = Patient(ONE, OTHER)
    patient.taps_id(visit_payload("asistire", "a417"), "Asistiré")
    assert calls(patient) == [("a417",)]
    patient.taps_id(visit_payload("asistire", "a417"), "Asistiré")
    patient.sees("ya está confirmada")
    patient.taps_id(visit_payload("cambiar", "a418"), "Cambiar fecha")
    patient.sees("¿Para qué día desea cambiar su cita del jueves 26")
    patient.taps_id(visit_payload("cancelar", "a418"), "Cancelar cita")
    patient.sees("¿Desea cancelar su cita del jueves 26")
    patient.taps("Sí, cancelar")
    patient.taps_id(visit_payload("cancelar", "a418"), "Cancelar cita")
    patient.sees("ya no figura")
    assert len(patient.agenda.received) == 2


def test_the_quick_reply_about_another_patients_appointment_does_nothing() -> None:
    patient = Patient(ONE)
    patient.taps_id(visit_payload("asistire", "a999"), "Asistiré")
    patient.sees("ya no figura")
    assert patient.agenda.received == []


def test_a_bare_yes_out_of_nowhere_asks_about_tomorrows_visit_and_writes_nothing_yet() -> None:
    patient = Patient(ONE)
    patient.says("sí", YES)
    patient.sees("¿Confirma que asistirá", "martes 24")
    assert patient.agenda.received == []
    patient.says("sí", YES)
    assert [type(c) for c in patient.agenda.received] == [Confirm]


def test_a_patient_without_a_number_is_asked_for_it_and_goes_on() -> None:
    patient = Patient(identity_known=False)
    patient.says("quiero cita el jueves a las 9", Intent.AGENDAR_CITA, date=THU, time="09:00")
    assert patient.reply.asks_contact
    patient.says("¿qué es la tuberculosis?", Intent.CONSULTAR_INFO)
    patient.sees("causada por una bacteria")
    patient.sends(MessageKind.CONTACTS, contact_phone="59170000001", identity_known=True)
    patient.sees("ya tengo su número", "jueves 26 de noviembre a las 09:00")


def test_a_patient_who_does_not_give_the_number_is_handed_to_a_person() -> None:
    patient = Patient(identity_known=False)
    patient.says("quiero cita", Intent.AGENDAR_CITA)
    patient.says("no quiero", NO)
    patient.sees("Sin su número", "+591")
    assert patient.last.handoff == "sin_numero"


def test_prediction_of_a_tap_is_what_the_tap_says() -> None:
    patient = Patient(ONE)
    patient.taps_id("go:mi_cita", "Mi cita")
    assert patient.last.intent is Intent.CONSULTAR_CITA


def test_the_control_button_brings_its_reason() -> None:
    patient = Patient()
    patient.bursts(
        patient.message(MessageKind.CHOICE, text="Agendar control", choice_id="go:agendar_control"),
        prediction=Prediction(intent=Intent.SALUDO, confidence=0.1),
    )
    assert patient.last.intent is Intent.AGENDAR_CITA
    assert patient.conversation.flow.slots.reason == "control"  # type: ignore[union-attr]
