"""Texts are cut to Meta's limits at words and sentences, never inside a visible character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.whatsapp.lengths import ELLIPSIS, length, one_line, sayable, shorten, trim_at_sentence


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("Confirmar", 20, "Confirmar"),
        ("Confirmar la cita de mañana", 20, "Confirmar la cita…"),
        ("Sí, por favor, confirme", 16, "Sí, por favor…"),
        ("Electroencefalografista", 20, "Electroencefalograf…"),
        ("👍" * 12, 20, "👍" * 9 + ELLIPSIS),
        ("a👨\u200d👩\u200d👧", 4, "a" + ELLIPSIS),
        ("ab🇧🇴🇧🇴", 6, "ab" + ELLIPSIS),
        ("abcde\u0301fgh", 6, "abcd" + ELLIPSIS),
    ],
)
def test_a_title_is_cut_after_a_whole_word_or_character(text: str, limit: int, short: str) -> None:
    assert shorten(text, limit) == short
    assert length(short) <= limit


def test_a_long_text_ends_with_a_sentence() -> None:
    text = "Venga al centro. " * 100
    cut = trim_at_sentence(text, 200)
    assert cut.endswith("Venga al centro. …")
    assert 150 < length(cut) <= 200


def test_a_text_without_sentences_is_cut_at_a_word() -> None:
    assert trim_at_sentence("hola " * 100, 22) == "hola hola hola hola…"


def test_a_decimal_number_is_no_sentence_end() -> None:
    assert trim_at_sentence("Pesa 61.5 kilos y medio. Otra frase larga", 30) == "Pesa 61.5 kilos y medio. …"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("a\x00b\ud800c", "abc"),
        ("  hola \r\n mundo ", "hola \n mundo"),
        ("\u200b\u200d\ufe0f", ""),
        ("Ana \u202eanA", "Ana anA"),
        ("👨\u200d👩 ok", "👨\u200d👩 ok"),
    ],
)
def test_what_may_not_be_sent_is_dropped(text: str, clean: str) -> None:
    assert sayable(text) == clean


def test_one_line_joins_lines_and_blanks() -> None:
    assert one_line(" Ana\n\t  María     Quispe ") == "Ana María Quispe"


@given(text=st.text(max_size=200), limit=st.integers(min_value=3, max_value=60))
def test_nothing_is_ever_longer_than_its_limit(text: str, limit: int) -> None:
    clean = sayable(text)
    assert length(shorten(clean, limit)) <= limit
    assert length(trim_at_sentence(clean, limit)) <= limit
    clean.encode("utf-8")
