"""How long one message takes, alone on the machine: rules, the whole, and the model's bare forward passes beside it.

Called by `training.evaluate`. The three are taken in turn for each message, so that they share the machine's moods.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch  # noqa: TID253 - training is one of the two places for it
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.conversation import PatientRecord
from shared.prompt import RULES, prompt_parts
from training.gold import Gold
from training.metrics import Figures
from training.systems import Bench, rules


@torch.inference_mode()
def latency(bench: Bench, golds: Sequence[Gold]) -> Figures:
    """Milliseconds per message, and the whole as a multiple of the bare passes for as many tokens.

    A bare turn is the same prompt through `transformers` with its cache, and a pass for each token that was written.
    """
    folder = bench.settings.MODEL_NAME
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.eval()
    full = bench.full()
    took: dict[str, list[float]] = {"rules": [], "turn": [], "bare": []}
    for gold in golds:
        took["rules"].append(rules(gold).took_ms)
        before = bench.holder.stats()
        took["turn"].append(full(gold).took_ms)
        after = bench.holder.stats()
        written = after.tokens - before.tokens if before and after else 0
        took["bare"].append(_bare(model, tokenizer, gold, bench, written) if written else 0.0)
    figures: Figures = {"timed": len(golds)}
    for name, values in took.items():
        figures[f"{name}_p50_ms"] = round(float(np.quantile(values, 0.5)), 1)
        figures[f"{name}_p95_ms"] = round(float(np.quantile(values, 0.95)), 1)
    figures["turn_over_bare"] = round(sum(took["turn"]) / max(sum(took["bare"]), 1e-9), 2)
    return figures


def _bare(model: Any, tokenizer: Any, gold: Gold, bench: Bench, written: int) -> float:
    parts = prompt_parts(RULES, PatientRecord(), (), gold.state, (), gold.text, bench.settings.timezone)
    ids = tokenizer("".join(parts), return_tensors="pt").input_ids
    began = time.perf_counter()
    output = model(ids, use_cache=True)
    for _ in range(written - 1):
        following = output.logits[:, -1:].argmax(-1)
        output = model(following, past_key_values=output.past_key_values, use_cache=True)
    return (time.perf_counter() - began) * 1000
