"""The learned half of finding a card: it fits the cards in the file, never fails, and the `ask` words still count."""

from __future__ import annotations

import statistics
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import card_index
from shared.knowledge import Knowledge
from shared.prediction import INFORMATION_INTENTS, Intent

KNOWLEDGE = Knowledge.load()


def test_the_index_was_fitted_to_the_cards_of_the_file() -> None:
    """If this fails, run `python -m training.cards`."""
    assert set(card_index.scores("hola", None)) == set(KNOWLEDGE.cards)


def test_the_intents_of_the_index_are_the_information_intents() -> None:
    assert set(card_index.INTENTS) == INFORMATION_INTENTS


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=300), st.sampled_from([None, *card_index.INTENTS, Intent.SALUDO]))
def test_any_text_is_scored(text: str, intent: Intent | None) -> None:
    found = card_index.scores(text, intent)
    assert found == card_index.scores(text, intent)
    assert all(-5 < score < 5 for score in found.values())


@pytest.mark.parametrize(
    ("question", "intent", "topic"),
    [
        ("me olvide de tomar anoche mis remedios que hago", Intent.DOSIS_OLVIDADA, "dosis_olvidada"),
        ("sigo contagiando a mi familia o ya no", Intent.PREVENCION_CONTAGIO, "contagio_hasta"),
        ("cuanto tarda en salir mi laboratorio", Intent.DIAGNOSTICO_PRUEBAS, "resultados"),
        ("hay que tener plata para curarse", Intent.HORARIOS_UBICACION_COSTOS, "gratuidad"),
        ("kiero saver si se cura esta enfermedad", Intent.CONSULTAR_INFO, "tb_se_cura"),
    ],
)
def test_questions_without_the_cards_own_words_find_it(question: str, intent: Intent, topic: str) -> None:
    card = KNOWLEDGE.find(question, intent)
    assert card is not None
    assert card.topic_id == topic


def test_a_card_that_the_index_does_not_know_is_found_by_its_ask_words() -> None:
    model = KNOWLEDGE.cards["viaje"]
    added = model.model_copy(update={"topic_id": "oxigeno", "ask": ("oxigeno", "tubo de oxigeno")})
    knowledge = Knowledge([*KNOWLEDGE.cards.values(), added], KNOWLEDGE.sources)
    card = knowledge.find("me prestan un tubo de oxigeno", Intent.TRATAMIENTO)
    assert card is not None
    assert card.topic_id == "oxigeno"


def test_a_card_is_found_in_less_than_five_milliseconds() -> None:
    question = (
        "doctora buenas tardes disculpe la molestia queria saber si puedo tomar mis pastillas con leche o con que"
    )
    took = []
    for number in range(50):
        begin = time.perf_counter()
        KNOWLEDGE.find(f"{question} {number}", Intent.TRATAMIENTO)
        took.append(time.perf_counter() - begin)
    assert statistics.median(took) < 0.005
