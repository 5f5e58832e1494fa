"""The model that came with the code: its files, and that it understands what nobody should misunderstand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from transformers import AutoTokenizer  # noqa: TID253

from shared.prediction import Intent
from shared.tagged import SPECIAL_TOKENS
from training.gold import Gold
from training.systems import Bench, open_bench
from training.train import BUNDLED


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with open_bench(BUNDLED) as opened:
        yield opened


def test_the_files_stay_small_and_safe() -> None:
    sizes = {path.name: path.stat().st_size for path in BUNDLED.iterdir()}
    assert sum(sizes.values()) <= 16 * 2**20
    assert "model.safetensors" in sizes
    assert not [name for name in sizes if name.endswith((".bin", ".pt", ".pkl"))]


def test_the_training_is_documented() -> None:
    facts = json.loads((BUNDLED / "training.json").read_text(encoding="utf-8"))
    assert facts["plan"]["seed"]
    assert facts["metrics"]["model"]["valid"] == 1.0
    assert facts["metrics"]["full"]["messages"] >= 1_000
    calibration = json.loads((BUNDLED / "calibration.json").read_text(encoding="utf-8"))
    assert 0.3 < calibration["temperature"] < 5
    assert calibration["weights"]["model"] > 0


def test_it_speaks_the_tagged_format() -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(BUNDLED)
    config = json.loads((BUNDLED / "config.json").read_text(encoding="utf-8"))
    assert len(tokenizer("".join(SPECIAL_TOKENS)).input_ids) == len(SPECIAL_TOKENS)
    assert config["n_positions"] >= 512
    assert config["vocab_size"] == len(tokenizer)


@pytest.mark.parametrize(
    ("text", "state", "intent"),
    [
        ("Quiero una cita", None, Intent.AGENDAR_CITA),
        ("¡Buenos días!", None, Intent.SALUDO),
        ("¿Cuándo es mi cita?", None, Intent.CONSULTAR_CITA),
        ("quiero cancelar mi cita", None, Intent.CANCELAR_CITA),
        ("BAJA", None, Intent.BAJA),
        ("estoy tosiendo sangre, ayuda", None, Intent.URGENCIA),
        ("no puedo respirar", None, Intent.URGENCIA),
        ("sí", "agendar:confirmar", Intent.AFIRMAR),
        ("no", "cancelar:confirmar", Intent.NEGAR),
        ("el jueves a las 10", "agendar:fecha", Intent.INFORMAR_DATO),
    ],
)
def test_plain_words_are_understood(bench: Bench, text: str, state: str | None, intent: Intent) -> None:
    reading = bench.read(Gold(id=1, text=text, state=state), needs_reply=False)
    assert reading.intent is intent
    assert reading.danger == (intent is Intent.URGENCIA)


def test_date_and_hour_are_copied(bench: Bench) -> None:
    reading = bench.read(Gold(id=1, text="Quiero una cita el jueves a las 10 y media"), needs_reply=False)
    assert dict(reading.spans) == {"date": "jueves", "time": "10 y media"}
