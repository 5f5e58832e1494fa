"""Does a model that was just loaded work at all? Called by `loader`.

Whether its answers are right is asked by `gate`; whether int8 agrees with float32 by `self_check`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import torch  # noqa: TID253

from shared.errors import ModelUnavailable
from workers.model.backend import Backend, Piece
from workers.model.gate import must_pass

PROMPT = "<SYS>\n</SYS>\n\n<USER>: ¿Cuándo es mi cita?\n<ASSISTANT>:"
TOKENS = 8
CHECKED_PROMPTS = (PROMPT, *(f"<USER>: {line.text}\n<ASSISTANT>: Claro que sí." for line in must_pass()[:4]))
UNRELATED = "the model failed its self-test: tokenizer and weights do not belong together"


def run(backend: Backend, tokenizer: Any) -> None:
    """Let the model write a few tokens.

    Raises:
        ModelUnavailable: if the numbers are not finite or the tokens cannot be read back.
    """
    ids = tokenizer(PROMPT)["input_ids"]
    if not ids or max(ids) >= backend.vocab_size:
        raise ModelUnavailable(UNRELATED)
    written: list[int] = []
    try:
        for logits in _write(backend, ids, written):
            if not torch.isfinite(logits).all():
                raise ModelUnavailable("the model failed its self-test: it computes numbers that are not finite")
            written.append(int(logits[0].argmax()))
    except (RuntimeError, IndexError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"the model failed its self-test: {type(error).__name__}") from error
    if not tokenizer.decode(written):
        raise ModelUnavailable("the model failed its self-test: its tokens cannot be read back")


def _write(backend: Backend, ids: list[int], written: list[int]) -> Generator[torch.Tensor]:
    """The logits after the prompt, and after each token that the caller appends to `written`."""
    slot = backend.reserve(len(ids) + TOKENS)
    assert slot is not None  # nothing else runs at load
    try:
        yield backend.advance([Piece(slot, 0, ids, prompt=True)])
        while len(written) < TOKENS:
            yield backend.advance([Piece(slot, len(ids) + len(written) - 1, written[-1:])])
    finally:
        backend.release(slot)


def step_of(backend: Backend, tokenizer: Any) -> Callable[[], None]:
    """Return a function that reads the prompt and writes a token: what the number of threads is tried with."""
    ids: list[int] = tokenizer(PROMPT)["input_ids"]

    def step() -> None:
        steps = _write(backend, ids, ids[-1:])
        next(steps)
        next(steps)
        steps.close()

    return step
