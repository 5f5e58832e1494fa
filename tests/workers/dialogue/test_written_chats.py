"""Chats in the patients' own words: understood by the rules alone, decided by the dialogue, executed by the agenda."""

from __future__ import annotations

from typing import Any

import pytest

from shared.prediction import Intent
from tests.workers.dialogue.agenda import FRI, NOW, SAT, THU, TUE, WED, at, visit
from tests.workers.dialogue.script import Patient, calls
from workers.dialogue.decision import Cancel, Confirm, Reschedule, Schedule
from workers.understanding import understand

ONE = visit(417, TUE, "10:00")
OTHER = visit(418, THU, "15:00")


class Writer(Patient):
    """A patient whose words are read by the rules, without any model."""

    def writes(self, *texts: str, **options: Any) -> None:
        for text in texts:
            state = self.conversation.flow.state if self.conversation.flow else None
            prediction = understand(text, NOW, state, lambda needs_reply: None)
            self._turn((self.message(text=text),), prediction, **options)


def test_booking_in_one_sentence() -> None:
    patient = Writer()
    patient.writes("Quiero una cita mañana a las 10 para recoger mis pastillas")
    patient.sees("martes 24 de noviembre", "10:00")
    patient.taps("Confirmar")
    assert calls(patient) == [(at(TUE, "10:00"), "medicamentos", None)]


def test_booking_step_by_step_by_a_new_patient() -> None:
    patient = Writer(registered=False)
    patient.writes("buenas, quisiera sacar una ficha para el doctor")
    patient.sees("¿Para qué día")
    patient.writes("el juevs")
    patient.sees("¿A qué hora", "jueves 26")
    patient.writes("9 y media")
    patient.sees("¿A nombre de quién")
    patient.writes("Rosa Mamani Quispe")
    patient.sees("Rosa Mamani Quispe")
    patient.writes("si, así está bien")
    assert calls(patient) == [(at(THU, "09:30"), None, "Rosa Mamani Quispe")]


@pytest.mark.parametrize(
    "yes", ["sí", "si", "Sí, confirmo", "ya", "dale nomás", "está bien", "👍", "Confirmar", "ok doctora"]
)
def test_every_plain_yes_books(yes: str) -> None:
    patient = Writer()
    patient.writes("kiero cita pa mñn a las 10", yes)
    assert calls(patient) == [(at(TUE, "10:00"), None, None)]


@pytest.mark.parametrize(
    "no", ["no", "no, así no", "todavía no", "sinceramente no sé", "si dios quiere", "¿sí?", "nop", "👎"]
)
def test_nothing_else_books(no: str) -> None:
    patient = Writer()
    patient.writes("quiero cita mañana a las 10", no)
    assert calls(patient) == []


def test_correction_at_the_summary() -> None:
    patient = Writer()
    patient.writes("quiero una cita mañana a las 10")
    patient.writes("no, mejor el jueves")
    patient.sees("jueves 26 de noviembre a las 10:00")
    patient.writes("a las 11 mejor")
    patient.sees("jueves 26 de noviembre a las 11:00")
    patient.writes("sí")
    assert calls(patient) == [(at(THU, "11:00"), None, None)]


def test_a_window_and_a_choice_in_words() -> None:
    patient = Writer()
    patient.writes("necesito cita el viernes en la tarde")
    patient.sees("viernes 27 de noviembre por la tarde")
    patient.writes("a las 4")
    patient.sees("viernes 27 de noviembre a las 16:00")
    patient.writes("sí por favor")
    assert calls(patient) == [(at(FRI, "16:00"), None, None)]


def test_a_taken_slot_and_another_hour() -> None:
    patient = Writer()
    patient.agenda.taken = {at(TUE, "10:00")}
    patient.writes("quiero cita mañana a las 10", "sí")
    patient.sees("ya está ocupada")
    patient.writes("a las 10 y media", "si")
    assert calls(patient)[-1] == (at(TUE, "10:30"), None, None)


