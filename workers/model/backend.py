"""What the engine needs of a model: append tokens to slots, and give logits. Called by `engine`; imports no model.

A slot holds the keys and values of one sequence. One call of `advance` is one pass over the weights, whatever it is
made of: a piece of a prompt, the next token of a running answer, forced tokens, a draft to be verified. Taking tokens
back costs nothing: the next piece of the slot simply starts earlier.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch  # noqa: TID253

# Prompts are attended to in blocks that begin at multiples of this, so a prefix is worth keeping in these steps only.
BLOCK = 8


@dataclass(frozen=True)
class Piece:
    """Tokens to append to one slot in a pass.

    Attributes:
        start: tokens of the slot that stay; everything behind them is forgotten.
        ids: at least one token.
        wanted: for how many of the last tokens logits are needed; 0 inside a prompt.
        prompt: the tokens are given, not chosen: computed in blocks. Start and end must then be multiples of BLOCK,
            but for the end of the prompt itself.
    """

    slot: int
    start: int
    ids: Sequence[int]
    wanted: int = 1
    prompt: bool = False


@dataclass(frozen=True)
class Prefix:
    """Keys and values of the first tokens of a sequence, apart from any slot."""

    kept: torch.Tensor
    length: int

    @property
    def bytes(self) -> int:
        return self.kept.numel() * self.kept.element_size()


class Backend(Protocol):
    """See the file's head. Used by one thread; logits are float32 and may lie on the device."""

    context_length: int  # tokens of prompt and answer together
    vocab_size: int
    most_rows: int  # sequences at once
    chunk: int  # tokens of a prompt in one pass; a multiple of BLOCK
    draft_rows: int  # rows of a pass that cost little more than one: so many may be spent on drafts; 0: none
    token_bytes: int  # of keys and values; 0: prefixes cannot be kept
    takes_several: bool  # a piece of an answer may hold more than one token

    def reserve(self, tokens: int) -> int | None:
        """Return a slot with room for so many tokens, or None while memory for it is taken by others."""

    def release(self, slot: int) -> None:
        """Give a slot back."""

    def advance(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """Append every piece, at most one for a slot; return logits (sum of wanted, vocab), in the pieces' order.

        After an exception the slots hold what they held before each piece's `start`.
        """

    def save(self, slot: int, length: int) -> Prefix:
        """Copy the first tokens of a slot."""

    def restore(self, prefix: Prefix, slot: int, length: int) -> None:
        """Let a slot begin with the first `length` tokens of a kept prefix."""
