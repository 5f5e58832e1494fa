from __future__ import annotations

import re
from collections import Counter
from itertools import islice

import pytest

from shared.prediction import Intent
from shared.tagged import parse
from training.dataset import Sample, generate
from training.families import SPLITS, families, fingerprint
from training.phrases import load

PLACEHOLDERS = {"date_long", "time", "ref", "phone", "hours", "address", "emergency_phone"}
DOSES = re.compile(r"\d+\s*(mg|ml|pastilla|tableta|capsula|cápsula)|tome \d|cada \d+ horas", re.I)
JUDGEMENTS = re.compile(r"usted (no )?tiene tuberculosis|su resultado es|suspenda|deje de tomar|siga tomando", re.I)


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(generate("train", 11, 4_000))


def test_the_same_seed_gives_the_same_samples() -> None:
    assert list(generate("val", 3, 50)) == list(generate("val", 3, 50))
    assert list(generate("val", 3, 50)) != list(generate("val", 4, 50))


def test_no_family_is_in_two_splits() -> None:
    seen = [{(family.intent, family.line) for family in families()[split]} for split in SPLITS]
    assert len(set.union(*seen)) == sum(len(part) for part in seen)


@pytest.mark.parametrize("split", SPLITS)
def test_every_split_has_every_intent_and_both_sides_of_danger(split: str) -> None:
    assert {family.intent for family in families()[split]} == set(Intent)
    assert {family.group for family in families()[split]} == {"plain", "sign", "look_alike"}


def test_every_answer_can_be_read_back_and_copies_the_message(samples: list[Sample]) -> None:
    for sample in samples:
        assert parse(sample.completion) == sample.answer
        for span in sample.answer.spans.values():
            assert span in sample.message


def test_no_marks_of_the_templates_remain(samples: list[Sample]) -> None:
    for sample in samples:
        assert not re.search(r"[{}\[\]|]", sample.message), sample.message


def test_messages_are_varied(samples: list[Sample]) -> None:
    assert len({sample.message for sample in samples}) > 0.85 * len(samples)


def test_danger_goes_with_its_intent(samples: list[Sample]) -> None:
    assert all(sample.answer.danger == (sample.answer.intent is Intent.URGENCIA) for sample in samples)


def test_the_mixture_has_its_shares(samples: list[Sample]) -> None:
    count = len(samples)
    intents = Counter(sample.answer.intent for sample in samples)
    groups = Counter(sample.group for sample in samples)
    in_context = sum("Estado = None" not in sample.head or "<USER>" in sample.head for sample in samples)
    assert in_context > 0.25 * count
    assert groups["sign"] > 0.07 * count
    assert groups["look_alike"] > 0.06 * count
    assert intents[Intent.FUERA_DE_TEMA] > 0.09 * count
    assert min(intents[intent] for intent in Intent) > 0.01 * count
    assert any(sample.answer.secondary for sample in samples)


def test_replies_stay_inside_the_guardrails() -> None:
    replies = [reply for split in SPLITS for family in families()[split] for reply in family.replies]
    for name, texts in load("replies").items():
        if name != "asked":
            replies += texts
    for reply in replies:
        assert not DOSES.search(reply), reply
        assert not JUDGEMENTS.search(reply), reply
        assert set(re.findall(r"\{(\w+)\}", reply)) <= PLACEHOLDERS, reply
        assert len(reply) <= 250, reply


def test_the_fingerprint_does_not_move() -> None:
    assert fingerprint() == fingerprint()
    assert len(fingerprint()) == 16


def test_generation_is_lazy() -> None:
    assert len(list(islice(generate("train", 1, 10**9), 3))) == 3
