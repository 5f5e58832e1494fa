"""Trains the bundled model from scratch on two processor cores: `python -m training.train` (`make train`).

Writes the tokenizer, the weights and `training.json` into `workers/model/bundled/`, then runs the evaluation, which
adds its figures and `calibration.json`. Stopped half way it goes on from its last checkpoint. `--quick` trains a toy
in seconds, to prove that the path works.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch  # noqa: TID253 - training is one of the two places for it
from torch.nn import functional  # noqa: TID253
from tqdm import tqdm
from transformers import (  # noqa: TID253
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
)

from training import dataset, evaluate
from training.encoding import Batch, batches, packs, tag_ids, train_tokenizer
from training.families import fingerprint

ROOT = Path(__file__).parent.parent
BUNDLED = ROOT / "workers" / "model" / "bundled"
CHECKPOINT = ROOT / "var" / "training" / "checkpoint.pt"


@dataclass(frozen=True)
class Plan:
    """Everything that decides the result, written to `training.json`."""

    samples: int = 100_000
    branches: int = 8  # messages that share one head
    batch: int = 8  # heads per step
    width: int = 256
    layers: int = 4
    heads: int = 4
    context: int = 512
    vocab: int = 3_072
    peak_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.05
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=BUNDLED, help="folder of the result")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT, help="file to go on from")
    parser.add_argument("--samples", type=int, help="training messages; default of the plan otherwise")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--quick", action="store_true", help="a toy, in seconds")
    options = parser.parse_args()
    plan = replace(QUICK if options.quick else Plan(), seed=options.seed)
    if options.samples:
        plan = replace(plan, samples=options.samples)
    run(plan, options.out, options.checkpoint)


def run(plan: Plan, out: Path, checkpoint: Path) -> dict[str, Any]:
    """Train, save, evaluate. Returns what stands in `training.json`."""
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    samples = list(dataset.generate("train", plan.seed, plan.samples))
    tokenizer = train_tokenizer(samples[:20_000], plan.vocab, plan.context)
    model = build_model(plan, tokenizer)
    seconds, tokens = fit(model, tokenizer, samples, plan, checkpoint)
    facts = {
        "plan": asdict(plan),
        "data": fingerprint(),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "seconds": round(seconds),
        "tokens": tokens,
        "metrics": {},
    }
    save(model, tokenizer, out, facts)
    facts["metrics"] = evaluate.evaluate(out, plan.evaluated, plan.seed)
    write_facts(out, facts)
    checkpoint.unlink(missing_ok=True)
    return facts


def build_model(plan: Plan, tokenizer: Any) -> Any:
    """Return a GPT-2 with random weights, sized by the plan."""
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=plan.context,
        n_embd=plan.width,
        n_layer=plan.layers,
        n_head=plan.heads,
        activation_function="gelu_pytorch_tanh",  # GPT-2's own function, in one fused step
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    build: Any = GPT2LMHeadModel  # transformers' classes carry few types
    return build(config)


def fit(
    model: Any,
    tokenizer: Any,
    samples: list[dataset.Sample],
    plan: Plan,
    checkpoint: Path,
) -> tuple[float, int]:
    """Train once through the samples. Returns seconds spent (over all starts) and tokens seen."""
    packed = list(packs(samples, tokenizer, plan.context, plan.branches, random.Random(plan.seed)))
    stream = list(batches(packed, plan.batch, tokenizer.pad_token_id, plan.seed))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.peak_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay
    )
    first, spent = _restore(model, optimizer, checkpoint, plan)
    intent_ids, _ = tag_ids(tokenizer)
    is_intent = torch.zeros(len(tokenizer), dtype=torch.bool)
    is_intent[intent_ids] = True
    started = time.monotonic()
    recent = {"loss": 0.0, "intent": 0.0}
    bar = tqdm(range(first, len(stream)), initial=first, total=len(stream), mininterval=5, desc="training")
    for step in bar:
        for group in optimizer.param_groups:
            group["lr"] = rate(step, len(stream), plan)
        loss, hits = step_loss(model, stream[step], is_intent)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in (("loss", loss.item()), ("intent", hits)):
            recent[name] = value if step == first else 0.97 * recent[name] + 0.03 * value
        if step % 20 == 0:
            bar.set_postfix({name: f"{value:.3f}" for name, value in recent.items()})
        if (step + 1) % plan.checkpoint_steps == 0:
            _remember(model, optimizer, checkpoint, plan, step + 1, spent + time.monotonic() - started)
    return spent + time.monotonic() - started, sum(len(pack.ids) for pack in packed)


def step_loss(model: Any, batch: Batch, is_intent: torch.Tensor) -> tuple[torch.Tensor, float]:
    """Return the weighted loss after the cue, and the share of intents guessed right.

    The output layer is computed only where something is to be predicted: about a third of the positions.
    """
    hidden = model.transformer(
        batch.ids, attention_mask=batch.mask, position_ids=batch.positions
    ).last_hidden_state  # (B, T, width)
    wanted = batch.weights[:, 1:] > 0
    targets = batch.ids[:, 1:][wanted]  # (N,)
    weights = batch.weights[:, 1:][wanted]  # (N,)
    logits = model.lm_head(hidden[:, :-1][wanted])  # (N, vocab)
    losses = functional.cross_entropy(logits, targets, reduction="none")
    intents = is_intent[targets]
    hits = (logits[intents].argmax(-1) == targets[intents]).float().mean().item()
    return (losses * weights).sum() / weights.sum(), hits


def rate(step: int, steps: int, plan: Plan) -> float:
    """Learning rate: straight up during warm-up, then down a cosine to a twentieth."""
    if step < plan.warmup_steps:
        return plan.peak_rate * (step + 1) / plan.warmup_steps
    done = (step - plan.warmup_steps) / max(1, steps - plan.warmup_steps)
    return plan.peak_rate * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def _identity(plan: Plan) -> str:
    return json.dumps([asdict(plan), fingerprint()], sort_keys=True)


def _remember(model: Any, optimizer: torch.optim.Optimizer, path: Path, plan: Plan, step: int, spent: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "spent": spent,
        "of": _identity(plan),
    }
    torch.save(state, path.with_suffix(".new"))
    path.with_suffix(".new").replace(path)


def _restore(model: Any, optimizer: torch.optim.Optimizer, path: Path, plan: Plan) -> tuple[int, float]:
    """Load the checkpoint if it belongs to this plan and data; returns the next step and the seconds spent."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    if state["of"] != _identity(plan):
        return 0, 0.0
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"]), float(state["spent"])


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
