"""Row e: an answer is the same whoever shares the batch, and says what float32 says.

float32 is transformers' own, so that our arithmetic is compared with somebody else's. It writes the answers, greedily
under the grammar, and both models then read prompt and answer: "masked" is the log-probability among what
the grammar lets follow, which is what a Generation reports, "unmasked" among all tokens. MODEL_PRECISION=int8 in the
environment asks it of int8. Called by `benchmarks.engine`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch  # noqa: TID253

from benchmarks.inference.bundled import Bundled
from benchmarks.inference.random_weights import Figures
from benchmarks.inference.sides import float32_model
from shared.settings import BUNDLED_MODEL
from workers.model.backend import Piece
from workers.model.engine import Engine
from workers.model.generation import Generation, Request

SURE = 0.1  # nats between the best token and the next
AT_ONCE = 8


@dataclass
class Differences:
    """Of log-probabilities, in nats, and of the best token."""

    each: list[float] = field(default_factory=list)
    sure: int = 0  # places where float32's best is ahead by more than SURE
    changed: int = 0  # of them, those where ours finds another

    def add(self, served: torch.Tensor, float32: torch.Tensor) -> None:
        """Compare the logits of one place, (allowed,): the log-probability of float32's best, and which is best."""
        ours, theirs = torch.log_softmax(served, 0), torch.log_softmax(float32, 0)
        best = int(theirs.argmax())
        self.each.append(abs(float(ours[best] - theirs[best])))
        if len(theirs) > 1:
            first, second = theirs.topk(2).values.tolist()
            self.sure += first - second > SURE
            self.changed += first - second > SURE and int(ours.argmax()) != best

    def figures(self) -> Figures:
        return {
            "places": len(self.each),
            "mean": round(sum(self.each) / len(self.each), 6),
            "largest": round(max(self.each), 5),
            "sure": self.sure,
            "sure_changed": self.changed,
        }


def batch_is_single(bundled: Bundled, requests: Sequence[Request]) -> Figures:
    """Answer the requests one at a time and eight at a time, in engines of their own."""
    with bundled.engine() as engine:
        single = [engine.submit(request).result() for request in requests]
    with bundled.engine() as engine:
        batch = _at_once(engine, requests)
        shared = engine.stats().batch_sizes
    pairs = list(zip(single, batch, strict=True))
    steps = sum(shared.values())
    return {
        "dialogues": len(pairs),
        "same_ids": sum(a.ids == b.ids for a, b in pairs),
        "same_logprobs": sum(a.logprobs == b.logprobs for a, b in pairs),
        "same_first_choices": sum(a.first_choices == b.first_choices for a, b in pairs),
        "mean_batch": round(sum(size * count for size, count in shared.items()) / max(1, steps), 2),
    }


def against_float32(bundled: Bundled, requests: Sequence[Request]) -> Figures:
    """Differences of our model to float32 over the answers that float32 gives."""
    model: Any = float32_model(BUNDLED_MODEL)
    answers = [_greedy(bundled, model, request) for request in requests]
    masked, unmasked = Differences(), Differences()
    with bundled.engine() as engine:
        same = sum(list(a.ids) == b for a, b in zip(_at_once(engine, requests), answers, strict=True))
    for request, answer in zip(requests, answers, strict=True):
        served, float32 = _ours(bundled, request, answer), _theirs(bundled, model, request, answer)
        for place in range(len(answer) + 1):
            allowed = request.allowed(answer[:place]) if request.allowed else None
            if allowed is not None and not len(allowed):
                continue
            unmasked.add(served[place], float32[place])
            ids = slice(None) if allowed is None else torch.as_tensor(allowed)
            if allowed is None or len(allowed) > 1:
                masked.add(served[place][ids], float32[place][ids])
    return {"same_greedy_ids": same, "masked": masked.figures(), "unmasked": unmasked.figures()}


def _at_once(engine: Engine, requests: Sequence[Request]) -> list[Generation]:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda request: engine.submit(request).result(), requests))


@torch.inference_mode()
def _greedy(bundled: Bundled, model: Any, request: Request) -> list[int]:
    """What float32 answers under the grammar, token by token and without any of our code but the grammar."""
    answer: list[int] = []
    ids, cache = torch.tensor([list(request.ids)]), None
    while len(answer) < request.max_new_tokens:
        allowed = request.allowed(answer) if request.allowed else None
        if allowed is not None and not len(allowed):
            break
        found = model(input_ids=ids, past_key_values=cache, use_cache=True)
        cache, logits = found.past_key_values, found.logits[0, -1, : bundled.backend.vocab_size]
        best = int(logits.argmax()) if allowed is None else int(allowed[int(logits[torch.as_tensor(allowed)].argmax())])
        if best in request.stop_ids:
            break
        answer.append(best)
        ids = torch.tensor([[best]])
    return answer


def _ours(bundled: Bundled, request: Request, answer: Sequence[int]) -> torch.Tensor:
    """Logits behind the prompt and behind each token of the answer, (1 + answer, vocab), as our model computes them."""
    ids, backend = [*request.ids, *answer], bundled.backend
    slot = backend.reserve(len(ids))
    assert slot is not None  # no engine runs now
    try:
        return backend.advance([Piece(slot, 0, ids, 1 + len(answer), prompt=True)])
    finally:
        backend.release(slot)


@torch.inference_mode()
def _theirs(bundled: Bundled, model: Any, request: Request, answer: Sequence[int]) -> torch.Tensor:
    """The same of transformers in float32."""
    logits: torch.Tensor = model(torch.tensor([[*request.ids, *answer]])).logits[0]
    return logits[len(request.ids) - 1 :, : bundled.backend.vocab_size]