def test_cancelling_in_words() -> None:
    patient = Writer(ONE)
    patient.writes("anule mi consulta por favor")
    patient.sees("¿Desea cancelar", "martes 24")
    patient.writes("sí")
    assert [type(call) for call in patient.agenda.received] == [Cancel]


def test_not_being_able_to_come_offers_to_move() -> None:
    patient = Writer(ONE)
    patient.writes("no voy a poder ir mañana")
    patient.sees_buttons("Sí, cancelar", "Cambiar fecha", "Mantener cita")
    patient.taps("Cambiar fecha")
    patient.writes("el viernes a las 3")
    patient.writes("sí")
    assert calls(patient) == [("a417", at(FRI, "15:00"))]


def test_moving_in_one_sentence() -> None:
    patient = Writer(ONE)
    patient.writes("en vez del martes puedo ir el miércoles a las 9?")
    patient.sees("del martes 24 de noviembre a las 10:00 para el miércoles 25 de noviembre a las 09:00")
    patient.writes("sí")
    assert [type(call) for call in patient.agenda.received] == [Reschedule]
    assert calls(patient) == [("a417", at(WED, "09:00"))]


def test_moving_step_by_step() -> None:
    patient = Writer(ONE)
    patient.writes("¿me la puede pasar para otro día?", "el jueves", "a la misma hora")
    patient.sees("jueves 26 de noviembre a las 10:00")
    patient.writes("ya")
    assert calls(patient) == [("a417", at(THU, "10:00"))]


def test_several_appointments_in_words() -> None:
    patient = Writer(ONE, OTHER)
    patient.writes("quiero cancelar mi cita")
    patient.sees("varias citas")
    patient.writes("la del jueves")
    patient.sees("jueves 26")
    patient.writes("sí, cancelar")
    assert calls(patient) == [("a418",)]


def test_attendance_in_words() -> None:
    patient = Writer(ONE)
    patient.writes("si dra, voy a asistir nomás")
    assert [type(call) for call in patient.agenda.received] == [Confirm]


def test_looking_up_in_words() -> None:
    patient = Writer(ONE)
    patient.writes("¿Qué día me tocaba ir?")
    patient.sees("martes 24 de noviembre a las 10:00", "CC-0417")
    assert calls(patient) == []


def test_a_new_request_replaces_the_flow_and_takes_no_slot_along() -> None:
    patient = Writer(ONE)
    patient.writes("quiero cita el viernes")
    patient.writes("cancele mi cita del martes")
    patient.sees("¿Desea cancelar", "martes 24")
    patient.writes("no", "quiero una cita", "el sábado a las 9", "sí")
    assert calls(patient) == [(at(SAT, "09:00"), None, None)]
    assert isinstance(patient.agenda.received[0], Schedule)


def test_a_question_in_the_middle_in_words() -> None:
    patient = Writer()
    patient.writes("quiero cita mañana a las 10", "¿qué es la tuberculosis?")
    patient.sees("¿Confirmo la cita?")
    patient.writes("sí")
    assert calls(patient) == [(at(TUE, "10:00"), None, None)]


def test_leaving_in_words() -> None:
    patient = Writer()
    patient.writes("quiero cita mañana a las 10", "BAJA")
    assert patient.last.optout is True
    patient.writes("sí")
    assert calls(patient) == []


def test_a_person_in_words() -> None:
    patient = Writer()
    patient.writes("páseme con la enfermera")
    assert patient.last.handoff == "pedido"
    assert patient.last.intent is Intent.HABLAR_HUMANO


def test_bare_numbers_answer_the_question_that_was_asked() -> None:
    patient = Writer()
    patient.writes("quiero cita", "el 26")
    patient.sees("¿A qué hora", "jueves 26")
    patient.writes("10")
    patient.sees("jueves 26 de noviembre a las 10:00")
