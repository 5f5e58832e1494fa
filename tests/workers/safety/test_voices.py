"""The danger rules on whole messages that they were not tuned on: the voices held out from training.

The floors lie just below what the rules reach; the learnt model is not asked here.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest
import yaml

from shared.prediction import Intent
from training.families import families
from training.phrases import DATA, expand
from workers.safety.danger import find_danger

RECALL = 0.87
RECALL_OF = {"hemoptisis": 0.94, "respiratorio": 0.86}
ALARMED_LOOK_ALIKES = 0.15
ALARMED_ORDINARY = 0.011

Counts = tuple[Counter[str], Counter[str]]


@pytest.fixture(scope="module")
def counts() -> Counts:
    """How many messages there are, and how many raised an alarm: by danger category, and `look_alike` or `ordinary`."""
    files = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (DATA / "voices").glob("look_alikes*.yaml")]
    look_alikes = {line for file in files for lines in file.values() for line in lines}
    rng = random.Random(5)
    asked: Counter[str] = Counter()
    alarmed: Counter[str] = Counter()
    for family in (*families()["val"], *families()["test"]):
        if not family.voice:
            continue
        text = "".join(piece.text for piece in expand(family.line, rng).pieces)
        if family.intent is Intent.URGENCIA:
            kind = family.topic or "estado_grave"
        else:
            kind = "look_alike" if family.line in look_alikes else "ordinary"
        asked[kind] += 1
        alarmed[kind] += find_danger(text) is not None
    return asked, alarmed


def test_most_signs_are_found_without_a_model(counts: Counts) -> None:
    asked, alarmed = counts
    signs = asked.keys() - {"look_alike", "ordinary"}
    assert sum(alarmed[sign] for sign in signs) / sum(asked[sign] for sign in signs) >= RECALL


@pytest.mark.parametrize("category", RECALL_OF)
def test_nearly_every_sign_of_blood_and_breath_is_found(category: str, counts: Counts) -> None:
    asked, alarmed = counts
    assert alarmed[category] / asked[category] >= RECALL_OF[category]


def test_few_messages_of_others_are_alarmed(counts: Counts) -> None:
    asked, alarmed = counts
    assert alarmed["look_alike"] / asked["look_alike"] <= ALARMED_LOOK_ALIKES
    assert alarmed["ordinary"] / asked["ordinary"] <= ALARMED_ORDINARY
