"""Logits of one row -> the next token and how sure the model is of it. Called by `engine` for each row and step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch  # noqa: TID253


@dataclass(frozen=True)
class Choice:
    id: int
    logprob: float  # at temperature 1, of the distribution that the mask left
    best: tuple[tuple[int, float], ...]  # (id, log-probability), best first


def choose(
    logits: torch.Tensor,
    allowed: Sequence[int] | None = None,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
    best_count: int = 0,
) -> Choice:
    """Choose greedily, or by sampling when `temperature` > 0 and no mask is given.

    Args:
        logits: (vocab,) float32 on the CPU.
        allowed: ids that may follow, at least one; None for all.
        best_count: how many of the best candidates to report.

    Raises:
        ArithmeticError: if the logits are not finite; a softmax over them would still give an answer.
    """
    ids = None if allowed is None else torch.as_tensor(allowed, dtype=torch.long)
    logprobs = torch.log_softmax(logits if ids is None else logits[ids], dim=0)
    if ids is None and temperature > 0:
        position = int(torch.multinomial((logprobs / temperature).softmax(0), 1, generator=generator))
    else:
        position = int(logprobs.argmax())
    logprob = float(logprobs[position])
    if not logprob > float("-inf"):  # false for nan too
        raise ArithmeticError("the model's logits are not finite")
    best: tuple[tuple[int, float], ...] = ()
    if best_count:
        values, positions = logprobs.topk(min(best_count, len(logprobs)))
        named = positions if ids is None else ids[positions]
        best = tuple(zip(named.tolist(), values.tolist(), strict=True))
    return Choice(position if ids is None else int(ids[position]), logprob, best)
