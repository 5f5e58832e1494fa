"""The questions that the card index is fitted to, and how often it is right on those it never saw."""

from __future__ import annotations

from shared.knowledge import Knowledge
from training.cards import accuracy, matrix, questions
from training.families import families

KNOWLEDGE = Knowledge.load()


def test_questions_are_drawn_the_same_every_time() -> None:
    members = families()["val"]
    assert questions(members, KNOWLEDGE.cards) == questions(members, KNOWLEDGE.cards)


def test_danger_signs_and_look_alikes_are_no_questions() -> None:
    members = [family for family in families()["val"] if family.group != "plain"]
    assert members
    assert questions(members, KNOWLEDGE.cards) == []


def test_every_card_has_questions_to_learn_from() -> None:
    asked = questions(families()["train"], KNOWLEDGE.cards)
    assert {question.topic for question in asked} == set(KNOWLEDGE.cards)


def test_a_row_of_the_matrix_belongs_to_each_question() -> None:
    asked = questions(families()["val"], KNOWLEDGE.cards)[:20]
    counts = matrix(asked)
    assert counts.shape[0] == 20
    assert (counts.sum(1) > 0).all()


def test_the_right_card_answers_questions_that_were_held_out() -> None:
    held_out = [family for split in ("val", "test") for family in families()[split]]
    asked = questions(held_out, KNOWLEDGE.cards)
    assert len(asked) > 1000
    assert accuracy(KNOWLEDGE, asked) >= 0.85
