"""Fits the index of `shared.card_index`, which card answers which question: `python -m training.cards`, some seconds.

Reads the voices whose topic is a knowledge card. Run it again when a card is added, renamed or taken away.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_matrix, hstack, vstack
from sklearn.svm import LinearSVC

from shared.card_index import BUCKETS, FILE, INTENT_VALUE, INTENTS, features
from shared.knowledge import Knowledge
from shared.prediction import Intent
from training.families import Family, families
from training.phrases import expand
from workers.language.normalise import normalise

STRENGTH = 1.0  # inverse of the regularisation
WITHOUT_INTENT = 0.3  # weight of the same questions when the intent is not known


class Question(NamedTuple):
    text: str  # normalised
    intent: Intent
    topic: str


def questions(members: Iterable[Family], topics: Iterable[str]) -> list[Question]:
    """Return the labelled questions of families, each drawn once; danger signs and look-alikes are no questions."""
    known = set(topics)
    found = []
    for family in members:
        if family.topic in known and family.group == "plain":
            phrase = expand(family.line, random.Random(zlib.crc32(family.line.encode())))
            text = normalise("".join(piece.text for piece in phrase.pieces))
            found.append(Question(text, family.intent, family.topic))
    return found


def matrix(asked: Sequence[Question]) -> csr_matrix:
    """(N, BUCKETS) counts, not yet weighted."""
    ends, buckets, values = [0], [], []
    for question in asked:
        where, much = features(question.text)
        buckets.append(where)
        values.append(much)
        ends.append(ends[-1] + len(where))
    data = (np.concatenate(values), np.concatenate(buckets), np.array(ends))
    return csr_matrix(data, shape=(len(asked), BUCKETS))


def accuracy(knowledge: Knowledge, asked: Sequence[Question]) -> float:
    """Share of questions whose own card comes first, given the right intent."""
    right = sum(
        (card := knowledge.find(question.text, question.intent)) is not None and card.topic_id == question.topic
        for question in asked
    )
    return right / len(asked)


def main() -> None:
    topics = tuple(Knowledge.load().cards)
    asked = questions(families()["train"], topics)
    counts = matrix(asked)
    seen = np.asarray((counts > 0).sum(0)).ravel()
    rarity = np.log((1 + len(asked)) / (1 + seen)) + 1
    words = counts.multiply(rarity[None, :]).tocsr()
    words = words.multiply(1 / np.sqrt(np.asarray(words.multiply(words).sum(1)))).tocsr()
    rows, columns = np.arange(len(asked)), np.array([INTENTS.index(question.intent) for question in asked])
    intents = csr_matrix((np.full(len(asked), INTENT_VALUE), (rows, columns)), shape=(len(asked), len(INTENTS)))
    both = vstack([hstack([words, intents]), hstack([words, 0 * intents])]).tocsr()
    order = np.array([topics.index(question.topic) for question in asked])
    share = np.repeat([1.0, WITHOUT_INTENT], len(asked))
    model: Any = LinearSVC(C=STRENGTH, random_state=0).fit(both, np.tile(order, 2), sample_weight=share)
    weights = model.coef_[:, :BUCKETS]  # (T, BUCKETS)
    scales = np.abs(weights).max(1) / 127
    np.savez_compressed(
        FILE,
        topics=np.array([topics[index] for index in model.classes_]),
        weights=np.round(weights / scales[:, None]).astype(np.int8),
        scales=scales.astype(np.float32),
        bias=model.intercept_.astype(np.float32),
        intents=model.coef_[:, BUCKETS:].T.astype(np.float32),
        rarity=rarity.astype(np.float16),
    )
    print(f"{FILE.name}: {len(asked)} questions, {len(model.classes_)} cards, {FILE.stat().st_size // 1024} KB")
    for split in ("val", "test"):
        held_out = questions(families()[split], topics)
        print(f"{split}: {accuracy(Knowledge.load(), held_out):.3f} of {len(held_out)}")


if __name__ == "__main__":
    main()
