"""Logits -> the next token and how sure the model is of it. Called by `engine` for each pass, by `rows` for drafts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch  # noqa: TID253


@dataclass(frozen=True)
class Ask:
    """How one token is to be chosen.

    Attributes:
        allowed: ids that may follow, at least one; None for all.
        temperature: above 0 samples, when there is no mask: structure is never gambled.
        best: how many of the best candidates to report.
    """

    allowed: Sequence[int] | None = None
    temperature: float = 0.0
    sampler: torch.Generator | None = None
    best: int = 0


@dataclass(frozen=True)
class Choice:
    id: int
    logprob: float  # at temperature 1, of the distribution that the mask left
    best: tuple[tuple[int, float], ...]  # (id, log-probability), best first


def choose(logits: torch.Tensor, ask: Ask) -> Choice:
    """Choose one token; `logits` is (vocab,) float32.

    Raises:
        ArithmeticError: if the logits are not finite; a softmax over them would still give an answer.
    """
    ids = None if ask.allowed is None else torch.as_tensor(ask.allowed, dtype=torch.long, device=logits.device)
    logprobs = torch.log_softmax(logits if ids is None else logits[ids], dim=0)
    if ids is None and ask.temperature > 0:
        chances = (logprobs / ask.temperature).softmax(0).cpu()
        position = int(torch.multinomial(chances, 1, generator=ask.sampler))
    else:
        position = int(logprobs.argmax())
    logprob = float(logprobs[position])
    if not logprob > float("-inf"):  # false for nan too
        raise ArithmeticError("the model's logits are not finite")
    best: tuple[tuple[int, float], ...] = ()
    if ask.best:
        values, positions = logprobs.topk(min(ask.best, len(logprobs)))
        named = positions if ids is None else ids[positions]
        best = tuple(zip(named.tolist(), values.tolist(), strict=True))
    return Choice(position if ids is None else int(ids[position]), logprob, best)


def choose_each(logits: torch.Tensor, asks: Sequence[Ask]) -> list[Choice | ArithmeticError]:
    """Choose a token for each row of `logits`, (rows, vocab).

    On a CPU row by row, so that nothing depends on who shares the batch. On a GPU the plain ones at once: each would
    cost several calls and a wait for the card.
    """
    found: list[Choice | ArithmeticError] = []
    plain = _greedy(logits, asks) if logits.is_cuda else {}
    for number, ask in enumerate(asks):
        try:
            found.append(plain[number] if number in plain else choose(logits[number], ask))
        except ArithmeticError as error:
            found.append(error)
    return found


def _greedy(logits: torch.Tensor, asks: Sequence[Ask]) -> dict[int, Choice]:
    """The rows that need neither sampling nor alternatives, masked or not: a few calls for all of them."""
    numbers = [number for number, ask in enumerate(asks) if not ask.best and (ask.allowed or not ask.temperature)]
    if not numbers:
        return {}
    rows = logits[numbers] if len(numbers) < len(logits) else logits
    masked = [(row, asks[number].allowed or ()) for row, number in enumerate(numbers) if asks[number].allowed]
    if masked:
        rows = rows.clone()
        places = torch.tensor([row for row, ids in masked for _ in ids], device=rows.device)
        columns = torch.tensor([token for _, ids in masked for token in ids], device=rows.device)
        open_ = rows[places, columns]
        rows[torch.tensor([row for row, _ in masked], device=rows.device)] = float("-inf")
        rows[places, columns] = open_
    values, ids = rows.max(1)
    sure = torch.stack([values - rows.logsumexp(1), ids.double()]).tolist()  # one transfer
    pairs = zip(numbers, *sure, strict=True)
    return {number: Choice(int(id_), logprob, ()) for number, logprob, id_ in pairs if logprob > float("-inf")}
