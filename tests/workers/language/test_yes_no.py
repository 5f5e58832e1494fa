"""Yes and no by whole words; anything more is neither, because a write may follow."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.language.yes_no import answer_of


@pytest.mark.parametrize(
    "said",
    [
        "si",
        "Sí",
        "siii",
        "si pues",
        "ya nomas",
        "dale",
        "ok",
        "👍",
        "sí, por favor",
        "claro que si",
        "esta bien doctora",
        "de acuerdo",
        "correcto",
        "perfecto, gracias",
        "así es",
        "sí, así quedamos",
        "bueno ya",
        "no hay problema",
        "me parece bien",
        "confirmo",
    ],
)
def test_yes(said: str) -> None:
    assert answer_of(said) is True


@pytest.mark.parametrize(
    "said",
    [
        "no",
        "nop",
        "nooo",
        "no gracias",
        "no, así no",
        "todavía no",
        "no todavía",
        "mejor no",
        "para nada",
        "👎",
        "no está bien",
        "claro que no",
        "ok, no",
        "nop, déjelo así",
        "ninguna me sirve",
        "ya no",
    ],
)
def test_no(said: str) -> None:
    assert answer_of(said) is False


@pytest.mark.parametrize(
    "said",
    [
        "si pero otro dia",
        "sí, el viernes a las 10",
        "no, mejor el jueves",
        "si?",
        "si no puedo",
        "sí no",
        "no se",
        "hola",
        "gracias",
        "",
        "si quiero saber cuanto cuesta",
        "no quiero cancelar",
        "ya no me manden mensajes",
        "sangre",
        "siempre",
        "noche",
        "cámbiela",
        "déjelo",
        "👍👎",
    ],
)
def test_anything_else_is_neither(said: str) -> None:
    assert answer_of(said) is None


@given(st.text(max_size=100))
def test_any_text_is_survived(text: str) -> None:
    assert answer_of(text) in {True, False, None}
