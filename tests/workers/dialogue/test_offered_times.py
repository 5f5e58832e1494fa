"""Chats in which times are offered: parts of the day, free slots, alternatives to a taken time."""

import datetime as dt
from typing import Any

import pytest

from shared.prediction import Intent, TimeWindow
from tests.workers.dialogue.agenda import FRI, MON, SAT, SUN, THU, TUE, at
from tests.workers.dialogue.script import Patient, asked_for_tomorrow_at_ten
from workers.dialogue.decision import Taken, TakenReason

DATE, YES, NO, BOOK = Intent.INFORMAR_DATO, Intent.AFIRMAR, Intent.NEGAR, Intent.AGENDAR_CITA


def test_a_part_of_the_day_offers_up_to_three_free_slots_of_it() -> None:
    patient = Patient()
    patient.says("cita el jueves en la tarde", BOOK, date=THU, time_window=TimeWindow.TARDE)
    patient.sees("jueves 26 de noviembre por la tarde", "14:00, 16:00 o 17:30")
    patient.sees_buttons("jue 26 nov, 14:00", "jue 26 nov, 16:00", "jue 26 nov, 17:30")
    patient.taps("jue 26 nov, 16:00")
    patient.sees("jueves 26 de noviembre a las 16:00", "¿Confirmo la cita?")
    patient.taps("jue 26 nov, 14:00")
    patient.sees("ya no está activo")
    patient.says("si", YES)
    assert [call.start for call in patient.agenda.received] == [at(THU, "16:00")]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "said", "start"),
    [
        ("la segunda", {}, at(THU, "16:00")),
        ("la de las 5 y media", {"time": "17:30"}, at(THU, "17:30")),
        ("no, a las 3", {"time": "15:00"}, at(THU, "15:00")),
        ("mejor el viernes a las 9", {"date": FRI, "time": "09:00"}, at(FRI, "09:00")),
    ],
)
def test_an_offered_slot_can_be_taken_or_replaced_in_words(text: str, said: dict[str, Any], start: object) -> None:
    patient = Patient()
    patient.says("cita el jueves en la tarde", BOOK, date=THU, time_window=TimeWindow.TARDE)
    patient.says(text, DATE, **said)
    patient.says("sí", YES)
    assert [call.start for call in patient.agenda.received] == [start]  # type: ignore[union-attr]


def test_none_of_the_offered_times_asks_for_another_day() -> None:
    patient = Patient()
    patient.says("cita el jueves en la tarde", BOOK, date=THU, time_window=TimeWindow.TARDE)
    patient.says("ninguna", NO)
    patient.sees("¿Para qué día")


def test_another_hour_offers_what_is_near_the_refused_one() -> None:
    patient = Patient()
    patient.says("cita el jueves a las 5", BOOK, date=THU, time="17:00")
    patient.taps("Otra hora")
    patient.sees("16:00, 16:30 o 17:30")


def test_the_place_in_the_list_wins_when_no_offered_time_fits() -> None:
    patient = Patient()
    patient.says("cuando haya", BOOK)
    patient.says("la 2", DATE, time="14:00")
    patient.sees("lunes 23 de noviembre a las 10:00")
    patient.says("a las 2", DATE, time="14:00")
    patient.sees("lunes 23 de noviembre a las 14:00")


def test_first_and_last_hour_are_the_ends_of_the_day() -> None:
    patient = Patient()
    patient.says("el jueves a primera hora", BOOK, date=THU, time_window=TimeWindow.PRIMERA_HORA)
    patient.sees("08:00, 08:30 o 09:00")
    patient.says("mejor a última hora", DATE, time_window=TimeWindow.ULTIMA_HORA)
    patient.sees("16:30, 17:00 o 17:30")


def test_a_full_afternoon_offers_the_next_days_and_says_so() -> None:
    patient = Patient()
    patient.agenda.taken = {at(THU, f"{h}:{m}") for h in (14, 15, 16, 17) for m in ("00", "30")}
    patient.says("cita el jueves en la tarde", BOOK, date=THU, time_window=TimeWindow.TARDE)
    patient.sees("no tengo horas libres", "viernes 27 de noviembre")
    patient.says("la primera", DATE)
    patient.sees("viernes 27 de noviembre a las 14:00")


def test_nothing_free_at_all_asks_for_another_day() -> None:
    patient = Patient()
    patient.says("el jueves en la noche", BOOK, date=THU, time_window=TimeWindow.NOCHE)
    patient.sees("no tengo horas libres", "¿Qué otro día")
    patient.says("el viernes a las 9", DATE, date=FRI, time="09:00")
    patient.sees("viernes 27 de noviembre a las 09:00")


def test_any_time_is_answered_with_what_is_free() -> None:
    patient = Patient()
    patient.says("quiero cita", BOOK)
    patient.says("lo antes posible", DATE)
    patient.sees("lunes 23 de noviembre a las 09:30")
    patient.says("quiero otra cosa", Intent.FUERA_DE_TEMA)
    patient.sees("Tengo libre")
    patient.says("y qué horarios hay el viernes?", Intent.HORARIOS_UBICACION_COSTOS, date=FRI)
    patient.sees("viernes 27 de noviembre", "tengo libre")


def test_a_taken_slot_offers_alternatives_and_books_under_a_new_key() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.agenda.taken = {at(TUE, "10:00")}
    patient.taps("Confirmar")
    patient.sees("ya está ocupada", "09:00, 09:30 o 10:30")
    patient.taps("mar 24 nov, 10:30")
    patient.sees("martes 24 de noviembre a las 10:30", "¿Confirmo la cita?")
    patient.taps("Confirmar")
    patient.sees("quedó para el martes 24 de noviembre a las 10:30")
    first, second = patient.agenda.received
    assert first.key != second.key
    assert [v.start for v in patient.agenda.visits] == [at(TUE, "10:30")]


@pytest.mark.parametrize(
    ("day", "time", "sentence"),
    [(SUN, "10:00", "no atiende"), (MON, "08:00", "ya pasaron"), (SAT, "20:00", "no atiende")],
)
def test_closed_and_past_times_are_resolved_asked_and_then_refused_by_the_agenda(
    day: dt.date, time: str, sentence: str
) -> None:
    patient = Patient()
    patient.says("cita", BOOK, date=day, time=time)
    patient.sees(time)
    patient.says("sí", YES)
    patient.sees(sentence, "Lo más cercano es")
    assert patient.agenda.visits == []


def test_a_refusal_without_alternatives_asks_for_another_day() -> None:
    patient = asked_for_tomorrow_at_ten()
    patient.agenda.forced = [Taken(TakenReason.CLOSED)]
    patient.says("sí", YES)
    patient.sees("¿Qué otro día")
    patient.says("el jueves a las 9", DATE, date=THU, time="09:00")
    patient.sees("jueves 26 de noviembre a las 09:00", "recoger sus medicamentos")


def test_a_time_that_is_refused_is_not_taken_for_the_answer() -> None:
    patient = Patient()
    patient.says("cita el jueves en la tarde", BOOK, date=THU, time_window=TimeWindow.TARDE)
    patient.says("a las 4 no puedo", NO, time="16:00")
    assert "16:00 " not in patient.reply.text
    assert patient.conversation.flow.slots.time is None  # type: ignore[union-attr]


def test_free_slots_that_cannot_be_read_are_not_called_taken() -> None:
    patient = Patient()
    patient.agenda.unreadable_slots = True
    patient.says("cita el jueves en la tarde", BOOK, date=THU, time_window=TimeWindow.TARDE)
    patient.sees("¿A qué hora", "jueves 26")
    patient.does_not_see("no tengo")
