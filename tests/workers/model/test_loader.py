"""Loading: what is accepted, what is refused and in which words, and what the self-test finds."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253
from safetensors.torch import load_file, save_file

from shared.errors import ModelUnavailable
from shared.settings import Settings
from tests.workers.model.conftest import CONTEXT, build_model, build_tokenizer, save_model
from tests.workers.model.hub_server import HubServer, Repo
from workers.model import loader, threads
from workers.model.calibration import Calibration
from workers.model.errors import ModelConfigError
from workers.model.info import ModelInfo
from workers.model.loader import choose_device, choose_precision, load

SettingsFor = Callable[..., Settings]


@pytest.fixture
def folder(model_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(model_folder, tmp_path / "model"))


def test_a_folder_is_loaded_tried_and_described(
    model_folder: Path, settings_for: SettingsFor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        loaded = load(settings_for(model_folder))
    info = loaded.info
    assert (info.device, info.precision, info.threads, info.revision) == ("cpu", "fp16", 1, None)
    assert (info.tagged, info.chat_template, info.context_length) == (True, False, CONTEXT)
    assert info.parameters == sum(weights.numel() for weights in load_file(model_folder / "model.safetensors").values())
    assert info.memory_mb > 50
    assert ModelInfo.from_json(info.to_json()) == info
    (line,) = [record for record in caplog.records if record.message == "model loaded"]
    assert line.__dict__["parameters"] == info.parameters
    assert loaded.calibration == Calibration()
    assert loaded.model is None  # our own arithmetic
    assert loaded.end_ids == {256}


def test_a_model_comes_from_the_hub_at_its_pinned_revision(
    model_folder: Path, settings_for: SettingsFor, tmp_path: Path
) -> None:
    with HubServer() as hub:
        hub.repos["clinic/gpt2"] = Repo()
        first = hub.repos["clinic/gpt2"].commit_folder(model_folder, "v1", **{"README.md": b"one"})
        hub.repos["clinic/gpt2"].commit_folder(model_folder, "v2", **{"README.md": b"two"})
        settings = settings_for("clinic/gpt2", MODEL_REVISION="v1", HF_ENDPOINT=hub.address)
        assert load(settings).info.revision == first
        hub.down = True
        again = load(settings).info
    assert (again.name, again.revision) == ("clinic/gpt2", first)


def test_old_weights_are_read_without_running_their_pickle(folder: Path, settings_for: SettingsFor) -> None:
    weights = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    torch.save(weights, folder / "pytorch_model.bin")
    assert load(settings_for(folder)).info.parameters > 0


def test_a_pickle_that_wants_to_run_code_is_refused(folder: Path, settings_for: SettingsFor, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({"x": _Evil(tmp_path / "ran")}, folder / "pytorch_model.bin")
    with pytest.raises(ModelUnavailable, match="something else than numbers"):
        load(settings_for(folder))
    assert not (tmp_path / "ran").exists()


class _Evil:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def test_code_in_a_repository_is_not_run(folder: Path, settings_for: SettingsFor) -> None:
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    auto = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    (folder / "config.json").write_text(json.dumps({"model_type": "evil", "auto_map": auto}))
    with pytest.raises(ModelConfigError, match="code"):
        load(settings_for(folder))


@pytest.mark.parametrize("lost", ["config.json", "model.safetensors"])
def test_a_folder_without_a_model_is_said_to_hold_none(folder: Path, settings_for: SettingsFor, lost: str) -> None:
    (folder / lost).unlink()
    with pytest.raises(ModelConfigError, match="holds no model"):
        load(settings_for(folder))


def test_a_model_without_tokenizer_is_refused(folder: Path, settings_for: SettingsFor) -> None:
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelConfigError, match="tokenizer"):
        load(settings_for(folder))


def test_damaged_weights_are_refused(folder: Path, settings_for: SettingsFor) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:5000])
    with pytest.raises(ModelUnavailable, match="cannot be read"):
        load(settings_for(folder))


def test_missing_tensors_are_not_replaced_by_random_ones(folder: Path, settings_for: SettingsFor) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["transformer.h.1.mlp.c_fc.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="not complete"):
        load(settings_for(folder))


def test_the_self_test_refuses_numbers_that_are_not_finite(folder: Path, settings_for: SettingsFor) -> None:
    weights = load_file(folder / "model.safetensors")
    weights["transformer.ln_f.weight"][0] = float("nan")
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelUnavailable, match="not finite"):
        load(settings_for(folder))


def test_the_self_test_refuses_a_tokenizer_of_another_model(tmp_path: Path, settings_for: SettingsFor) -> None:
    build_model(100).save_pretrained(tmp_path)
    build_tokenizer().save_pretrained(tmp_path)
    with pytest.raises(ModelUnavailable, match="do not belong together"):
        load(settings_for(tmp_path))


def test_a_plain_model_is_known_by_its_tokenizer(
    tmp_path: Path, plain_tokenizer: Any, settings_for: SettingsFor
) -> None:
    assert not load(settings_for(save_model(tmp_path, plain_tokenizer))).info.tagged


def test_the_calibration_beside_the_model_is_used(folder: Path, settings_for: SettingsFor) -> None:
    (folder / "calibration.json").write_text('{"temperature": 1.5, "fitted_on": 900}')
    assert load(settings_for(folder)).calibration.temperature == 1.5
    (folder / "calibration.json").write_text('{"temperature": 0}')
    with pytest.raises(ModelConfigError, match="calibration"):
        load(settings_for(folder))


def test_calibration_flattens_and_keeps_the_order() -> None:
    logprobs = [-0.1, -2.5, -5.0]
    plain, flat = Calibration().probabilities(logprobs), Calibration(temperature=2).probabilities(logprobs)
    assert sum(plain) == pytest.approx(sum(flat)) == pytest.approx(1)
    assert plain[0] > flat[0] > flat[1] > flat[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_said_in_a_sentence() -> None:
    assert choose_device("auto") == choose_device("cpu") == "cpu"
    with pytest.raises(ModelConfigError, match="no GPU"):
        choose_device("cuda")


def test_a_small_gpt2_is_kept_in_half_precision_a_large_one_in_int8_and_both_may_be_asked_for(
    model_folder: Path, settings_for: SettingsFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert [load(settings_for(model_folder, MODEL_PRECISION=asked)).info.precision for asked in ("int8", "fp32")] == [
        "int8",
        "fp32",
    ]
    monkeypatch.setattr(loader, "LARGEST_HALF", 1000)  # parameters
    assert [load(settings_for(model_folder, MODEL_PRECISION=asked)).info.precision for asked in ("auto", "fp16")] == [
        "int8",
        "fp16",
    ]


@pytest.mark.parametrize(
    ("asked", "device", "default", "given", "warns"),
    [
        ("auto", "cpu", "int8", "int8", False),
        ("auto", "cpu", "fp32", "fp32", False),
        ("fp32", "cpu", "int8", "fp32", False),
        ("int8", "cpu", "fp32", "fp32", True),
        ("bf16", "cpu", "int8", "int8", True),
        ("fp16", "cpu", "fp32", "fp32", True),
        ("auto", "cuda", "bf16", "bf16", False),
        ("fp16", "cuda", "bf16", "fp16", False),
        ("int8", "cuda", "bf16", "bf16", True),
    ],
)
def test_a_precision_that_does_not_pay_becomes_the_default(
    asked: str, device: str, default: str, given: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    assert choose_precision(asked, device, default) == given
    assert bool(caplog.records) is warns


@pytest.fixture
def threads_as_before() -> Any:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [({1: 1.0, 2: 0.9, 4: 0.1}, 1), ({1: 1.0, 2: 0.5, 4: 0.45}, 2), ({1: 1.0, 2: 0.5, 4: 0.2}, 4)],
)
def test_more_threads_must_earn_their_place(
    seconds: dict[int, float], expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "_time_of", lambda step, count: seconds[count])
    assert threads.set_threads("auto", lambda: None, most=4) == torch.get_num_threads() == expected


@pytest.mark.usefixtures("threads_as_before")
def test_a_given_number_of_threads_is_taken() -> None:
    assert threads.set_threads(2, lambda: None) == torch.get_num_threads() == 2
    assert 1 <= threads.set_threads("auto", lambda: None, most=2) <= 2
