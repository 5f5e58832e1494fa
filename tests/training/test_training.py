"""The whole path with a toy: tokenizer, packs, training, resuming, saving, loading, evaluating."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.tagged import SPECIAL_TOKENS
from training import fitting
from training.dataset import Sample, generate
from training.encoding import batches, encode_question, packs, train_tokenizer
from training.fitting import build_optimizers, fit
from training.plan import QUICK
from training.train import build_model, load_base, run


@pytest.fixture(scope="module")
def samples() -> list[Sample]:
    return list(generate("train", 1, QUICK.samples))


@pytest.fixture(scope="module")
def tokenizer(samples: list[Sample]) -> Any:
    return train_tokenizer(samples, QUICK.vocab, QUICK.context)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    run(QUICK, folder / "model", folder / "checkpoint.pt")
    return folder / "model"


def test_the_tokenizer_loses_nothing(tokenizer: Any) -> None:
    for text in ("Quiero una cita mañana ¿sí? 👍", "日本 ñandú\tCC-0417\n", "'no  se'"):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_every_tag_is_one_token(tokenizer: Any) -> None:
    assert len(tokenizer("".join(SPECIAL_TOKENS)).input_ids) == len(SPECIAL_TOKENS)


def test_words_of_a_slot_are_the_tokens_of_the_message(tokenizer: Any) -> None:
    message = tokenizer("<USER>: quiero el jueves 26 a las 10 y media por favor").input_ids
    for span in ("jueves 26", "10 y media"):
        ids = tokenizer(f" {span}").input_ids
        assert any(message[at : at + len(ids)] == ids for at in range(len(message)))


def test_a_pack_computes_what_each_sample_alone_would(samples: list[Sample], tokenizer: Any) -> None:
    torch.manual_seed(0)
    model = build_model(QUICK, tokenizer).eval()
    pack = next(packs(samples, tokenizer, QUICK.context, 4, None))
    batch = next(batches([pack], 1, tokenizer.pad_token_id, 0))
    with torch.inference_mode():
        together = model(batch.ids, attention_mask=batch.mask, position_ids=batch.positions).logits[0]
        for owner in (1, 4):
            own = [at for at, whose in enumerate(pack.owners) if whose in (0, owner)]
            alone = model(torch.tensor([[pack.ids[at] for at in own]])).logits[0]
            assert torch.allclose(together[own], alone, atol=1e-5)


def test_only_the_completion_is_a_target(samples: list[Sample], tokenizer: Any) -> None:
    for pack in packs(samples, tokenizer, QUICK.context, 4, None):
        text = tokenizer.decode([id_ for id_, weight in zip(pack.ids, pack.weights, strict=True) if weight > 0])
        assert text.startswith("<i:")
        assert "<USER>" not in text
        assert text.count("<|endoftext|>") == max(pack.owners)


def test_some_training_samples_stop_before_their_reply(samples: list[Sample], tokenizer: Any) -> None:
    packed = list(packs(samples, tokenizer, QUICK.context, 4, random.Random(1)))
    ends = sum(list(pack.ids).count(tokenizer.eos_token_id) for pack in packed)
    assert 0.02 * len(samples) < ends < 0.4 * len(samples)


def test_words_of_a_slot_stay_whole_when_other_words_are_cut(tokenizer: Any) -> None:
    rng, cut_finer = random.Random(4), 0
    for sample in (s for s in generate("train", 5, 400) if s.answer.spans):
        cut = encode_question(sample, tokenizer, rng)
        for span in sample.answer.spans.values():
            whole = tokenizer(f" {span}").input_ids
            assert any(cut[at : at + len(whole)] == whole for at in range(len(cut))), span
        assert tokenizer.decode(cut) == sample.question
        cut_finer += len(cut) > len(tokenizer(sample.question).input_ids)
    assert cut_finer > 20


def test_an_interrupted_training_ends_with_the_same_weights(
    samples: list[Sample], tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(3)
    whole = build_model(QUICK, tokenizer)
    broken = build_model(QUICK, tokenizer)
    broken.load_state_dict(whole.state_dict())
    fit(whole, tokenizer, samples, QUICK, tmp_path / "none.pt")

    real, steps = fitting.step_loss, iter(range(100))

    def interrupted(*given: Any) -> Any:
        if next(steps) == 6:
            raise KeyboardInterrupt
        return real(*given)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "step_loss", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fit(broken, tokenizer, samples, QUICK, tmp_path / "checkpoint.pt")
    again = build_model(QUICK, tokenizer)
    fit(again, tokenizer, samples, QUICK, tmp_path / "checkpoint.pt")
    for name, weights in whole.state_dict().items():
        assert torch.allclose(weights, again.state_dict()[name], atol=1e-5), name


def test_a_checkpoint_of_another_plan_is_not_used(samples: list[Sample], tokenizer: Any, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    fit(build_model(QUICK, tokenizer), tokenizer, samples, QUICK, path)
    other = replace(QUICK, seed=QUICK.seed + 1)
    model = build_model(other, tokenizer)
    assert fitting._restore(model, build_optimizers(model, other), path, other).losses == []


def test_the_result_loads_with_plain_transformers(trained: Path) -> None:
    tokenizer: Any = AutoTokenizer.from_pretrained(trained)
    model: Any = AutoModelForCausalLM.from_pretrained(trained)
    assert model.dtype == torch.float32
    assert model.config.n_positions >= 512
    assert len(tokenizer) == model.config.vocab_size
    assert tokenizer.eos_token == "<|endoftext|>"
    output = model.generate(**tokenizer("<USER>: hola\n<ASSISTANT>:", return_tensors="pt"), max_new_tokens=3)
    assert output.shape[1] > 0


def test_the_facts_of_the_training_are_kept(trained: Path) -> None:
    facts = json.loads((trained / "training.json").read_text(encoding="utf-8"))
    assert facts["plan"]["seed"] == QUICK.seed
    assert facts["data"]
    figures = facts["metrics"]
    assert set(figures) == {"keywords", "ngrams", "rules", "model", "no model", "full", "calibration"}
    assert figures["full"]["messages"] == QUICK.evaluated
    assert figures["model"]["valid"] == 1.0  # the grammar makes even an untrained model's tags readable
    assert figures["model"]["bleu"] >= 0
    assert figures["full"]["turn_p50_ms"] > 0
    calibration = json.loads((trained / "calibration.json").read_text(encoding="utf-8"))
    assert calibration["temperature"] > 0
    assert set(calibration["weights"]) == {"rules", "ngrams", "model", "alarm"}


def test_a_model_from_elsewhere_is_fine_tuned_in_the_same_format(trained: Path, tmp_path: Path) -> None:
    plan = replace(QUICK, base=str(trained), samples=64, peak_rate=1e-3, matrix_rate=1e-3)
    torch.manual_seed(0)
    model, tokenizer = load_base(str(trained))
    assert len(tokenizer("".join(SPECIAL_TOKENS)).input_ids) == len(SPECIAL_TOKENS)
    history = fit(model, tokenizer, list(generate("train", 2, plan.samples)), plan, tmp_path / "none.pt")
    assert len(history.losses) > 2
    assert history.losses[-1] < 20
