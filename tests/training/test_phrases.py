from __future__ import annotations

import random

import pytest

from training.noise import spoil
from training.phrases import Piece, expand


def drawn(line: str, count: int = 60) -> set[str]:
    rng = random.Random(5)
    return {"".join(piece.text for piece in expand(line, rng).pieces).strip() for _ in range(count)}


def test_a_group_gives_one_of_its_words() -> None:
    assert drawn("(si|no) gracias") == {"si gracias", "no gracias"}


def test_an_optional_part_may_be_missing() -> None:
    assert drawn("hola[ doctora]") == {"hola", "hola doctora"}


def test_groups_nest() -> None:
    assert drawn("(a|b (c|d))") == {"a", "b c", "b d"}


def test_a_slot_is_labelled_and_its_article_stays_outside() -> None:
    rng = random.Random(1)
    for _ in range(200):
        phrase = expand("quiero ir el {fecha}", rng)
        labelled = [piece.text for piece in phrase.pieces if piece.slot == "date"]
        text = "".join(piece.text for piece in phrase.pieces)
        assert len(labelled) == 1
        assert labelled[0] == "el mes que viene" or not labelled[0].startswith("el ")
        assert "el el " not in text
        assert "el mañana" not in text
        assert "el la " not in text


def test_a_reason_is_noted_without_a_word() -> None:
    phrase = expand("{r:control}me toca control", random.Random(1))
    assert phrase.reason == "control"
    assert "".join(piece.text for piece in phrase.pieces) == "me toca control"


def test_a_reason_from_a_macro_is_noted() -> None:
    assert expand("{motivo_laboratorio}", random.Random(1)).reason == "laboratorio"


def test_no_slot_is_filled_twice() -> None:
    rng = random.Random(2)
    for _ in range(200):
        filled = [piece.slot for piece in expand("{cuando} [{fecha}]", rng).pieces if piece.slot]
        assert len(filled) == len(set(filled))


def test_without_strength_nothing_is_spoilt() -> None:
    pieces = (Piece("quiero cita "), Piece("mañana", "date"))
    assert spoil(pieces, random.Random(1), 0.0) == pieces


@pytest.mark.parametrize("seed", range(5))
def test_spoiling_keeps_the_labels_and_never_touches_names(seed: int) -> None:
    pieces = (Piece("por favor quiero hora "), Piece("el jueves", "date"), Piece(" soy "), Piece("rosa quispe", "name"))
    spoilt = spoil(pieces, random.Random(seed), 0.9)
    assert [piece.slot for piece in spoilt] == [piece.slot for piece in pieces]
    assert spoilt[-1] == pieces[-1]
    assert spoilt[0] != pieces[0]
