"""The model that came with the code: its files, and that it understands what nobody should misunderstand."""

from __future__ import annotations

import json
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.conversation import PatientRecord
from shared.prediction import Intent
from shared.prompt import RULES, patient_text, prompt_parts
from shared.tagged import SPECIAL_TOKENS, Tagged, write
from training.context import TZ
from training.dataset import Sample
from training.evaluate import decode
from training.train import BUNDLED


@pytest.fixture(scope="module")
def bundled() -> tuple[Any, Any]:
    model: Any = AutoModelForCausalLM.from_pretrained(BUNDLED)
    return model.eval(), AutoTokenizer.from_pretrained(BUNDLED)


def sample(text: str, state: str | None = None) -> Sample:
    head, question = prompt_parts(RULES, PatientRecord(registered=True), (), state, (), text, TZ)
    nothing = Tagged(Intent.SALUDO)
    return Sample("", head, question, write(nothing), patient_text(text, folded=True), nothing)


def test_the_files_stay_small_and_safe() -> None:
    sizes = {path.name: path.stat().st_size for path in BUNDLED.iterdir()}
    assert sum(sizes.values()) <= 16 * 2**20
    assert "model.safetensors" in sizes
    assert not [name for name in sizes if name.endswith((".bin", ".pt", ".pkl"))]


def test_the_training_is_documented() -> None:
    facts = json.loads((BUNDLED / "training.json").read_text(encoding="utf-8"))
    assert facts["plan"]["seed"]
    assert facts["metrics"]["test_valid"] == 1.0
    assert facts["metrics"]["test_messages"] >= 1_000
    calibration = json.loads((BUNDLED / "calibration.json").read_text(encoding="utf-8"))
    assert 0.3 < calibration["temperature"] < 5


def test_it_speaks_the_tagged_format(bundled: tuple[Any, Any]) -> None:
    model, tokenizer = bundled
    assert len(tokenizer("".join(SPECIAL_TOKENS)).input_ids) == len(SPECIAL_TOKENS)
    assert model.config.n_positions >= 512
    assert model.config.vocab_size == len(tokenizer)


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
def test_plain_words_are_understood(bundled: tuple[Any, Any], text: str, state: str | None, intent: Intent) -> None:
    [result] = decode(*bundled, [sample(text, state)])
    assert result.answer is not None
    assert result.answer.intent is intent
    assert result.answer.danger == (intent is Intent.URGENCIA)


def test_date_and_hour_are_copied(bundled: tuple[Any, Any]) -> None:
    [result] = decode(*bundled, [sample("Quiero una cita el jueves a las 10 y media")])
    assert result.answer is not None
    assert dict(result.answer.spans) == {"date": "jueves", "time": "10 y media"}
