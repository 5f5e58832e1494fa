"""Drafts: what is guessed, what is never guessed, and that a corpus stays bounded."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer  # noqa: TID253

from shared.settings import BUNDLED_MODEL
from shared.tags import REPLY_TOKEN, SLOT_TOKENS, SPECIAL_TOKENS
from workers.model import drafts
from workers.model.draft_corpus import FILE_NAME, corpus_of
from workers.model.drafts import WORD, Corpus, Drafter
from workers.model.errors import ModelConfigError

INTENT, SAFE, DATE, REPLY, END = 1, 2, 3, 4, 5
TAGS = (INTENT, SAFE, DATE, REPLY, END)
ANSWER = [INTENT, SAFE, REPLY, 50, 51, 52, 53, END]
DATED = [INTENT, SAFE, DATE, WORD, WORD, REPLY, 60, 61, END]
CORPUS = Corpus([(ANSWER, 3), (DATED, 1)], TAGS, REPLY, END)
MOST = 24  # what pays when one request is alone
PROMPT = [90, 91, 92, 93, 94, 95]

ids = st.lists(st.integers(0, 100), max_size=30)


def passes(drafter: Drafter, answer: Sequence[int], most: int) -> int:
    """Count the forward passes until `answer`, end included, is written: verified drafts and one token each."""
    done, count = 1, 1
    while done < len(answer):
        draft = drafter.draft(answer[:done], most)
        right = next((i for i, pair in enumerate(zip(draft, answer[done:], strict=False)) if len({*pair}) > 1), None)
        done += (min(len(draft), len(answer) - done) if right is None else right) + 1
        count += 1
    return count


def test_a_known_answer_is_drafted_to_its_end() -> None:
    assert Drafter(CORPUS, PROMPT).draft([INTENT], 24) == ANSWER[1:]
    assert passes(Drafter(CORPUS, PROMPT), ANSWER, 24) == 2


def test_what_was_seen_more_often_comes_first() -> None:
    assert Drafter(CORPUS, PROMPT).draft([INTENT, SAFE], 1) == [REPLY]
    often = Corpus([(ANSWER, 1), (DATED, 2)], TAGS, REPLY, END)
    assert Drafter(often, PROMPT).draft([INTENT, SAFE], 1) == [DATE]


def test_the_longest_known_context_decides() -> None:
    corpus = Corpus([([7, 30, 31], 9), ([6, 30, 32], 1)])
    assert Drafter(corpus, [0]).draft([6, 30], 1) == [32]


def test_an_unlikely_draft_ends() -> None:
    many = Corpus([([REPLY, 10, 20 + choice], 1) for choice in range(10)], TAGS, REPLY, END)
    assert Drafter(many, PROMPT).draft([REPLY], 24) == [10]


def test_a_slot_goes_on_with_the_words_of_the_message() -> None:
    assert Drafter(CORPUS, PROMPT).draft([INTENT, SAFE, DATE, 92], 24) == [93, REPLY, 60, 61, END]


def test_the_first_word_of_a_slot_is_not_guessed() -> None:
    assert Drafter(CORPUS, PROMPT).draft([INTENT, SAFE, DATE], 24) == []


def test_a_longer_known_context_beats_what_the_request_repeats() -> None:
    known = Corpus([([94, 30, 31, 32, 33, 34], 1)])
    assert Drafter(known, [30, 31, 32, 99]).draft([94, 30, 31, 32], 1) == [99]
    longer = Corpus([([93, 94, 30, 31, 32, 33], 1)])
    assert Drafter(longer, [30, 31, 32, 99]).draft([93, 94, 30, 31, 32], 1) == [33]


def test_a_reply_that_repeats_the_request_is_drafted_from_it() -> None:
    assert Drafter(CORPUS, PROMPT).draft([INTENT, SAFE, REPLY, 90, 91, 92], 2) == [93, 94]
    assert Drafter(Corpus([]), PROMPT).draft([91, 92, 93], 3) == [94, 95, 91]  # of a model of any other format


@given(prompt=ids, generated=ids, most=st.integers(0, 30))
def test_a_draft_is_never_longer_than_asked_and_never_holds_the_placeholder(
    prompt: list[int], generated: list[int], most: int
) -> None:
    draft = Drafter(CORPUS, prompt).draft(generated, most)
    assert len(draft) <= most
    assert WORD not in draft
    assert {*draft} <= {*prompt, *generated, *ANSWER, *DATED}
    assert END not in draft[:-1]


@given(prompt=ids, generated=ids, places=st.lists(st.integers(0, 30)), most=st.integers(1, 30))
def test_a_draft_does_not_depend_on_how_often_it_was_asked_for(
    prompt: list[int], generated: list[int], places: list[int], most: int
) -> None:
    asked = Drafter(CORPUS, prompt)
    for place in sorted(places):
        asked.draft(generated[:place], most)
    assert asked.draft(generated, most) == Drafter(CORPUS, prompt).draft(generated, most)


@given(prompt=ids, generated=ids)
def test_the_words_of_one_request_are_never_drafted_for_another(prompt: list[int], generated: list[int]) -> None:
    others = [Drafter(CORPUS, PROMPT), Drafter(CORPUS, prompt)]
    before = [other.draft(generated[:1], 30) for other in others]
    secret = [500, 501, 502, 503]
    talkative = Drafter(CORPUS, [*secret, *PROMPT, *secret])
    told = [*generated, INTENT, SAFE, DATE, *secret, REPLY, *secret, 50, 51]
    for done in range(len(told) + 1):
        talkative.draft(told[:done], 30)
    after = [Drafter(CORPUS, PROMPT).draft(generated[:1], 30), Drafter(CORPUS, prompt).draft(generated[:1], 30)]
    assert after == before
    for place in range(len(generated) + 1):
        assert not {*secret} & {*Drafter(CORPUS, prompt).draft(generated[:place], 30)}


def test_a_corpus_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "MOST_TOKENS", 20)
    corpus = Corpus((([10 * i, 10 * i + 1, 10 * i + 2, 10 * i + 3], 1) for i in range(1_000)), TAGS, REPLY, END)
    assert corpus.tokens == 20
    assert Drafter(corpus, PROMPT).draft([REPLY, 40, 41], 5) == [42, 43]
    assert Drafter(corpus, PROMPT).draft([REPLY, 50, 51], 5) == []


# With the tokenizer and the file of the bundled model.


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    load: Any = AutoTokenizer
    return load.from_pretrained(BUNDLED_MODEL)


@pytest.fixture(scope="module")
def bundled(tokenizer: Any) -> Corpus:
    return corpus_of(lambda text: tokenizer(text)["input_ids"], BUNDLED_MODEL)


def test_a_usual_answer_of_the_bundled_model_takes_few_passes(tokenizer: Any, bundled: Corpus) -> None:
    said = json.loads((BUNDLED_MODEL / FILE_NAME).read_text(encoding="utf-8"))["said"]
    usual = [tokenizer(line)["input_ids"] for line in list(said)[:40] if "<s:" not in line]
    prompt = tokenizer("<USER>: tengo una pregunta\n<ASSISTANT>:")["input_ids"]
    counts = [passes(Drafter(bundled, prompt), answer, MOST) for answer in usual]
    assert sum(map(len, usual)) / sum(counts) > 4


def test_the_bundled_corpus_leaves_room(bundled: Corpus) -> None:
    assert 5_000 < bundled.tokens < drafts.MOST_TOKENS * 0.9


def test_the_file_holds_no_word_of_a_slot() -> None:
    said = json.loads((BUNDLED_MODEL / FILE_NAME).read_text(encoding="utf-8"))["said"]
    assert (BUNDLED_MODEL / FILE_NAME).stat().st_size < 200_000
    assert any(opener in line for line in said for opener in SLOT_TOKENS.values())
    for line in said:
        head = line.partition(REPLY_TOKEN)[0]
        for token in SPECIAL_TOKENS:
            head = head.replace(token, "")
        assert not head.strip(" ?"), line


def test_without_the_file_cards_and_texts_are_known(tokenizer: Any, tmp_path: Path) -> None:
    corpus = corpus_of(lambda text: tokenizer(text)["input_ids"], tmp_path)
    begun = tokenizer(f"{REPLY_TOKEN} La tuberculosis es una enfermedad causada por")["input_ids"]
    draft = Drafter(corpus, tokenizer("hola")["input_ids"]).draft(begun, 6)
    assert tokenizer.decode(draft).startswith(" una bacteria")


def test_a_model_without_our_tokens_knows_the_texts_too(tmp_path: Path) -> None:
    corpus = corpus_of(lambda text: list(text.encode()), tmp_path, end=0)
    draft = Drafter(corpus, list(b"hola")).draft(list(b" La tuberculosis es una enfermedad causada por"), 12)
    assert bytes(draft) == b" una bacteri"


def test_a_broken_file_is_named(tokenizer: Any, tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text('{"said": {"<i:saludo>": "often"}}')
    with pytest.raises(ModelConfigError, match=FILE_NAME):
        corpus_of(lambda text: tokenizer(text)["input_ids"], tmp_path)


def test_a_draft_costs_next_to_nothing(tokenizer: Any, bundled: Corpus) -> None:
    prompt = tokenizer("<USER>: tengo tos con flema y quiero saber si es tuberculosis\n" * 12)["input_ids"]
    answer = tokenizer("<i:sintomas><d:0><rsp> Los síntomas pueden ser: tos de 2 a 3 semanas")["input_ids"]
    drafter, took = Drafter(bundled, prompt), []
    for done in range(1, len(answer)):
        began = time.process_time_ns()
        drafter.draft(answer[:done], MOST)
        took.append(time.process_time_ns() - began)
    assert statistics.median(took) < 1_000_000  # ns; measured 20,000
