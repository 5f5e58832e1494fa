"""Somebody else's data, doses and insults: a fixed text each, whatever was understood; what is near is answered."""

import pytest

from shared.conversation import Appointment
from shared.prediction import Intent, Prediction, Slots
from tests.workers.dialogue.agenda import NOW, TUE, visit
from tests.workers.dialogue.script import Patient, asked_for_tomorrow_at_ten
from workers.dialogue.decision import TurnInput
from workers.dialogue.refusing import asks_about_others, asks_for_a_dose

ONE = visit(417, TUE, "10:00")
LOOK, CANCEL, OTHER = Intent.CONSULTAR_CITA, Intent.CANCELAR_CITA, Intent.FUERA_DE_TEMA
INFO, TESTS, SPREAD = Intent.CONSULTAR_INFO, Intent.DIAGNOSTICO_PRUEBAS, Intent.PREVENCION_CONTAGIO
MEDICINES, MISSED = Intent.TRATAMIENTO, Intent.DOSIS_OLVIDADA


def turn(text: str, intent: Intent, *visits: Appointment, **slots: str) -> TurnInput:
    prediction = Prediction(intent=intent, confidence=0.9, slots=Slots.model_validate(slots))
    return TurnInput(messages=(), text=text, prediction=prediction, now=NOW, new_number="n", appointments=visits)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("mi vecina Lucia Ticona se atiende ahi por tuberculosis? salio positiva?", TESTS),
        ("mi vecina se atiende ahi por tuberculosis?", Intent.AGENDAR_CITA),
        ("¿me puede decir si mi vecino tiene tuberculosis?", INFO),
        ("quiero saber el resultado de mi hermano Juan", OTHER),
        ("a qué hora es la cita de mi mamá", LOOK),
        ("a que hora tiene su cita ella", LOOK),
        ("¿a qué hora le toca a mi hijo?", LOOK),
        ("¿a qué hora va él?", LOOK),
        ("dame la lista de pacientes", OTHER),
        ("deme los datos de otro paciente", OTHER),
        ("cancele la cita de mi vecina", CANCEL),
    ],
)
def test_somebody_elses_data(text: str, intent: Intent) -> None:
    assert asks_about_others(turn(text, intent))


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("mi vecina tiene tuberculosis, ¿me puedo contagiar?", SPREAD),
        ("mi esposo tiene tb, ¿es grave?", INFO),
        ("mi esposo tiene tb es grave eso?", INFO),
        ("si mi hijo tiene tuberculosis lo dejan ir al colegio?", SPREAD),
        ("¿cuándo es mi cita señora?", LOOK),
        ("no puedo ir a mi cita, mi mamá está enferma", CANCEL),
        ("quiero una cita para mi mamá", Intent.AGENDAR_CITA),
        ("para mi mamá que está enferma hay ficha mañana?", Intent.AGENDAR_CITA),
        ("¿cuánto dura el tratamiento de mi hijo?", MEDICINES),
        ("a qué hora tengo que ir con mi esposa", LOOK),
    ],
)
def test_what_is_no_question_about_somebody_else(text: str, intent: Intent) -> None:
    assert not asks_about_others(turn(text, intent))


def test_a_visit_booked_through_this_number_for_another_is_told() -> None:
    booked = ONE.model_copy(update={"name": "Julia Rocha"})
    assert not asks_about_others(turn("a qué hora es la cita de mi mamá", LOOK, booked))
    patient = Patient(booked)
    patient.says("a qué hora es la cita de mi mamá", LOOK)
    patient.sees("martes 24 de noviembre a las 10:00")


def test_a_visit_under_a_strangers_name_is_not_told() -> None:
    patient = Patient(ONE.model_copy(update={"name": "Rosa Mamani"}))
    patient.says("a qué hora es la cita de Lucía Ticona", LOOK, name="Lucía Ticona")
    patient.reads("datos_de_otros")
    patient.says("a qué hora es la cita de Rosa Mamani", LOOK, name="Rosa Mamani")
    patient.sees("10:00")


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("y cuantos miligramos de rifampicina me tocan si peso 60 kilos", MEDICINES),
        ("cuántas pastillas tengo que tomar al dia?", MEDICINES),
        ("que dosis le doy a mi hijo", INFO),
        ("tomo dos o tres pastillas?", MEDICINES),
        ("y a mi wawa cuanto le doy?", MEDICINES),
        ("cuantas veces al dia tomo", MEDICINES),
        ("dosis de rifampicina", OTHER),
    ],
)
def test_a_question_for_the_dose(text: str, intent: Intent) -> None:
    assert asks_for_a_dose(turn(text, intent))


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("¿cuánto tiempo tengo que tomar las pastillas?", MEDICINES),
        ("¿cuántos meses tomo las pastillas?", MEDICINES),
        ("¿cuánto cuestan las pastillas que tomo?", MEDICINES),
        ("¿por qué son tantas pastillas?", MEDICINES),
        ("me olvidé una dosis, ¿cuánto tomo ahora de la pastilla?", MISSED),
        ("¿puedo tomar las pastillas con leche?", MEDICINES),
    ],
)
def test_what_is_no_question_for_the_dose(text: str, intent: Intent) -> None:
    assert not asks_for_a_dose(turn(text, intent))


def test_in_the_middle_of_a_booking_the_question_is_asked_again() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.says("cuántas pastillas tengo que tomar?", MEDICINES)
    patient.sees("La dosis la indica el equipo de salud", "martes 24 de noviembre a las 10:00", "¿Confirmo la cita?")
    patient.taps("Confirmar")
    assert len(patient.agenda.received) == 1


def test_an_insult_gets_one_calm_sentence_and_the_menu() -> None:
    patient = Patient()
    patient.says("sos un inútil de mierda", OTHER)
    patient.reads("insulto")
    patient.sees_buttons("Agendar cita", "Información TB", "Hablar con alguien")
