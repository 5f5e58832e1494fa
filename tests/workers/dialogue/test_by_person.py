"""What only a person can do is said to be passed on, with the wish; and a visit of which only the day is known."""

from __future__ import annotations

from shared.prediction import Intent
from tests.workers.dialogue.agenda import MON, NOW, SUN, TUE, WED, at, visit
from tests.workers.dialogue.script import Patient, calls
from workers.dialogue.decision import ByPerson, Wish

BOOK, CANCEL, MOVE, ASK = Intent.AGENDAR_CITA, Intent.CANCELAR_CITA, Intent.REPROGRAMAR_CITA, Intent.CONSULTAR_CITA
ONE = visit(417, TUE, "10:00")
DAY_ONLY = visit(418, WED, "00:00")


def test_a_booking_that_a_person_must_do_is_passed_on_with_day_and_hour() -> None:
    patient = Patient()
    patient.agenda.forced = [ByPerson("sin_registro")]
    patient.says("una cita el martes a las 10", BOOK, date=TUE, time="10:00")
    patient.taps("Confirmar")
    patient.sees("No encuentro su registro", "Ya avisé al centro")
    [call] = patient.agenda.received
    assert patient.last.handoff == "sin_registro"
    assert patient.last.wish == Wish(call.key, start=at(TUE, "10:00"))
    assert patient.conversation.flow is None


def test_a_cancellation_that_a_person_must_do_is_never_said_to_be_done() -> None:
    patient = Patient(ONE)
    patient.agenda.forced = [ByPerson("anular")]
    patient.says("cancele mi cita", CANCEL)
    patient.taps("Sí, cancelar")
    patient.sees("Ya pasé su pedido", "le confirma una persona")
    assert "cancelada" not in patient.shown[-1].text
    assert patient.last.handoff == "anular"
    assert patient.last.wish is not None
    assert (patient.last.wish.appointment_id, patient.last.wish.appointment_start) == ("a417", ONE.start)
    assert patient.last.wish.start is None


def test_a_move_that_a_person_must_do_names_both_times() -> None:
    patient = Patient(ONE)
    patient.agenda.forced = [ByPerson("por_persona")]
    patient.says("cambie mi cita al miércoles a las 9", MOVE, date=WED, time="09:00")
    patient.taps("Confirmar")
    patient.sees("lo hace una persona del centro", "Ya pasé su pedido")
    assert patient.last.wish is not None
    assert (patient.last.wish.appointment_start, patient.last.wish.start) == (ONE.start, at(WED, "09:00"))


def test_of_a_day_without_hour_the_day_is_told() -> None:
    patient = Patient(DAY_ONLY)
    patient.says("¿cuándo es mi cita?", ASK)
    patient.sees("Su cita es el miércoles 25 de noviembre; la hora se la confirma el centro.")
    assert "00:00" not in patient.shown[-1].text
    patient.says("quiero cancelarla", CANCEL)
    patient.sees("¿Desea cancelar su cita del miércoles 25 de noviembre?")
    patient.taps("Sí, cancelar")
    patient.sees("Su cita del miércoles 25 de noviembre quedó cancelada.")
    assert calls(patient) == [("a418",)]


def test_a_day_without_hour_counts_until_it_is_over() -> None:
    patient = Patient(visit(1, MON, "00:00"))
    assert NOW.date() == MON
    patient.says("¿cuándo es mi cita?", ASK)
    patient.sees("lunes 23 de noviembre")
    patient = Patient(visit(1, SUN.replace(day=22), "00:00"))
    patient.says("¿cuándo es mi cita?", ASK)
    patient.sees("No encuentro citas")


def test_among_several_a_day_without_hour_has_a_button_of_its_own() -> None:
    patient = Patient(ONE, DAY_ONLY)
    patient.says("quiero cancelar", CANCEL)
    patient.sees("martes 24 de noviembre a las 10:00 y miércoles 25 de noviembre")
    patient.sees_buttons("mar 24 nov, 10:00", "mié 25 nov")


def test_the_same_hour_of_a_day_without_hour_is_asked_for() -> None:
    patient = Patient(DAY_ONLY)
    patient.says("páselo al martes a la misma hora", MOVE, date=TUE)
    patient.sees("¿A qué hora le queda bien el martes 24 de noviembre?")
