"""Trains the bundled model from scratch on two processor cores: `python -m training.train` (`make train`).

Writes the tokenizer, the weights and `training.json` into `workers/model/bundled/`, a picture of the loss, then runs
the evaluation, which adds its figures and `calibration.json`. Stopped half way it goes on from its last checkpoint.
`--base user/gpt2-in-spanish` fine-tunes a GPT-2 of the Hub (or a folder) in the same format instead; a GPU is used
where there is one, in mixed precision. `--quick` trains a toy in seconds, to prove that the path works.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import random
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any

import torch  # noqa: TID253 - training is one of the two places for it
from torch.nn import functional  # noqa: TID253
from tqdm import tqdm
from transformers import (  # noqa: TID253
    AutoModelForCausalLM,
    AutoTokenizer,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
)

from shared.tagged import SPECIAL_TOKENS
from training import dataset, evaluate
from training.encoding import Batch, batches, packs, tag_ids, train_tokenizer
from training.families import fingerprint
from training.pictures import draw_curve

ROOT = Path(__file__).parent.parent
BUNDLED = ROOT / "workers" / "model" / "bundled"
CHECKPOINT = ROOT / "var" / "training" / "checkpoint.pt"
CURVE = ROOT / "docs" / "training-curve.png"


@dataclass(frozen=True)
class Plan:
    """Everything that decides the result, written to `training.json`."""

    base: str | None = None  # Hub id or folder of a model to fine-tune; None: from scratch
    samples: int = 170_000
    branches: int = 16  # messages that share one head
    batch: int = 4  # heads per step
    width: int = 256
    layers: int = 4
    heads: int = 4
    context: int = 512
    vocab: int = 3_072
    peak_rate: float = 2e-3  # of AdamW: embeddings, biases, norms
    matrix_rate: float = 0.02  # of Muon: the matrices between them
    warmup_steps: int = 100
    weight_decay: float = 0.05
    dropout: float = 0.1  # of embeddings and of each layer's output
    seed: int = 2026
    threads: int = 2
    evaluated: int = 1_500  # messages per evaluation split
    checkpoint_steps: int = 100


QUICK = Plan(
    samples=192,
    branches=4,
    batch=4,
    width=32,
    layers=1,
    heads=2,
    vocab=700,
    warmup_steps=2,
    evaluated=24,
    checkpoint_steps=4,
)


FINE_TUNING_RATE = 2e-4  # a trained model is nudged, not taught anew


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUNDLED, help="folder of the result")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="file to go on from")
    parser.add_argument("--base", help="GPT-2 to fine-tune: a Hub id or a folder (default: train from scratch)")
    parser.add_argument("--samples", type=int, help="training messages; default of the plan otherwise")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--quick", action="store_true", help="a toy, in seconds")
    options = parser.parse_args()
    plan = replace(QUICK if options.quick else Plan(), seed=options.seed, base=options.base)
    if options.base:
        plan = replace(plan, peak_rate=FINE_TUNING_RATE, matrix_rate=10 * FINE_TUNING_RATE)
    if options.samples:
        plan = replace(plan, samples=options.samples)
    in_docs = (CURVE, evaluate.PICTURE) if options.out == BUNDLED else (None, None)
    run(plan, options.out, options.checkpoint, *in_docs)


def run(
    plan: Plan, out: Path, checkpoint: Path, curve: Path | None = None, picture: Path | None = None
) -> dict[str, Any]:
    """Train, save, evaluate. Returns what stands in `training.json`.

    Args:
        out: folder of the result.
        checkpoint: where to go on from, and what is removed at the end.
        curve: PNG of the loss; beside the checkpoint if None.
        picture: PNG of the confusion matrix; not drawn if None.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    samples = list(tqdm(dataset.generate("train", plan.seed, plan.samples), total=plan.samples, desc="messages"))
    if plan.base:
        model, tokenizer = load_base(plan.base)
    else:
        tokenizer = train_tokenizer(samples[:20_000], plan.vocab, plan.context)
        model = build_model(plan, tokenizer)
    history = fit(model, tokenizer, samples, plan, checkpoint)
    facts = {
        "plan": asdict(plan),
        "data": fingerprint(),
        "real_chats": False,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(history.seconds),
        "tokens": history.tokens,
        "metrics": {},
    }
    save(model.cpu(), tokenizer, out, facts)
    draw_curve(history.losses, history.hits, curve or checkpoint.with_suffix(".png"))
    facts["metrics"] = evaluate.evaluate(out, plan.evaluated, plan.seed, picture)
    evaluate.note(out, facts["metrics"])
    checkpoint.unlink(missing_ok=True)
    return facts


