"""The loop that trains: packs in, weights out, resumable, on a GPU if there is one. Called by `training.train`."""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch  # noqa: TID253 - training is one of the two places for it
from torch.nn import functional  # noqa: TID253
from tqdm import tqdm

from training import dataset
from training.encoding import Batch, batches, packs, tag_ids
from training.families import fingerprint
from training.plan import Plan


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
    # On a GPU sums otherwise run in any order: two trainings of one seed parted at step 13 (docs/model-log.md).
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(torch.cuda.is_available())
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
