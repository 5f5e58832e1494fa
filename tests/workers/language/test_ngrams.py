"""The n-gram classifier and the measured belief in the rules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.prediction import Intent
from workers.language import ngrams, reliability
from workers.language.intents import RuleReading
from workers.language.reliability import BANDS, band, likelihood


@pytest.mark.parametrize(
    ("text", "state", "intent"),
    [
        ("kiero sakar una sita", None, Intent.AGENDAR_CITA),
        ("ya no me escriban porfavor", None, Intent.BAJA),
        ("a cuantos mg tengo q tomar la isoniacida", None, Intent.TRATAMIENTO),
        ("se me olvido tomar la pastilla de ayer", None, Intent.DOSIS_OLVIDADA),
        ("el jueves", "agendar:fecha", Intent.INFORMAR_DATO),
    ],
)
def test_misspelt_words_are_recognised(text: str, state: str | None, intent: Intent) -> None:
    chances = ngrams.chances(text, state)
    assert max(chances, key=lambda each: chances[each]) is intent


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400), st.sampled_from([None, "agendar:fecha", "cancelar:confirmar"]))
def test_any_text_gives_probabilities(text: str, state: str | None) -> None:
    chances = ngrams.chances(text, state)
    assert set(chances) == set(Intent)
    assert sum(chances.values()) == pytest.approx(1)


def test_the_flow_is_part_of_what_is_read() -> None:
    inside, outside = ngrams.chances("10", "agendar:hora"), ngrams.chances("10", None)
    assert inside[Intent.INFORMAR_DATO] >= outside[Intent.INFORMAR_DATO]


def test_a_certain_rule_says_more_than_a_guess() -> None:
    def advantage(strength: float) -> float:
        believed = likelihood(RuleReading(Intent.CANCELAR_CITA, strength))
        return believed[Intent.CANCELAR_CITA] / believed[Intent.SALUDO]

    assert band(0.95) == "certain"
    assert band(0.4) == "guessed"
    assert advantage(0.92) > 20


def test_a_reading_never_counted_says_nothing() -> None:
    strengths = {"certain": 0.95, "sure": 0.85, "likely": 0.7, "guessed": 0.3}
    uncounted = [
        RuleReading(intent, strengths[name])
        for intent in Intent
        for name, _ in BANDS
        if f"{intent}:{name}" not in reliability._table()
    ]
    assert uncounted
    assert all(set(likelihood(reading).values()) == {1.0} for reading in uncounted)