def load_base(name: str) -> tuple[Any, Any]:
    """Load a causal model of the Hub or a folder and teach its tokenizer the tags of our format."""
    tokenizer: Any = AutoTokenizer.from_pretrained(name)
    model: Any = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32)
    known = tokenizer.get_vocab()
    tokenizer.add_special_tokens({"additional_special_tokens": [t for t in SPECIAL_TOKENS if t not in known]})
    tokenizer.eos_token = tokenizer.pad_token = SPECIAL_TOKENS[0]
    tokenizer.padding_side = "left"
    model.resize_token_embeddings(len(tokenizer))
    model.config.eos_token_id = model.config.pad_token_id = tokenizer.eos_token_id
    return model, tokenizer


def build_model(plan: Plan, tokenizer: Any) -> Any:
    """Return a GPT-2 with random weights, sized by the plan."""
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=plan.context,
        n_embd=plan.width,
        n_layer=plan.layers,
        n_head=plan.heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own function, in one fused step
        resid_pdrop=plan.dropout,
        embd_pdrop=plan.dropout,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    build: Any = GPT2LMHeadModel  # transformers' classes carry few types
    return build(config)


@dataclass
class History:
    """What a training was: seconds (over all starts), tokens seen, loss and share of right intents per step."""

    seconds: float = 0.0
    tokens: int = 0
    losses: list[float] = field(default_factory=list)
    hits: list[float] = field(default_factory=list)


