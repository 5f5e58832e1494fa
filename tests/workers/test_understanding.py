"""How rules, n-grams and model come to one prediction, and what none of them may do alone."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from shared.prediction import Intent, Reason
from shared.weights import Weights
from workers.model.reader import Reading
from workers.understanding import beside_danger, understand

NOW = dt.datetime(2026, 11, 23, 9, 0, tzinfo=ZoneInfo("America/La_Paz"))
SURE = 0.97


def reading(intent: Intent | None, confidence: float = SURE, **others: object) -> Reading:
    """What a tagged model would say that gives `intent` this probability and the others the rest."""
    rest = (1 - confidence) / (len(Intent) - 1)
    chances = {each: confidence if each is intent else rest for each in Intent} if intent else {}
    given = Reading(intent=intent, confidence=confidence, chances=chances)
    return replace(given, **others)  # type: ignore[arg-type]


def said(text: str, of_model: Reading | None = None, state: str | None = None):  # type: ignore[no-untyped-def]
    return understand(text, NOW, state, lambda needs_reply: of_model)


def test_without_a_model_plain_words_are_understood() -> None:
    assert said("quiero sacar una cita").intent is Intent.AGENDAR_CITA
    assert said("a q hora atienden los sabados").intent is Intent.HORARIOS_UBICACION_COSTOS
    assert said("si", state="agendar:confirmar").intent is Intent.AFIRMAR


def test_a_model_that_is_sure_alone_does_not_overrule_what_rules_and_letters_both_see() -> None:
    prediction = said("quiero cancelar mi cita del jueves", reading(Intent.SALUDO))
    assert prediction.intent is Intent.CANCELAR_CITA
    assert prediction.confidence < said("quiero cancelar mi cita del jueves", reading(Intent.CANCELAR_CITA)).confidence


def test_the_model_decides_where_the_others_guess() -> None:
    text = "lo de siempre pues"
    assert said(text).confidence < 0.6
    assert said(text).intent is not Intent.CONSULTAR_CITA
    assert said(text, reading(Intent.CONSULTAR_CITA, 0.999)).intent is Intent.CONSULTAR_CITA


def test_the_exact_words_of_leaving_are_obeyed_and_never_asked_about() -> None:
    asked: list[bool] = []
    prediction = understand("BAJA", NOW, None, lambda needs_reply: asked.append(needs_reply))
    assert (prediction.intent, prediction.confidence, asked) == (Intent.BAJA, 1.0, [])


def test_the_model_can_raise_an_alarm() -> None:
    text = "lo de siempre pues"
    assert said(text).danger is None
    assert said(text, reading(Intent.URGENCIA, 0.995, weights=Weights(alarm=0.2))).danger is not None


def test_a_model_without_tags_leaves_the_intent_to_the_others_and_words_the_reply() -> None:
    prediction = said("¿qué es la tuberculosis?", reading(None, 0.0, reply="Es una enfermedad."))
    assert prediction.intent is Intent.CONSULTAR_INFO
    assert prediction.reply == "Es una enfermedad."


def test_a_reason_is_never_taken_from_the_model() -> None:
    given = reading(Intent.AGENDAR_CITA, reason=Reason.RESULTADOS)
    assert said("quiero una cita despues de las 4 porque trabajo", given).slots.reason is None


def test_the_words_of_a_name_are_taken_from_the_model_and_a_sentence_is_none() -> None:
    given = reading(Intent.AGENDAR_CITA, spans={"name": "Yhoselin Pari"})
    assert said("cita pa la yhoselin pari pues", given).slots.name == "Yhoselin Pari"
    given = reading(Intent.AGENDAR_CITA, spans={"name": "para el lunes"})
    assert said("quiero una cita", given).slots.name is None


def test_a_date_of_the_rules_is_never_replaced_by_the_model() -> None:
    given = reading(Intent.AGENDAR_CITA, spans={"date": "viernes"})
    assert said("quiero una cita el jueves, el viernes no puedo", given).slots.date == dt.date(2026, 11, 26)


def test_who_wants_to_move_a_visit_without_saying_so_leaves_the_first_day_behind() -> None:
    prediction = said("el martes no puedo ir a mi control, el jueves sí", reading(Intent.REPROGRAMAR_CITA))
    assert prediction.intent is Intent.REPROGRAMAR_CITA
    assert (prediction.slots.old_date, prediction.slots.date) == (dt.date(2026, 11, 24), dt.date(2026, 11, 26))


@pytest.mark.parametrize(
    ("text", "primary", "second"),
    [
        ("cuanto dura el tratamiento? y puedo contagiar a mi esposa?", Intent.TRATAMIENTO, Intent.PREVENCION_CONTAGIO),
        (
            "a que hora atienden? y puedo tomar cerveza con las pastillas?",
            Intent.HORARIOS_UBICACION_COSTOS,
            Intent.TRATAMIENTO,
        ),
    ],
)
def test_of_two_questions_the_first_is_the_primary_one(text: str, primary: Intent, second: Intent) -> None:
    prediction = said(text)
    assert (prediction.intent, prediction.secondary) == (primary, (second,))


def test_what_stands_beside_a_danger_sign_is_reported() -> None:
    beside = beside_danger("quiero cita para mañana a las 10, estoy tosiendo sangre", NOW, None)
    assert beside.intent is Intent.URGENCIA
    assert beside.secondary == (Intent.AGENDAR_CITA,)
    assert (beside.slots.date, beside.slots.time) == (dt.date(2026, 11, 24), "10:00")


@pytest.mark.parametrize(
    "text", ["agende para el lunes 8am y cancele la del martes", "cancele la del martes y agende para el lunes 8am"]
)
def test_a_visit_cancelled_for_another_is_moved_in_whatever_order(text: str) -> None:
    slots = said(text, reading(Intent.REPROGRAMAR_CITA)).slots
    assert (slots.date, slots.time, slots.old_date) == (dt.date(2026, 11, 30), "08:00", dt.date(2026, 11, 24))


def test_a_day_named_before_the_one_wished_for_is_left_behind() -> None:
    slots = said("la cita de mi papa que es el jueves la quiero pasar al martes de la proxima semana").slots
    assert (slots.old_date, slots.date) == (dt.date(2026, 11, 26), dt.date(2026, 12, 1))
