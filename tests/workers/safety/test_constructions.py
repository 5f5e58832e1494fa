"""Danger signs in many constructions: word groups, structures and scopes, each with a message of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from workers.safety.danger import find_danger

TABLE = yaml.safe_load((Path(__file__).parent / "data" / "constructions.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("category", TABLE["danger"])
def test_every_construction_of_a_sign_is_found(category: str) -> None:
    assert [text for text in TABLE["danger"][category] if find_danger(text) is None] == []


@pytest.mark.parametrize("kind", TABLE["harmless"])
def test_no_construction_of_a_harmless_message_is_alarmed(kind: str) -> None:
    assert [text for text in TABLE["harmless"][kind] if find_danger(text)] == []


@pytest.mark.parametrize(
    "text",
    [
        "hace años boté sangre y se me fue, ahora volvió",
        "nunca había botado sangre y hoy sí, al toser",
        "sangre? no. pero me ahogo",
        "toso sangre, es normal? no, no creo",
        "es solo por saber, estoy botando sangre",
        "la moto se ahoga y yo no puedo respirar",
        "mi gato está bien, pero mi mamá no despierta",
        "tengo miedo de hacerme daño",
        "tomo lo de la tb hace dos meses y ya no veo los colores",
        "en el mercado me quedé sin aire",
        "es normal que la flema salga con hilitos de sangre?",
        "sin querer le di mis pastillas a mi bebé",
        "no dejo de vomitar",
        "mi papá habla con su mamá que murió",
        "no sabe ni cómo se llama",
        "no tengo fiebre, no puedo respirar",
        "mi hermano, el que tuvo tb, está convulsionando",
        "no, es que no puede respirar mi papá",
        "ya no quier ovivir así",
        "toém 15 pastillas juntas",
        "tengo manchas rojas en la almohada",
    ],
)
def test_no_scope_silences_a_present_sign(text: str) -> None:
    assert find_danger(text) is not None


@pytest.mark.parametrize(
    "text",
    [
        "sangre? no, no bota",
        "si toso sangre algún día ya no espero las dos semanas no ve?",
        "la sangre al toser es emergencia? es para saber, no tengo",
        "ahogarme no me ahogo nunca",
        "mi lavadora bota espuma",
        "botaba sangre, ya me curaron",
        "visité a Sandra en su trabajo, no sé dónde están ubicados",
    ],
)
def test_a_scope_covers_what_is_no_present_sign(text: str) -> None:
    assert find_danger(text) is None
