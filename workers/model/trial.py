"""May continuous batching serve this model? Found out by trying it when the model is loaded.

It has to be tried: for models whose attention transformers does not page (Bloom, GPT-Neo) the library answers without a
complaint, and wrongly.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

import torch  # noqa: TID253

from workers.model.continuous import CACHE_BYTES, STOP_S, ContinuousEngine
from workers.model.generation import Generation, Request
from workers.model.info import ModelInfo

log = logging.getLogger(__name__)

PROMPTS = (40, 5)  # lengths: one ends behind the first page of the cache
TOKENS = 8
TOLERANCE = {torch.float32: 0.01, torch.float16: 0.1, torch.bfloat16: 0.25}  # nats, between two ways to compute


def can_serve(info: ModelInfo) -> bool:
    """False for a model that writes the tagged answer: its grammar needs a mask at each step."""
    return not info.tagged


def supports(model: Any, cache_bytes: int = CACHE_BYTES, timeout_s: float = 20.0) -> bool:
    """Let the model write a few tokens by continuous batching and check them against one plain forward pass.

    What is asked is that each token is what greedy `generate` would choose, up to near ties, with the log-probability
    that the plain pass gives it. The model must not be used meanwhile; it is as before afterwards.

    Args:
        timeout_s: an engine that is slower is called unfit. A model that hangs keeps its (daemon) thread.
    """
    try:
        prompts, answers = _answers(model, cache_bytes, time.monotonic() + timeout_s)
        differ = max(_difference(model, ids, answer) for ids, answer in zip(prompts, answers, strict=True))
    except Exception as error:  # each library and each architecture has its own way to say no
        return _is_unfit(f"{type(error).__name__}: {error}")
    return differ <= TOLERANCE.get(model.dtype, 0.01) or _is_unfit(f"it differs by {differ:.2g} nats")


def _answers(model: Any, cache_bytes: int, until: float) -> tuple[list[list[int]], list[Generation]]:
    engine = ContinuousEngine(model, max_batch=len(PROMPTS), cache_bytes=cache_bytes).start()
    try:
        prompts = [[1 + 7919 * (i + length) % (engine.vocab_size - 1) for i in range(length)] for length in PROMPTS]
        futures = [engine.submit(Request(ids, TOKENS)) for ids in prompts]
        return prompts, [future.result(max(0.0, until - time.monotonic())) for future in futures]
    finally:
        engine.close(drain=False, timeout_s=2 * STOP_S)


@torch.inference_mode()
def _difference(model: Any, ids: Sequence[int], answer: Generation) -> float:
    """How far the answer is from greedy, and its log-probabilities from those of a plain pass; in nats."""
    tokens = torch.tensor([[*ids, *answer.ids]], device=model.device)
    logits = model(input_ids=tokens, use_cache=False).logits[0, len(ids) - 1 : -1]
    logprobs = torch.log_softmax(logits.float(), dim=-1).cpu()  # (answer, vocab)
    chosen = logprobs.gather(1, torch.tensor(answer.ids)[:, None])[:, 0]
    from_greedy = logprobs.max(dim=1).values - chosen
    return float(torch.maximum(from_greedy, (chosen - torch.tensor(answer.logprobs)).abs()).max())


def _is_unfit(why: str) -> bool:
    """Log it; returns False."""
    log.info("continuous batching does not fit this model, plain batches serve", extra={"why": why})
    return False
