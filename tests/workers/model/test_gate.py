"""The release gate: what it asks, what it lets pass, what it refuses, and how long it takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.errors import UnreadablePrediction
from shared.prediction import Intent
from shared.prompt import END_OF_TEXT, PROMPT_TOKENS
from shared.settings import BUNDLED_MODEL, Settings
from tests.workers.model.conftest import build_tokenizer, save_model
from workers.model import gate, loader
from workers.model.engine import Engine
from workers.model.errors import ModelRefused
from workers.model.reader import Reader, Reading


class Answering:
    """Stands for the reader: answers from a table, and as many wrongly or unreadably as it is told to."""

    def __init__(self, wrong: int = 0, unreadable: int = 0, bare: bool = False) -> None:
        self.right = {line.text: line for line in gate.must_pass()}
        texts = list(self.right)
        self.wrong, self.unreadable, self.bare = texts[:wrong], texts[len(texts) - unreadable :], bare

    def read(self, *, question: str, **_: Any) -> Reading:
        if question in self.unreadable or (self.bare and question in self.wrong):
            raise UnreadablePrediction("no words")
        if self.bare:
            return Reading(reply="Buenos días.")
        line = self.right[question]
        intent = Intent.FUERA_DE_TEMA if line.intent is not Intent.FUERA_DE_TEMA else Intent.SALUDO
        return Reading(intent=intent if question in self.wrong else line.intent, danger=line.danger)


def test_the_messages_cover_most_intents_and_danger() -> None:
    lines = gate.must_pass()
    assert len(lines) == 25
    assert len({line.text + str(line.state) for line in lines}) == 25
    assert len({line.intent for line in lines}) >= 20
    assert all(line.danger == (line.intent is Intent.URGENCIA) for line in lines)
    assert sum(line.danger for line in lines) >= 3


@pytest.mark.parametrize(
    ("wrong", "unreadable", "passes"), [(0, 0, True), (5, 0, True), (6, 0, False), (0, 1, False), (25, 0, False)]
)
def test_four_of_five_must_be_right_and_all_readable(wrong: int, unreadable: int, passes: bool) -> None:
    verdict = gate.examine(Answering(wrong, unreadable), tagged=True)  # type: ignore[arg-type]
    assert verdict.passed is passes
    assert (verdict.right, verdict.readable) == (25 - wrong - unreadable, 25 - unreadable)


def test_a_danger_sign_that_is_missed_counts_as_wrong() -> None:
    class Deaf(Answering):
        def read(self, **asked: Any) -> Reading:
            return Reading(intent=super().read(**asked).intent)

    verdict = gate.examine(Deaf(), tagged=True)  # type: ignore[arg-type]
    assert len(verdict.wrong) == sum(line.danger for line in gate.must_pass())


@pytest.mark.parametrize(("silent", "passes"), [(0, True), (2, True), (3, False)])
def test_a_model_of_another_format_must_only_answer(silent: int, passes: bool) -> None:
    reader: Any = Answering(silent, bare=True)
    if passes:
        assert str(gate.check(reader, tagged=False)) == f"{4 - silent} of 4 answered"
    else:
        with pytest.raises(ModelRefused, match="1 of 4 answered, at least half must be"):
            gate.check(reader, tagged=False)


Readers = Callable[[Path], tuple[Reader, bool]]


@pytest.fixture
def reader_of(settings_for: Callable[..., Settings]) -> Iterator[Readers]:
    """Load a folder on one thread; returns what the gate takes."""
    engines: list[Engine] = []

    def load(folder: Path) -> tuple[Reader, bool]:
        loaded = loader.load(settings_for(folder))
        engines.append(Engine(loaded.backend).start())
        return Reader(loaded, engines[-1], loaded.calibration), loaded.info.tagged

    yield load
    for engine in engines:
        engine.close(drain=False)


def test_the_bundled_model_passes_within_three_seconds_of_one_core(reader_of: Readers) -> None:
    asked = reader_of(BUNDLED_MODEL)
    begun = time.process_time()
    verdict = gate.examine(*asked)
    assert time.process_time() - begun < 3  # 0.4 s on a quiet core
    assert verdict.passed, verdict.wrong
    assert verdict.readable == 25


def test_a_random_model_of_our_format_is_refused(reader_of: Readers, model_folder: Path) -> None:
    verdict = gate.examine(*reader_of(model_folder))
    assert not verdict.passed
    assert verdict.readable == 25  # the grammar sees to that
    assert len(verdict.wrong) > 5


def test_a_plain_model_that_writes_anything_passes_and_one_that_is_silent_does_not(
    reader_of: Readers, tmp_path: Path
) -> None:
    tokenizer = build_tokenizer((END_OF_TEXT, *PROMPT_TOKENS))
    assert gate.examine(*reader_of(save_model(tmp_path / "speaks", tokenizer))).passed
    silent = gate.examine(*reader_of(save_model(tmp_path / "silent", tokenizer, silent=True)))
    assert (silent.readable, silent.passed) == (0, False)
