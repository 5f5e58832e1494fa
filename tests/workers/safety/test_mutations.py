"""A good reply passes; put one thing into it that a machine must not say, anywhere, and it does not."""

from __future__ import annotations

import pytest

from tests.workers.safety.mutations import COUNT, good_replies, insertions, mutants
from workers.safety.grounding import turns_advice, unknown_words
from workers.safety.guardrails import Facts, review

PARTS = ("seen", "held_out", "harmless_words")


def test_a_thousand_good_replies_pass() -> None:
    goods = good_replies()
    assert len({good.text for good in goods}) == COUNT
    assert [(review(good.text, good.facts), good.text) for good in goods if review(good.text, good.facts)] == []


@pytest.mark.parametrize("seed", [1, 2])
def test_a_thousand_replies_with_one_forbidden_thing_are_refused(seed: int) -> None:
    clauses = tuple(clause for part in PARTS for clause in insertions(part))
    made = list(mutants(clauses, seed, good_replies()))
    assert len(made) == COUNT
    assert {mutant.clause for mutant in made} == set(clauses)
    assert [mutant for mutant in made if review(mutant.text, mutant.facts) is None] == []


@pytest.mark.parametrize("part", PARTS)
def test_every_kind_of_place_is_tried(part: str) -> None:
    made = list(mutants(insertions(part), 3, good_replies()[:400]))
    assert {mutant.place for mutant in made} == {"start", "middle", "end", "inside"}
    assert [mutant for mutant in made if review(mutant.text, mutant.facts) is None] == []


CARD = "no deje las pastillas por su cuenta. el humo dana los pulmones. puede pedir apoyo para dejarlo."


@pytest.mark.parametrize(
    ("sentence", "turned"),
    [
        ("no las deje por su cuenta", False),
        ("no deje las pastillas", False),
        ("deje las pastillas", True),
        ("ya puede dejarlas", True),
        ("si quiere dejarlo , pida apoyo", False),
        ("puede llamar al centro", False),
        ("puede fumar", True),
        ("no hace falta venir", True),
        ("no tome doble", False),
        ("tome doble", True),
    ],
)
def test_advice_keeps_the_no_of_its_card(sentence: str, turned: bool) -> None:
    assert turns_advice(sentence, CARD) is turned


def test_a_word_in_another_form_is_a_word_of_the_card() -> None:
    assert unknown_words("el humo dana el pulmon , pida apoyo", CARD) == []
    assert unknown_words("el vapor limpia los pulmones", CARD) == ["vapor", "limpia"]


def test_opening_hours_are_said_whole_or_not_at_all() -> None:
    hours = "lunes a viernes de 8:00 a 12:00; sábado de 8:00 a 10:00"
    facts = Facts((hours,), (f"Atendemos de {hours}.",))
    assert review(f"Nuestro horario es: {hours}. ¿Desea una cita?", facts) is None
    assert review("Puede venir el sábado.", facts) == "invented_date"


def test_part_of_a_name_or_of_a_date_may_be_said() -> None:
    facts = Facts(("Elvira Choque", "martes 24 de noviembre"))
    assert review("Gracias, Elvira. Su cita es el martes.", facts) is None
    assert review("Gracias, Elvira. Su cita es el jueves.", facts) == "invented_date"
    assert review("Gracias, Choque Mamani.", facts) == "invented_name"
