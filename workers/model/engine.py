"""One thread owns the model; Celery's threads submit prompts and wait. Token ids in, token ids out; knows no patients.

Continuous batching: between two steps of the running batch one waiting request may join, and whoever is done leaves at
once. Built by `holder`, called by `reader`. The model behind it is a `forward.Forward`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass

import torch  # noqa: TID253

from shared.errors import EngineBusy, PromptTooLong
from workers.model.batching import Job, WaitingJobs
from workers.model.choosing import choose
from workers.model.forward import Forward
from workers.model.generation import FIRST_CHOICES, EngineStats, Finish, Generation, Request

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How much the engine takes on. Eight rows cost a CPU about what one costs; more only lengthen each step."""

    max_batch: int = 8
    max_waiting: int = 64


class Engine:
    """See the file's head. `start()` before the first `submit`, `close()` at the end."""

    def __init__(
        self, forward: Forward, limits: Limits | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._forward = forward
        self._limits = limits or Limits()
        self._clock = clock
        self._waiting = WaitingJobs(self._limits.max_waiting)
        self._running: list[Job] = []  # in the order of the model's rows
        self._samplers: dict[Job, torch.Generator] = {}
        self._counts: Counter[str] = Counter()
        self._batch_sizes: Counter[int] = Counter()
        self._lock = threading.Lock()  # guards the two counters
        self._progress_at = clock()
        self._hurry = threading.Event()  # close without drain: running rows are dropped too
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)

    def start(self) -> Engine:
        self._thread.start()
        return self

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may have together."""
        return self._forward.context_length

    def submit(self, request: Request) -> Future[Generation]:
        """Queue a prompt; callable from any thread, returns at once.

        The future ends with a Generation, or with EngineBusy (deadline passed, or closed in between),
        `concurrent.futures.CancelledError`, or whatever the model or the mask raised. A partial answer is discarded.

        Raises:
            PromptTooLong: if prompt and answer would not fit in the model's context.
            EngineBusy: if the queue is full or the engine closed.
            ValueError: if the prompt is empty or names tokens that the model does not have.
        """
        if not request.ids or request.max_new_tokens < 1:
            raise ValueError("a request needs at least one token of prompt and one of answer")
        if min(request.ids) < 0 or max(request.ids) >= self._forward.vocab_size:
            raise ValueError("the prompt holds a token that the model does not have")
        if len(request.ids) + request.max_new_tokens > self.context_length:
            wanted = f"{len(request.ids)} tokens and {request.max_new_tokens} of answer"
            raise PromptTooLong(f"{wanted} do not fit in {self.context_length}")
        job = Job(request, submitted_at=self._clock())
        if not self._running and not len(self._waiting):
            self._progress_at = job.submitted_at  # the age of the last step counts from when there was work
        try:
            self._waiting.put(job)
        except EngineBusy:
            self._count("refused")
            raise
        self._count("requests")
        return job.future

    def stats(self) -> EngineStats:
        """Return the figures since the start; callable from any thread, also while the model hangs."""
        waiting, running = len(self._waiting), len(self._running)
        with self._lock:
            return EngineStats(
                **self._counts,
                batch_sizes=dict(self._batch_sizes),
                waiting=waiting,
                running=running,
                last_step_age_s=self._clock() - self._progress_at if waiting or running else 0.0,
                alive=self._thread.is_alive(),
            )

    def close(self, drain: bool = True, timeout_s: float = 30.0) -> bool:
        """Refuse new requests and end the thread.

        Args:
            drain: True finishes what waits and runs; False answers it with EngineBusy at once.
            timeout_s: how long to wait for the thread; one that hangs is left behind (it is a daemon).

        Returns:
            True when the thread has ended.
        """
        if not drain:
            self._hurry.set()
        for job in self._waiting.close(drain):
            self._fail(job, EngineBusy("the engine is closing"), "refused")
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    # From here on everything runs in the engine's own thread.

    def _serve(self) -> None:
        while self._running or self._waiting.wait():
            try:
                self._drop_unwanted()
                self._admit_one()
                self._step()
            except Exception as error:  # out of memory, a broken cache: the next requests get a fresh batch
                log.exception("the model failed on a batch", extra={"rows": len(self._running)})
                self._abandon_batch(error)
            self._progress_at = self._clock()

    def _drop_unwanted(self) -> None:
        now = self._clock()
        for job in self._waiting.remove_unwanted(now):
            self._refuse(job, now)
        dropped = [job for job in self._running if self._hurry.is_set() or job.is_late(now) or job.is_cancelled()]
        for job in dropped:
            self._refuse(job, now)
        self._leave(dropped)

    def _refuse(self, job: Job, now: float) -> None:
        if job.is_cancelled():
            job.future.cancel()
            self._fail(job, CancelledError(), "cancelled")
        elif job.is_late(now):
            self._fail(job, EngineBusy(f"no answer within {job.request.deadline_s:g} s"), "expired")
        else:
            self._fail(job, EngineBusy("the engine is closing"), "refused")

    def _admit_one(self) -> None:
        """Let one request join: a long prompt then holds up the running rows once, not many times in a row."""
        if len(self._running) >= self._limits.max_batch or not (job := self._waiting.take()):
            return
        if not job.future.set_running_or_notify_cancel():
            self._count("cancelled")
            return
        job.joined_at = self._clock()
        try:
            logits = self._forward.prefill(job.request.ids)
        except Exception as error:
            extra = {"prompt_tokens": len(job.request.ids)}
            job.context.run(log.exception, "the model failed on a prompt", extra=extra)
            self._fail(job, error, "failed")
            return
        self._count("prompt_tokens", len(job.request.ids))
        self._running.append(job)
        if job.request.temperature > 0:
            self._samplers[job] = torch.Generator().manual_seed(job.request.seed)
        job.batch_size = len(self._running)
        self._extend([job], logits)

    def _step(self) -> None:
        if not self._running:
            return
        rows = len(self._running)
        logits = self._forward.step([job.ids[-1] for job in self._running])
        with self._lock:
            self._counts["steps"] += 1
            self._batch_sizes[rows] += 1
        for job in self._running:
            job.batch_size = max(job.batch_size, rows)
        self._extend(list(self._running), logits)

    def _abandon_batch(self, error: Exception) -> None:
        for job in self._running:
            self._fail(job, error, "failed")
        self._leave(list(self._running))

    def _extend(self, jobs: Sequence[Job], logits: torch.Tensor) -> None:
        """Give each job its next token, logits[row] being job's; those that are done leave the batch."""
        done = []
        for job, row in zip(jobs, logits, strict=True):
            try:
                finish = self._append(job, row)
            except Exception as error:  # a mask that raises, logits that are not finite: this request's own fault
                job.context.run(log.exception, "a request failed", extra={"tokens": len(job.ids)})
                self._fail(job, error, "failed")
                done.append(job)
                continue
            if finish:
                self._count("finished")
                job.future.set_result(job.generation(finish, self._clock()))
                done.append(job)
        self._leave(done)

    def _append(self, job: Job, logits: torch.Tensor) -> Finish | None:
        request = job.request
        allowed = request.allowed(job.ids) if request.allowed else None
        if allowed is not None and not len(allowed):
            job.first_at = job.first_at or self._clock()
            return Finish.STOP
        wanted = 0 if job.first_at else FIRST_CHOICES
        choice = choose(logits, allowed, request.temperature, self._samplers.get(job), wanted)
        if not job.first_at:
            job.first_at, job.first_choices = self._clock(), choice.best
        if choice.id in request.stop_ids:
            return Finish.STOP
        job.ids.append(choice.id)
        job.logprobs.append(choice.logprob)
        self._count("tokens")
        return Finish.LENGTH if len(job.ids) >= request.max_new_tokens else None

    def _leave(self, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        rows = [row for row, job in enumerate(self._running) if job not in jobs]
        self._running = [self._running[row] for row in rows]
        for job in jobs:
            self._samplers.pop(job, None)
        self._forward.keep(rows)

    def _fail(self, job: Job, error: BaseException, counted: str) -> None:
        self._count(counted)
        with suppress(InvalidStateError):  # the caller cancelled it in this very moment
            job.future.set_exception(error)

    def _count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name] += by
