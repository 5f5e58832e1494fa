"""One running request: what the next pass does for it, and what its logits make of it. Called by `engine`. Pure.

A row first has its prompt read, in chunks; then it writes. What it writes next is decided by the model alone; drafts
and forced tokens only save passes.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch  # noqa: TID253

from workers.model.backend import BLOCK, Piece
from workers.model.batching import Job
from workers.model.choosing import Ask, Choice, choose
from workers.model.drafts import Drafter
from workers.model.generation import FIRST_CHOICES, Finish


class Row:
    """Used by the engine's thread only."""

    def __init__(self, job: Job, slot: int, known: int, drafter: Drafter | None) -> None:
        """`known`: tokens of the prompt that the slot holds already, a multiple of BLOCK."""
        self.job, self.slot, self.length = job, slot, known
        self.reads = True  # the prompt is not read yet
        self._todo: list[int] = list(job.request.ids[known:])  # given or chosen, and not computed yet
        self._drafter = drafter
        self._draft: list[int] = []
        self._sampler: torch.Generator | None = None
        if job.request.temperature > 0:
            self._sampler = torch.Generator().manual_seed(job.request.seed)

    def prompt_piece(self, room: int) -> Piece | None:
        """Return the next chunk of the prompt, of at most `room` tokens; None when no whole block fits."""
        count = min(len(self._todo), room)
        if count < len(self._todo):
            count -= (self.length + count) % BLOCK
        if count <= 0:
            return None
        return Piece(self.slot, self.length, self._todo[:count], int(count == len(self._todo)), prompt=True)

    def answer_piece(self, drafts: int) -> Piece:
        """Return what was chosen last, and up to `drafts` tokens that may follow."""
        left = self.job.request.max_new_tokens - len(self.job.ids) - 1
        self._draft = (
            self._drafter.draft(self.job.ids, min(drafts, left)) if self._drafter and drafts > 0 < left else []
        )
        return Piece(self.slot, self.length, [*self._todo, *self._draft], 1 + len(self._draft))

    def read(self, piece: Piece) -> None:
        """Note that a chunk of the prompt is computed."""
        self.length += len(piece.ids)
        del self._todo[: len(piece.ids)]
        self.reads = bool(self._todo)

    def wrote(self) -> int:
        """Note that what was chosen last is computed; returns the length of the draft that was."""
        self.length += len(self._todo)
        return len(self._draft)

    def ask(self) -> Ask | None:
        """Return how the next token is to be chosen, or None when nothing may follow."""
        job, request = self.job, self.job.request
        allowed = request.allowed(job.ids) if request.allowed else None
        if allowed is not None and not len(allowed):
            return None
        return Ask(allowed, request.temperature, self._sampler, 0 if job.first_at else FIRST_CHOICES)

    def extend(self, first: Choice | None, logits: torch.Tensor, now: float) -> tuple[Finish | None, int]:
        """Write what this pass decided.

        Args:
            first: the choice of the first row of `logits`, None when nothing may follow.
            logits: (1 + draft, vocab).

        Returns:
            Why the answer has ended, or None, and how many tokens of the draft were right.
        """
        finish = self._append(first, now)
        right = 0
        draft, self._draft = self._draft, []
        for guess, row in zip(draft, logits[1:], strict=True):
            if finish or self.job.ids[-1] != guess:
                break
            right += 1
            asked = self.ask()
            finish = self._append(choose(row, asked) if asked else None, now)
        self.length += right
        self._todo = self.job.ids[-1:]
        return finish, right

    def force(self) -> tuple[Finish | None, int]:
        """Write the tokens that alone may follow; returns as `extend` does, with how many there were."""
        forced = 0
        while self.job.request.allowed and (asked := self.ask()) and asked.allowed and len(asked.allowed) == 1:
            finish = self._append(Choice(asked.allowed[0], 0.0, ()), self.job.first_at)
            if finish is Finish.STOP:
                return finish, forced
            forced += 1
            self._todo.append(self.job.ids[-1])
            if finish:
                return finish, forced
        return None, forced

    def _append(self, choice: Choice | None, now: float) -> Finish | None:
        job = self.job
        if not job.first_at:
            job.first_at, job.first_choices = now, choice.best if choice else ()
        if choice is None or choice.id in job.request.stop_ids:
            return Finish.STOP
        job.ids.append(choice.id)
        job.logprobs.append(choice.logprob)
        return Finish.LENGTH if len(job.ids) >= job.request.max_new_tokens else None


def prompt_pieces(rows: Sequence[Row], room: int) -> list[tuple[Row, Piece]]:
    """Share the prompt tokens of one pass among the rows that still read, first come first served."""
    pieces = []
    for row in rows:
        piece = row.prompt_piece(room)
        if piece is None:
            break
        pieces.append((row, piece))
        room -= len(piece.ids)
    return pieces
