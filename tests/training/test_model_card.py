"""The model card: figures of any shape, honest about origin and data, and the same text each time."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import ModelCard

from training.model_card import build_card, metrics_table

CONFIG = {"architectures": ["GPT2LMHeadModel"], "n_layer": 4, "n_embd": 256}
FACTS: dict[str, Any] = {"metrics": {"accuracy": 0.91234567, "messages": 1500}, "parameters": 4077056}


def card(facts: dict[str, Any] | None = None, real: bool = False) -> str:
    return build_card("clinic/gpt2-tb", "v3", facts or FACTS, CONFIG, "25 of 25 right", real)


def test_the_metadata_can_be_read_by_the_hub() -> None:
    read: Any = ModelCard  # the library's card carries few types
    data = read(card()).data.to_dict()
    assert (data["language"], data["license"], data["library_name"]) == ("es", "apache-2.0", "transformers")
    assert {"tuberculosis", "gpt2"} <= set(data["tags"])
    assert "base_model" not in data
    tuned = read(card({**FACTS, "plan": {"base": "clinic/gpt2-spanish"}})).data.to_dict()
    assert tuned["base_model"] == "clinic/gpt2-spanish"


@pytest.mark.parametrize(
    ("base", "says"),
    [
        (None, "Base: none, trained from scratch"),
        ("clinic/gpt2-spanish", "Base: clinic/gpt2-spanish"),
        ("/home/somebody/model", "Base: a model that is not on the Hub"),
    ],
)
def test_the_origin_is_told_and_no_path_of_a_machine(base: str | None, says: str) -> None:
    text = card({**FACTS, "plan": {"base": base}})
    assert says in text
    assert "/home" not in text


def test_figures_use_limits_and_pin_are_there() -> None:
    text = card()
    for part in ("| accuracy | 0.9123 |", "| messages | 1,500 |", "MODEL_REVISION=v3", "## Intended use", "## Limits"):
        assert part in text
    assert "layers 4, width 256" in text
    assert "must never be what cancels one" in text
    assert card() == text


@pytest.mark.parametrize(("real", "says"), [(True, "must stay private"), (False, "no chat of a real person")])
def test_the_data_are_declared(real: bool, says: str) -> None:
    assert says in card(real=real)


def test_groups_of_figures_become_columns() -> None:
    metrics = {"rules": {"f1": 0.9, "n": 272}, "full": {"f1": 0.95, "f1_interval": [0.91, 0.97]}, "seed": 3}
    assert metrics_table(metrics).splitlines() == [
        "| figure | value |",
        "| --- | --- |",
        "| seed | 3 |",
        "",
        "| figure | rules | full |",
        "| --- | --- | --- |",
        "| f1 | 0.9 | 0.95 |",
        "| n | 272 |  |",
        "| f1_interval |  | 0.91 to 0.97 |",
    ]
    assert metrics_table({}) == "None were measured."
    assert metrics_table({"a|b": None, "name": "x", "deep": {"er": {"still": 1}}})
