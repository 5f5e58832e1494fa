"""The grammar over a toy tokenizer: special tokens are one id, everything else one id per sign."""

from __future__ import annotations

import random
import re

import pytest

from shared.grammar import Grammar
from shared.prediction import Intent
from shared.tagged import SPECIAL_TOKENS, Tagged, parse, write

_SPECIAL = re.compile("|".join(re.escape(token) for token in SPECIAL_TOKENS))


def encode(text: str) -> list[int]:
    ids: list[int] = []
    while text:
        if match := _SPECIAL.match(text):
            ids.append(SPECIAL_TOKENS.index(match[0]))
            text = text[match.end() :]
        else:
            ids.append(1000 + ord(text[0]))
            text = text[1:]
    return ids


def decode(ids: list[int]) -> str:
    return "".join(chr(id_ - 1000) if id_ >= 1000 else SPECIAL_TOKENS[id_] for id_ in ids)


def after(message: str, generated: str) -> list[str] | None:
    following = Grammar(encode, message).allowed(encode(generated))
    return None if following is None else [decode([id_]) for id_ in following]


def test_the_intent_comes_first_and_danger_second() -> None:
    assert after("hola", "") == [f"<i:{intent}>" for intent in Intent]
    assert after("hola", "<i:saludo>") == ["<d:0>", "<d:1>"]


def test_then_secondary_intents_slots_or_the_reply() -> None:
    following = after("hola", "<i:saludo><d:0>")
    assert following is not None
    assert "<j:tratamiento>" in following
    assert "<j:saludo>" not in following
    assert {"<s:fecha>", "<s:nombre>", "<rsp>"} <= set(following)


def test_at_most_two_secondary_intents_and_none_twice() -> None:
    once = after("hola", "<i:saludo><d:0><j:sintomas>")
    assert once is not None
    assert "<j:sintomas>" not in once
    assert "<j:tratamiento>" in once
    twice = after("hola", "<i:saludo><d:0><j:sintomas><j:tratamiento>")
    assert twice is not None
    assert not [token for token in twice if token.startswith("<j:")]


def test_slots_only_go_forward() -> None:
    following = after("el 5", "<i:saludo><d:0><s:hora> 5")
    assert following is not None
    assert "<s:fecha>" not in following
    assert "<s:hora>" not in following
    assert "<s:fecha_ant>" in following


def test_words_begin_where_a_word_of_the_message_begins() -> None:
    assert after("el lunes", "<i:saludo><d:0><s:fecha>") == [" "]
    assert sorted(after("el (lunes)", "<i:saludo><d:0><s:fecha>") or []) == [" ", ")", "l"]


def test_words_go_on_as_the_message_does() -> None:
    assert after("el lunes", "<i:saludo><d:0><s:fecha> l") == ["u"]
    assert after("el lunes", "<i:saludo><d:0><s:fecha> ") == ["e", "l"]


def test_a_slot_ends_only_at_the_end_of_a_word() -> None:
    assert "<rsp>" not in (after("el lunes 5", "<i:saludo><d:0><s:fecha> lune") or [])
    ended = after("el lunes 5", "<i:saludo><d:0><s:fecha> lunes")
    assert ended is not None
    assert {" ", "<rsp>", "<s:hora>"} <= set(ended)


def test_at_the_end_of_the_message_a_slot_must_end() -> None:
    following = after("el lunes", "<i:saludo><d:0><s:fecha> lunes")
    assert following is not None
    assert all(token.startswith("<") for token in following)


def test_a_reason_is_one_of_the_closed_list() -> None:
    following = after("hola", "<i:agendar_cita><d:0><s:motivo>")
    assert following is not None
    assert len(following) == 9
    assert all(token.startswith("<m:") for token in following)
    assert "<s:nombre>" in (after("hola", "<i:agendar_cita><d:0><s:motivo><m:control>") or [])


def test_the_reply_is_free() -> None:
    assert after("hola", "<i:saludo><d:0><rsp>") is None
    assert after("hola", "<i:saludo><d:0><rsp> Hola") is None


def test_an_empty_message_has_no_words_to_copy() -> None:
    following = after("", "<i:saludo><d:0>")
    assert following is not None
    assert [token for token in following if token.startswith("<s:")] == ["<s:motivo>"]


def test_whatever_is_chosen_at_random_can_be_read() -> None:
    rng = random.Random(3)
    message = "hola, el lunes 5 a las 10:30 (o 11) cc-0417 soy ana 👍"
    for _ in range(300):
        grammar = Grammar(encode, message)
        generated: list[int] = []
        while (following := grammar.allowed(generated)) is not None:
            assert following
            assert len(set(following)) == len(following)
            generated.append(rng.choice(following))
        answer = parse(decode(generated))
        for span in answer.spans.values():
            assert span in message


def test_asking_step_by_step_equals_asking_at_once() -> None:
    message = "quiero el lunes a las 9"
    ids = encode(write(Tagged(Intent.AGENDAR_CITA, spans={"date": "lunes", "time": "9"})))
    grammar = Grammar(encode, message)
    for length in range(len(ids)):
        assert grammar.allowed(ids[:length]) == Grammar(encode, message).allowed(ids[:length])
    assert grammar.allowed(ids[:2]) == Grammar(encode, message).allowed(ids[:2])


def test_a_tokenizer_without_the_tags_is_refused() -> None:
    with pytest.raises(ValueError, match="special tokens"):
        Grammar(lambda text: [ord(sign) for sign in text], "hola")
