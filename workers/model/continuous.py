"""The engine for models that are not our GPT-2: `engine.Engine`'s interface over transformers' continuous batching.

Greedy, without masks: `trial` says where it may stand in; elsewhere `engine` serves such models in plain batches. Built
when a model is loaded, called by `reader`. Our thread holds the queue, the deadlines and the statistics, transformers'
own thread holds the model; at most `max_batch` requests are in its hands, so that a crash costs no more than those.

On a CPU it pays where prompts begin alike (their pages are shared); where they do not, plain batches cost no more.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import Any

from shared.errors import EngineBusy
from workers.model.batching import Job, WaitingJobs
from workers.model.generation import EngineStats, Finish, Generation, Request
from workers.model.paged import CachePlan, PagedModel, plan_cache

log = logging.getLogger(__name__)

CACHE_BYTES = 512 * 2**20
TICK_S = 0.05  # deadlines are looked at so often while the model computes
STOP_S = 5.0  # for the step under way when the engine closes


class ContinuousEngine:
    """See the file's head. `start()` before the first `submit`, `close()` at the end.

    The model is the engine's alone in between. Differences to `Engine`: `first_choices` are empty; requests with a mask
    or a temperature are refused with ValueError; deadlines pass also while the model hangs.
    """

    def __init__(
        self,
        model: Any,
        vocab_size: int | None = None,
        *,
        max_batch: int = 8,
        max_waiting: int = 64,
        cache_bytes: int = CACHE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Plan the cache; nothing is allocated before the first request.

        Args:
            model: a transformers model in evaluation mode.
            vocab_size: tokens that the tokenizer knows, when the model's table has more rows than that.
            cache_bytes: bound of keys, values and attention masks together.

        Raises:
            ValueError: if the cache would be too small for this model.
        """
        rows = int(model.get_output_embeddings().weight.shape[0])
        self.vocab_size = min(rows, vocab_size or rows)
        self._model = model
        self._plan: CachePlan = plan_cache(model, max_batch, cache_bytes)
        self._clock = clock
        self._waiting = WaitingJobs(max_waiting)
        self._next: Job | None = None  # first in line, waits for room in the cache
        self._running: dict[str, Job] = {}
        self._names = itertools.count()
        self._paged: PagedModel | None = None
        self._abandoned = False  # rows that were cancelled may still be in the model's hands
        self._step: set[str] = set()  # rows that got their token in the step that is being collected
        self._steps_seen = 0
        self._counts: Counter[str] = Counter()
        self._batch_sizes: Counter[int] = Counter()
        self._lock = threading.Lock()  # guards the two counters
        self._progress_at = clock()
        self._hurry = threading.Event()  # close without drain: running rows are dropped too
        self._stopped = True  # transformers' thread has ended
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)

    def start(self) -> ContinuousEngine:
        self._thread.start()
        return self

    @property
    def context_length(self) -> int:
        """Tokens that prompt and answer may have together: the model's, or the whole cache where that is less."""
        return self._plan.context_length

    def submit(self, request: Request) -> Future[Generation]:
        """Queue a prompt; see `Engine.submit`.

        Raises:
            PromptTooLong: if prompt and answer would not fit in the model's context.
            EngineBusy: if the queue is full or the engine closed.
            ValueError: if the prompt is empty, names unknown tokens, or asks for a mask or for sampling.
        """
        if request.allowed is not None or request.temperature > 0:
            raise ValueError("continuous batching is greedy and knows no masks")
        request.check(self.vocab_size, self.context_length)
        job = Job(request, submitted_at=self._clock())
        if not self._has_work():
            self._progress_at = job.submitted_at  # the age of the last step counts from when there was work
        try:
            self._waiting.put(job)
        except EngineBusy:
            self._count("refused")
            raise
        self._count("requests")
        return job.future

    def stats(self) -> EngineStats:
        """Return the figures since the start; callable from any thread, also while the model hangs.

        `steps` and `batch_sizes` count the forward passes that gave at least one token.
        """
        waiting, running = len(self._waiting) + (self._next is not None), len(self._running)
        with self._lock:
            return EngineStats(
                **self._counts,
                batch_sizes=dict(self._batch_sizes),
                waiting=waiting,
                running=running,
                last_step_age_s=self._clock() - self._progress_at if self._has_work() else 0.0,
                alive=self._thread.is_alive(),
            )

    def close(self, drain: bool = True, timeout_s: float = 30.0) -> bool:
        """Refuse new requests and end both threads.

        Args:
            drain: True finishes what waits and runs; False answers it with EngineBusy at once.
            timeout_s: how long to wait; a model that hangs is left behind (its thread is a daemon).

        Returns:
            True when both threads have ended and the cache is free.
        """
        if not drain:
            self._hurry.set()
        for job in self._waiting.close(drain):
            self._fail(job, EngineBusy("the engine is closing"), "refused")
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive() and self._stopped

    def _has_work(self) -> bool:
        return bool(self._running or self._next or self._abandoned or len(self._waiting))

    # From here on everything runs in the engine's own thread.

    def _serve(self) -> None:
        while (self._running or self._next or self._abandoned or self._waiting.wait()) and not self._is_done():
            try:
                self._drop_unwanted()
                self._admit()
                self._collect()
            except Exception as error:
                log.exception("continuous batching failed", extra={"rows": len(self._running)})
                self._end_paged(error)
        self._drop_unwanted()
        self._end_paged()

    def _is_done(self) -> bool:
        return self._hurry.is_set() and self._waiting.is_closed

    def _drop_unwanted(self) -> None:
        now = self._clock()
        for job in self._waiting.remove_unwanted(now):
            self._refuse(job, now)
        if self._next and self._is_unwanted(self._next, now):
            self._refuse(self._next, now)
            self._next = None
        for name, job in list(self._running.items()):
            if self._is_unwanted(job, now):
                self._refuse(job, now)
                self._leave(name)

    def _is_unwanted(self, job: Job, now: float) -> bool:
        return self._hurry.is_set() or job.is_late(now) or job.is_cancelled()

    def _refuse(self, job: Job, now: float) -> None:
        if job.is_cancelled():
            job.future.cancel()
            self._fail(job, CancelledError(), "cancelled")
        elif job.is_late(now):
            self._fail(job, EngineBusy(f"no answer within {job.request.deadline_s:g} s"), "expired")
        else:
            self._fail(job, EngineBusy("the engine is closing"), "refused")

    def _admit(self) -> None:
        """Let requests join, first come first served, as long as their whole answers have room in the cache."""
        if self._paged and not self._paged.is_alive:
            self._end_paged()
        while len(self._running) < self._plan.max_batch and (job := self._next or self._waiting.take()):
            taken = sum(_pages(running) for running in self._running.values())
            if taken + _pages(job) > self._plan.pages:
                self._next = job
                return
            self._next = None
            if not job.future.set_running_or_notify_cancel():
                self._count("cancelled")
                continue
            job.joined_at = self._clock()
            name = str(next(self._names))
            self._running[name] = job
            if self._paged is None:
                self._paged, self._steps_seen, self._stopped = PagedModel(self._model, self._plan), 0, False
            self._paged.add(name, job.request.ids, job.request.max_new_tokens, job.request.stop_ids)
            self._count("prompt_tokens", len(job.request.ids))

    def _collect(self) -> None:
        """Wait a moment for tokens and give out those that are there."""
        paged, timeout_s = self._paged, TICK_S
        if paged is None:
            return
        while (output := paged.next_output(timeout_s)) is not None:
            timeout_s = 0.0
            if job := self._running.get(output.request_id):
                self._extend(output.request_id, job, output)
        if timeout_s == 0.0 or paged.steps != self._steps_seen:
            self._steps_seen, self._progress_at = paged.steps, self._clock()
        if not paged.is_alive:
            self._end_paged()
        elif not self._running:
            self._count_step()
            self._abandoned = self._abandoned and not paged.is_idle

    def _extend(self, name: str, job: Job, output: Any) -> None:
        if output.error is not None:
            job.context.run(log.error, "the model failed on a request", extra={"tokens": len(job.ids)})
            self._fail(job, RuntimeError(output.error), "failed")
            del self._running[name]
            return
        if name in self._step:
            self._count_step()
        self._step.add(name)
        ids, logprobs = output.generated_tokens, output.logprobs
        job.first_at = job.first_at or self._clock()
        job.batch_size = max(job.batch_size, sum(1 for row in self._running.values() if row.first_at))
        if not logprobs[-1] > float("-inf"):  # false for nan too
            # All rows share one attention over one table, so it may be anywhere: in a kept prefix it would stay.
            raise ArithmeticError("the model's logits are not finite")
        if ids[-1] >= self.vocab_size:
            self._fail(job, ArithmeticError("the model chose a token that its tokenizer does not have"), "failed")
            self._leave(name)
            return
        stops = ids[-1] in job.request.stop_ids
        written = len(ids) - stops
        self._count("tokens", written - len(job.ids))
        job.ids, job.logprobs = ids[:written], logprobs[:written]
        if output.is_finished():
            del self._running[name]
            self._count("finished")
            job.future.set_result(job.generation(Finish.STOP if stops else Finish.LENGTH, self._clock()))

    def _leave(self, name: str) -> None:
        del self._running[name]
        if self._paged:
            self._abandoned = True
            self._paged.cancel(name)

    def _count_step(self) -> None:
        if self._step:
            with self._lock:
                self._counts["steps"] += 1
                self._batch_sizes[len(self._step)] += 1
        self._step = set()

    def _end_paged(self, error: Exception | None = None) -> None:
        """Give the model back and fail what still runs; the next request gets a new thread and an empty cache."""
        if self._paged:
            self._stopped = self._paged.stop(STOP_S)
            if self._paged.error:
                log.error("the model failed on a batch", exc_info=self._paged.error)
            error = error or self._paged.error
            self._paged = None
        for job in self._running.values():
            self._fail(job, error or RuntimeError("the model's thread has ended"), "failed")
        self._running, self._abandoned = {}, False
        self._count_step()

    def _fail(self, job: Job, error: BaseException, counted: str) -> None:
        self._count(counted)
        with suppress(InvalidStateError):  # the caller cancelled it in this very moment
            job.future.set_exception(error)

    def _count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name] += by


def _pages(job: Job) -> int:
    return CachePlan.pages_for(len(job.request.ids) + job.request.max_new_tokens)