def fit(
    model: Any,
    tokenizer: Any,
    samples: list[dataset.Sample],
    plan: Plan,
    checkpoint: Path,
) -> History:
    """Train once through the samples, on the GPU if there is one. The same plan and data give the same weights."""
    torch.manual_seed(plan.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model.to(device).train()
    context = min(plan.context, int(model.config.max_position_embeddings))
    packed = list(packs(samples, tokenizer, context, plan.branches, random.Random(plan.seed)))
    stream = list(batches(packed, plan.batch, tokenizer.pad_token_id, plan.seed))
    optimizers = build_optimizers(model, plan)
    peaks = [[group["lr"] for group in optimizer.param_groups] for optimizer in optimizers]
    history = _restore(model, optimizers, checkpoint, plan)
    history.tokens = sum(len(pack.ids) for pack in packed)
    intent_ids, _ = tag_ids(tokenizer)
    is_intent = torch.zeros(len(tokenizer), dtype=torch.bool, device=device)
    is_intent[intent_ids] = True
    first, spent, started = len(history.losses), history.seconds, time.monotonic()
    bar = tqdm(range(first, len(stream)), initial=first, total=len(stream), mininterval=5, desc="training")
    for step in bar:
        for optimizer, of_groups in zip(optimizers, peaks, strict=True):
            for group, peak in zip(optimizer.param_groups, of_groups, strict=True):
                group["lr"] = peak * rate(step, len(stream), plan)
        with mixed_precision(device):
            loss, hits = step_loss(model, stream[step].to(device), is_intent)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        history.losses.append(loss.item())
        history.hits.append(hits)
        history.seconds = spent + time.monotonic() - started
        if step % 20 == 0:
            recent = slice(-30, None)
            bar.set_postfix(loss=f"{mean(history.losses[recent]):.3f}", intent=f"{mean(history.hits[recent]):.3f}")
        if (step + 1) % plan.checkpoint_steps == 0:
            _remember(model, optimizers, checkpoint, plan, history)
    return history


def build_optimizers(model: Any, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the layers, AdamW for everything else.

    After as many messages Muon understood twice as many as AdamW alone (docs/model-log.md). Jordan et al., 2024.
    """
    matrices: list[torch.nn.Parameter] = []
    others: list[torch.nn.Parameter] = []
    tables = {id(model.get_input_embeddings().weight), id(model.get_output_embeddings().weight)}
    for name, weights in model.named_parameters():
        inner = weights.ndim == 2 and id(weights) not in tables and "wpe" not in name
        (matrices if inner else others).append(weights)
    return [
        torch.optim.Muon(matrices, lr=plan.matrix_rate, momentum=0.95, weight_decay=plan.weight_decay),
        torch.optim.AdamW(others, lr=plan.peak_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay / 5),
    ]


def mixed_precision(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 where the chip computes in it: three times as fast on such a processor, far slower on one without."""
    if device.type == "cuda" or torch.cpu._is_avx512_bf16_supported():
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def step_loss(model: Any, batch: Batch, is_intent: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the weighted loss after the cue, and the share of intents guessed right.

    The output layer is computed only where something is to be predicted: about a third of the positions.
    """
    hidden = model.base_model(
        batch.ids, attention_mask=batch.mask, position_ids=batch.positions
    ).last_hidden_state  # (B, T, width)
    wanted = batch.weights[:, 1:] > 0
    targets = batch.ids[:, 1:][wanted]  # (N,)
    weights = batch.weights[:, 1:][wanted]  # (N,)
    logits = model.get_output_embeddings()(hidden[:, :-1][wanted]).float()  # (N, vocab)
    losses = functional.cross_entropy(logits, targets, reduction="none")
    intents = is_intent[targets]
    hits = (logits[intents].argmax(-1) == targets[intents]).float().mean().item()
    return (losses * weights).sum() / weights.sum(), hits


def rate(step: int, steps: int, plan: Plan) -> float:
    """Share of the peak rate: straight up during warm-up, then down a cosine to a twentieth."""
    if step < plan.warmup_steps:
        return (step + 1) / plan.warmup_steps
    done = (step - plan.warmup_steps) / max(1, steps - plan.warmup_steps)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done))


def _identity(plan: Plan) -> str:
    return json.dumps([asdict(plan), fingerprint()], sort_keys=True)


def _remember(model: Any, optimizers: list[torch.optim.Optimizer], path: Path, plan: Plan, history: History) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "history": asdict(history),
        "random": torch.get_rng_state(),
        "of": _identity(plan),
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def _restore(model: Any, optimizers: list[torch.optim.Optimizer], path: Path, plan: Plan) -> History:
    """Load the checkpoint if it belongs to this plan and data; one step was done for each loss of its history."""
    if not path.exists():
        return History()
    state = torch.load(path, weights_only=True)
    if state["of"] != _identity(plan):
        return History()
    model.load_state_dict(state["model"])
    for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    torch.set_rng_state(state["random"])
    return History(**state["history"])


def save(model: Any, tokenizer: Any, out: Path, facts: dict[str, Any]) -> None:
    """Write a folder that plain `from_pretrained` loads: half-precision weights, read back as float32."""
    out.mkdir(parents=True, exist_ok=True)
    build: Any = GenerationConfig
    model.generation_config = build(
        do_sample=False,
        max_new_tokens=200,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.half().save_pretrained(out)
    model.float()
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["dtype"] = "float32"  # half precision halves the file, but is slow to compute with on a processor
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    tokenizer.save_pretrained(out)
    write_facts(out, facts)


def write_facts(out: Path, facts: dict[str, Any]) -> None:
    (out / "training.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
