"""Names are read when they are given, and never made out of other words."""

from __future__ import annotations

import pytest

from workers.language.names import bare_name, stated_name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("me llamo pedro huanca", "Pedro Huanca"),
        ("ficha a nombre de ROSA MAMANI para mañana", "Rosa Mamani"),
        ("Hola, soy Juan Carlos Condori, quiero agendar", "Juan Carlos Condori"),
        ("es para mi hijo Juan Mamani el jueves", "Juan Mamani"),
        ("nombre: Edwin Copa", "Edwin Copa"),
        ("a nombre de doña Elvira Choque", "Elvira Choque"),
        ("a nombre de Pedro Colque hay alguna reserva?", "Pedro Colque"),
        ("me llamo María de la Cruz", "María de la Cruz"),
        ("soy nueva", None),
        ("soy diabética", None),
        ("soy de El Alto", None),
        ("cita para mi mamá", None),
        ("soy contagioso?", None),
        ("quiero una ficha para el jueves", None),
    ],
)
def test_a_stated_name_is_found(said: str, name: str | None) -> None:
    assert stated_name(said) == name


@pytest.mark.parametrize(
    ("said", "name"),
    [
        ("Rosa Mamani Quispe", "Rosa Mamani Quispe"),
        ("rosa mamani", "Rosa Mamani"),
        ("Doña Justina Apaza por favor", "Justina Apaza"),
        ("Ximena", "Ximena"),
        ("soy Pedro Huanca", "Pedro Huanca"),
        ("Yhoselin Huayllani", "Yhoselin Huayllani"),
        ("no sé", None),
        ("hola", None),
        ("mañana", None),
        ("BAJA", None),
        ("el jueves a las 9", None),
        ("quiero hablar con alguien", None),
        ("12345", None),
        ("", None),
    ],
)
def test_the_answer_to_what_is_your_name(said: str, name: str | None) -> None:
    assert bare_name(said) == name


@pytest.mark.parametrize("said", ["busco plata", "asdkjhasd", "gracias doctora", "dolor fuerte", "saltee tres tomas"])
def test_two_words_are_no_name_when_nobody_asked(said: str) -> None:
    assert bare_name(said, asked=False) is None
