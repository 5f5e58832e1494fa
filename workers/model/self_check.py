"""Does int8 say what float32 says? Log-probabilities of a few prompts, kept when the weights were packed. Pure.

Called by `packing`: what float32 found is stored beside the packed weights, and every start compares with it. A CPU
whose kernels saturate, or damaged weights, show here before a patient is answered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch  # noqa: TID253

from workers.model.backend import Backend, Piece

MOST_MEAN = 0.1  # nats; int8 done right differs by 0.01 to 0.04 on any text, kernels that saturate by ten times as much
SURE_MARGIN = 0.1  # nats between the best token and the next: then both must find the same


@dataclass(frozen=True)
class Difference:
    mean: float  # of the absolute differences of log-probabilities, in nats
    largest: float
    changed: int  # places where a sure best token became another

    @property
    def acceptable(self) -> bool:
        return self.mean <= MOST_MEAN and not self.changed


def reference(backend: Backend, prompts: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """Return what a backend makes of the prompts, to be stored: for each place the token's log-probability, the best
    token and its margin over the next."""
    ids, logprobs, best, margins = [], [], [], []
    for prompt in prompts:
        found = _logprobs(backend, prompt)  # (prompt, vocab)
        following = torch.tensor([*prompt[1:], prompt[0]])
        top = found.topk(2, dim=1)
        ids.append(torch.tensor(list(prompt)))
        logprobs.append(found.gather(1, following[:, None])[:, 0])
        best.append(top.indices[:, 0])
        margins.append(top.values[:, 0] - top.values[:, 1])
    return {
        "check.lengths": torch.tensor([len(prompt) for prompt in prompts]),
        "check.ids": torch.cat(ids),
        "check.logprobs": torch.cat(logprobs),
        "check.best": torch.cat(best),
        "check.margins": torch.cat(margins),
    }


def compare(backend: Backend, stored: Mapping[str, torch.Tensor]) -> Difference:
    """Compare a backend with what `reference` stored."""
    ids = iter(stored["check.ids"].tolist())
    prompts = [list(islice(ids, length)) for length in stored["check.lengths"].tolist()]
    found = reference(backend, prompts)
    differences = (found["check.logprobs"] - stored["check.logprobs"]).abs()
    sure = stored["check.margins"] > SURE_MARGIN
    changed = (found["check.best"] != stored["check.best"]) & sure
    mean, largest = float(differences.mean()), float(differences.max())
    return Difference(mean if mean == mean else float("inf"), largest, int(changed.sum()))


def _logprobs(backend: Backend, prompt: Sequence[int]) -> torch.Tensor:
    slot = backend.reserve(len(prompt))
    assert slot is not None  # nothing else runs at load
    try:
        logits = backend.advance([Piece(slot, 0, prompt, len(prompt), prompt=True)])
    finally:
        backend.release(slot)
    return torch.log_softmax(logits.cpu(), dim=1)
