"""Packed weights: made once, found again, made anew when they are stale, damaged or for other weights."""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253
from safetensors.torch import load_file, save_file

from shared.errors import ModelUnavailable
from workers.model import linears, packed_files, packing, self_check
from workers.model.backend import Piece
from workers.model.checkpoint import Checkpoint, shape_of
from workers.model.gpt2 import Gpt2

PROMPTS = [[1, 2, 3, 4, 5, 6], [9, 8, 7]]


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def start(folder: Path, cache_dir: Path) -> Gpt2 | None:
    shape = shape_of(folder, 1000)
    assert shape
    with Checkpoint(folder) as checkpoint:
        return packing.int8_model(checkpoint, shape, PROMPTS, cache_dir, 1 << 28)


def logits(model: Gpt2 | None) -> torch.Tensor:
    assert model
    slot = model.reserve(8)
    assert slot is not None
    return model.advance([Piece(slot, 0, [3, 1, 4, 1, 5], 5, prompt=True)])


def packed(cache_dir: Path) -> list[Path]:
    return sorted((cache_dir / packed_files.FOLDER).iterdir())


def messages(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.message for record in caplog.records]
    caplog.clear()
    return found


def test_the_second_start_reads_what_the_first_one_made(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    first = logits(start(folder, tmp_path))
    assert messages(caplog) == ["weights packed as int8", "int8 agrees with float32"]
    (file,) = packed(tmp_path)
    second = logits(start(folder, tmp_path))
    assert messages(caplog) == ["int8 agrees with float32"]
    assert packed(tmp_path) == [file]
    assert torch.equal(first, second)


def test_other_weights_and_another_version_are_packed_anew(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(folder, tmp_path)
    (old,) = packed(tmp_path)
    monkeypatch.setattr(packed_files, "VERSION", 2)
    start(folder, tmp_path)
    (new,) = packed(tmp_path)  # the former version is gone
    assert new != old
    weights = load_file(folder / "model.safetensors")
    weights["transformer.wpe.weight"] += 1
    save_file(weights, folder / "model.safetensors")
    os.utime(folder / "model.safetensors", (time.time() + 5,) * 2)
    start(folder, tmp_path)
    assert len(packed(tmp_path)) == 2
    assert packed_files.remove_unused(tmp_path, [folder]) > 0
    (left,) = packed(tmp_path)
    assert left == packed_files.path_of(tmp_path, folder)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_ones_are_made_again(
    folder: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    good = logits(start(folder, tmp_path))
    (file,) = packed(tmp_path)
    if damage == "flipped":
        tensors = load_file(file)
        for name, tensor in tensors.items():
            if name.endswith("c_fc.weight"):
                tensor.neg_()
        save_file(tensors, file)
    else:
        file.write_bytes(file.read_bytes()[:2000] if damage == "cut" else b"")
    assert torch.equal(logits(start(folder, tmp_path)), good)
    assert any("made again" in message or "differs" in message for message in messages(caplog))
    assert torch.equal(logits(start(folder, tmp_path)), good)
    assert messages(caplog) == []


def test_a_cache_that_takes_no_file_costs_only_time(folder: Path, tmp_path: Path, caplog: Any) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the folder should be")
    assert logits(start(folder, blocked)).isfinite().all()
    assert "the packed weights could not be kept" in messages(caplog)


def test_kernels_that_saturate_are_noticed_and_float32_is_used(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    multiply = linears._multiply
    monkeypatch.setattr(linears, "_multiply", lambda *given: multiply(*given).clamp(-0.5, 0.5))
    assert start(folder, tmp_path) is None
    assert "int8 differs from float32" in messages(caplog)


def test_a_checkpoint_with_a_tensor_missing_is_refused(folder: Path, tmp_path: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelUnavailable, match="not complete"):
        start(folder, tmp_path)


def test_numbers_that_are_not_finite_are_no_agreement() -> None:
    assert not self_check.Difference(float("inf"), 0.0, 0).acceptable
    assert not self_check.Difference(0.0, 0.0, 1).acceptable
    assert self_check.Difference(0.03, 0.2, 0).acceptable


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "llama"),
        ("activation_function", "sin"),
        ("scale_attn_by_inverse_layer_idx", True),
        ("scale_attn_weights", False),
        ("quantization_config", {"bits": 4}),
        ("n_head", 3),
    ],
)
def test_what_ours_does_not_compute_is_left_to_transformers(folder: Path, key: str, value: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, key: value}))
    assert shape_of(folder, 1000) is None
