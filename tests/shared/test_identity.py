"""Numbers get one spelling; patients and messages get opaque, stable names."""

from __future__ import annotations

import pytest

from shared.identity import candidate_ids, canonical_number, looks_like_user_id, message_id, patient_id
from shared.messages import Identity

KEY = b"clave de prueba"


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("+591 70123456", "59170123456"),
        ("59170123456", "59170123456"),
        ("70123456", "59170123456"),
        ("6 012-3456", "59160123456"),
        ("00591 70123456", "59170123456"),
        (" (591) 701.234.56 ", "59170123456"),
        ("+54 9 11 2233-4455", "5491122334455"),
        ("34600123456", "34600123456"),
        ("+6851234567", "6851234567"),
        ("+68512345", "68512345"),
        ("22000000", None),
        ("", None),
        ("+", None),
        ("hola", None),
        ("7012345", None),
        ("+591701234567890123", None),
        ("070123456", None),
        ("٧٠١٢٣٤٥٦", None),
        ("BO.1349120865530274", None),
        ("+591\n70123456x", None),
    ],
)
def test_a_number_has_one_spelling(raw: str, number: str | None) -> None:
    assert canonical_number(raw) == number


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("BO.1349120865530274", True),
        ("US.ENT.abc123", True),
        ("BO." + "1" * 128, True),
        ("BO." + "1" * 200, False),
        ("bo.123", False),
        ("BO.12 3", False),
        ("BO.123\n", False),
        ("59170123456", False),
    ],
)
def test_a_user_id_is_recognised(text: str, is_one: bool) -> None:
    assert looks_like_user_id(text) is is_one


def test_ids_are_stable_and_depend_on_key_and_kind() -> None:
    ids = {
        patient_id(KEY, "59170123456"),
        patient_id(KEY, "59170123456"),
        patient_id(b"otra", "59170123456"),
        message_id(KEY, "59170123456").replace("m_", "p_"),
    }
    assert len(ids) == 3
    assert all(len(one) == 26 and int(one[2:], 16) >= 0 for one in ids)


def test_long_keys_are_used_whole() -> None:
    assert patient_id(b"k" * 100 + b"a", "1") != patient_id(b"k" * 100 + b"b", "1")


def test_an_empty_key_and_a_broken_id_still_give_an_id() -> None:
    assert patient_id(b"", "1").startswith("p_")
    assert message_id(KEY, "wamid.\ud800").startswith("m_")


def test_the_user_id_comes_before_the_number() -> None:
    both = candidate_ids(KEY, Identity(number="59170123456", user_id="BO.1"))
    assert both == (patient_id(KEY, "BO.1"), patient_id(KEY, "59170123456"))
    assert candidate_ids(KEY, Identity(number="59170123456")) == both[1:]
    assert candidate_ids(KEY, Identity()) == ()
