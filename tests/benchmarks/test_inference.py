"""The engine's benchmark compares like with like: every side gives the same tasks as many tokens as were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.inference.checkpoints import Size, our_int8, random_checkpoint
from benchmarks.inference.clients import closed_loop, ragged, summary
from benchmarks.inference.report import tables
from benchmarks.inference.sides import Batched, Locked, Ours, Side, Task, Transformers
from workers.model.engine import Engine

TINY = Size("tiny", 1, 2, 16)
CLIENTS = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_checkpoint(tmp_path_factory.mktemp("models"), TINY)


def test_batches_of_ragged_prompts_are_answered_as_one_by_one(folder: Path) -> None:
    plain = Transformers(folder)
    tasks = ragged(8, seed=3)
    together = plain.generate(tasks)
    assert together == [plain.generate([task])[0] for task in tasks]
    assert [len(ids) for ids in together] == [task.new for task in tasks]


def test_every_side_gives_each_client_its_own_answer(folder: Path) -> None:
    plain = Transformers(folder)
    sides: dict[str, Side] = {"naive": Locked(plain.generate), "batches": Batched(plain.generate)}
    sides["ours"] = Ours(Engine(our_int8(folder, folder.parent)))
    tasks = ragged(8, seed=4)
    costs = {name: closed_loop(side, tasks, CLIENTS) for name, side in sides.items()}
    for side in sides.values():
        side.close()
    assert all(len(cost.latencies) == len(tasks) for cost in costs.values())
    row = {name: summary([cost], [costs["naive"]]) for name, cost in costs.items()}
    assert row["naive"]["cpu_gain"] == 1.0
    text = tables({"a": {"model": "tiny", "one": row, "eight": row}})
    assert text.count("| ours |") == 2


def test_a_side_that_stops_early_is_no_rival() -> None:
    early = Locked(lambda tasks: [[1] * (task.new - 1) for task in tasks])
    with pytest.raises(RuntimeError, match="another length"):
        closed_loop(early, [Task([1, 2], 3)], 1)
