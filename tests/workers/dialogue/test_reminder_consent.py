"""Nobody is written to unasked without having agreed: the question after a booking, and what counts as a yes."""

from __future__ import annotations

from shared.prediction import Intent
from tests.workers.dialogue.script import Patient, asked_for_tomorrow_at_ten

ASK = "¿Desea que le recordemos"


def booked(**turn: bool) -> Patient:
    patient = asked_for_tomorrow_at_ten(**turn)
    patient.taps("Confirmar")
    return patient


def test_after_a_booking_a_patient_who_never_agreed_is_asked() -> None:
    patient = booked(may_be_reminded=False)
    patient.sees("Su cita quedó", ASK)
    patient.taps("Sí, recuérdeme")
    patient.sees("Le recordaremos", "BAJA")
    assert (patient.last.consent, patient.last.optout) == ("chat: botón", False)


def test_a_written_yes_to_that_question_counts() -> None:
    patient = booked(may_be_reminded=False)
    patient.says("sí por favor", Intent.AFIRMAR)
    assert patient.last.consent == "chat: sí"


def test_a_no_or_another_question_is_no_consent() -> None:
    for text, intent in (("no gracias", Intent.NEGAR), ("¿qué es la tuberculosis?", Intent.CONSULTAR_INFO)):
        patient = booked(may_be_reminded=False)
        patient.says(text, intent)
        assert patient.last.consent is None
        patient.says("sí", Intent.AFIRMAR)  # not to that question any more
        assert patient.last.consent is None


def test_who_agreed_or_opted_out_is_not_asked() -> None:
    patient = booked(may_be_reminded=True)
    assert ASK not in patient.reply.text
    assert not patient.last.asked_about_reminders


def test_alta_is_consent_and_baja_is_not() -> None:
    patient = Patient()
    patient.says("ALTA")
    assert patient.last.consent == "chat: alta"
    patient.says("BAJA", Intent.BAJA)
    assert (patient.last.consent, patient.last.optout) == (None, True)
