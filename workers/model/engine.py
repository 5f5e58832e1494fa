"""One thread owns the model; Celery's threads submit prompts and wait. Token ids in, token ids out; knows no patients.

Continuous batching: each pass over the weights advances every running answer, verifies drafts of what may follow, and
reads a chunk of the next prompt; requests join and leave between two passes. Built by `holder`, called by `reader`. The
model behind it is a `backend.Backend`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch  # noqa: TID253

from workers.model.backend import Backend, Piece
from workers.model.batching import Job
from workers.model.choosing import choose_each
from workers.model.drafts import Corpus, Drafter
from workers.model.engine_base import EngineBase
from workers.model.generation import Finish
from workers.model.prefixes import Prefixes
from workers.model.rows import Row, prompt_pieces

log = logging.getLogger(__name__)
LONGEST_DRAFT = 11  # tokens; of longer ones more is computed in vain than the saved pass costs


@dataclass(frozen=True)
class Limits:
    """How much the engine takes on; how many run at once is the backend's to say."""

    max_waiting: int = 64
    prefix_bytes: int = 64 << 20


class Engine(EngineBase):
    """See the file's head."""

    def __init__(
        self,
        backend: Backend,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        corpus: Corpus | None = None,
    ) -> None:
        """`corpus`: what drafts are made of; without one there are none."""
        limits = limits or Limits()
        super().__init__(limits.max_waiting, clock)
        self._backend = backend
        self.context_length, self.vocab_size = backend.context_length, backend.vocab_size
        self._corpus = corpus
        self._running: list[Row] = []  # in the order in which they came
        self._prefixes = Prefixes(limits.prefix_bytes if backend.token_bytes else 0, clock)

    def _rows(self) -> int:
        return len(self._running)

    def _prefix_bytes(self) -> int:
        return self._prefixes.bytes

    # From here on everything runs in the engine's own thread.

    def _serve(self) -> None:
        while self._running or self._waiting.wait():
            try:
                self._drop_unwanted()
                self._admit()
                self._pass()
            except Exception as error:  # out of memory, a broken cache: the next requests get fresh slots
                log.exception("the model failed on a batch", extra={"rows": len(self._running)})
                for row in list(self._running):
                    self._fail(row.job, error, "failed")
                    self._leave(row)
            self._progress_at = self._clock()

    def _drop_unwanted(self) -> None:
        now = self._clock()
        self._refuse_unwanted(now)
        for row in list(self._running):
            if self._is_unwanted(row.job, now):
                self._refuse(row.job, now)
                self._leave(row)

    def _admit(self) -> None:
        """Let requests join while there is room for them, until more prompt waits to be read than a pass takes."""
        reading = sum(row.reads for row in self._running)
        while len(self._running) < self._backend.most_rows and not reading and (job := self._waiting.take()):
            slot = self._backend.reserve(len(job.request.ids) + job.request.max_new_tokens)
            if slot is None:
                self._waiting.put_back(job)
                return
            if not self._joins(job):
                self._backend.release(slot)
                continue
            row = self._row(job, slot)
            self._running.append(row)
            reading += len(job.request.ids) - row.length > self._backend.chunk

    def _row(self, job: Job, slot: int) -> Row:
        ids, known = job.request.ids, 0
        if found := self._prefixes.find(ids):
            prefix, known = found
            self._backend.restore(prefix, slot, known)
            self._count("prefix_tokens", known)
        self._count("prompt_tokens", len(ids))
        return Row(job, slot, known, Drafter(self._corpus, ids) if self._corpus else None)

    def _pass(self) -> None:
        """Advance everybody that is running once."""
        answering = [row for row in self._running if not row.reads]
        drafts = (self._backend.draft_rows - len(answering)) // len(answering) if answering else 0
        drafts = min(drafts, LONGEST_DRAFT)
        work = [(row, row.answer_piece(drafts)) for row in answering]
        read = prompt_pieces([row for row in self._running if row.reads], self._backend.chunk)
        work += read
        if work:
            self._advance(work)

    def _advance(self, work: Sequence[tuple[Row, Piece]]) -> None:
        """Compute the pieces and give each row what came of it; whose piece breaks the model fails alone."""
        try:
            logits = self._backend.advance([piece for _, piece in work])
        except Exception as error:
            if len(work) == 1:
                self._break(work[0][0], error)
                return
            log.exception("the model failed on a batch", extra={"rows": len(work)})
            for item in work:
                self._advance([item])
            return
        answering = sum(not piece.prompt for _, piece in work)
        self._count("passes")
        if answering:
            self._count_step(answering)
        for row, piece in work:
            row.job.batch_size = max(row.job.batch_size, len(work))
            if piece.prompt:
                row.read(piece)
                if piece.wanted:
                    self._keep_prefix(row)
            else:
                self._count("drafted", row.wrote())
        self._extend([(row, piece) for row, piece in work if piece.wanted], logits)

    def _keep_prefix(self, row: Row) -> None:
        ids = row.job.request.ids
        if length := self._prefixes.wants(ids, self._backend.token_bytes):
            self._prefixes.keep(ids, self._backend.save(row.slot, length))

    def _extend(self, work: Sequence[tuple[Row, Piece]], logits: torch.Tensor) -> None:
        """Give each row its next tokens; those that are done leave the batch."""
        ready, place = [], 0
        for row, piece in work:
            try:
                ready.append((row, row.ask(), place, place + piece.wanted))
            except Exception as error:  # a mask that raises is this request's own fault
                self._break(row, error)
            place += piece.wanted
        asked = [(ask, begin) for _, ask, begin, _ in ready if ask]
        first_rows = logits[[begin for _, begin in asked]] if len(asked) < len(logits) else logits
        choices = iter(choose_each(first_rows, [ask for ask, _ in asked]))
        for row, ask, begin, end in ready:
            try:
                choice = next(choices) if ask else None
                if isinstance(choice, ArithmeticError):
                    raise choice
                self._take(row, *row.extend(choice, logits[begin:end], self._clock()))
            except Exception as error:  # a mask that raises, logits that are not finite
                self._break(row, error)

    def _take(self, row: Row, finish: Finish | None, accepted: int) -> None:
        forced = 0
        if not finish and self._backend.takes_several:
            finish, forced = row.force()
        job = row.job
        with self._lock:
            self._counts.update(accepted=accepted, forced=forced, tokens=len(job.ids) - job.counted)
        job.counted = len(job.ids)
        if finish:
            self._count("finished")
            job.future.set_result(job.generation(finish, self._clock()))
            self._leave(row)

    def _break(self, row: Row, error: Exception) -> None:
        row.job.context.run(log.exception, "a request failed", extra={"tokens": len(row.job.ids)})
        self._fail(row.job, error, "failed")
        self._leave(row)

    def _leave(self, row: Row) -> None:
        self._running.remove(row)
        self._backend.release(row.slot)
