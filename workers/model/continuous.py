"""The engine for models that are not our GPT-2: `engine.Engine`'s interface over transformers' continuous batching.

Greedy, without masks: `trial` says where it may stand in; elsewhere `engine` serves such models in plain batches. Built
when a model is loaded, called by `reader`. Our thread holds the queue, the deadlines and the statistics, transformers'
own thread holds the model; at most `max_batch` requests are in its hands, so that a crash costs no more than those.

On a CPU it pays where prompts begin alike (their pages are shared); where they do not, plain batches cost no more.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from workers.model.batching import Job
from workers.model.engine_base import EngineBase
from workers.model.generation import Finish, Generation, Request
from workers.model.paged import CachePlan, PagedModel, plan_cache

log = logging.getLogger(__name__)

CACHE_BYTES = 512 * 2**20
TICK_S = 0.05  # deadlines are looked at so often while the model computes
STOP_S = 5.0  # for the step under way when the engine closes


class ContinuousEngine(EngineBase):
    """See the file's head.

    The model is the engine's alone from `start` to `close`. Differences to `Engine`: `first_choices` are empty; answers
    are greedy whatever temperature is asked for; a mask is refused with ValueError; deadlines pass also while the model
    hangs; `close` gives True when transformers' thread too has ended and the cache is free. Of the figures,
    `prefix_tokens` stays 0, since transformers shares pages of prompts without telling, and nothing is drafted.
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
        super().__init__(max_waiting, clock)
        rows = int(model.get_output_embeddings().weight.shape[0])
        self._plan: CachePlan = plan_cache(model, max_batch, cache_bytes)
        # The model's context, or the whole cache where that is less.
        self.context_length, self.vocab_size = self._plan.context_length, min(rows, vocab_size or rows)
        self._model = model
        self._running: dict[str, Job] = {}
        self._names = itertools.count()
        self._paged: PagedModel | None = None
        self._abandoned = False  # rows that were cancelled may still be in the model's hands
        self._step: set[str] = set()  # rows that got their token in the step that is being collected
        self._passes_seen = 0
        self._stopped = True  # transformers' thread has ended

    def submit(self, request: Request) -> Future[Generation]:
        """Queue a prompt; see `EngineBase.submit`.

        Raises:
            ValueError: also if the request asks for a mask.
        """
        if request.allowed is not None:
            raise ValueError("continuous batching knows no masks")
        return super().submit(request)

    def close(self, drain: bool = True, timeout_s: float = 30.0) -> bool:
        return super().close(drain, timeout_s) and self._stopped

    def _rows(self) -> int:
        return len(self._running)

    def _has_work(self) -> bool:
        return super()._has_work() or self._abandoned

    # From here on everything runs in the engine's own thread.

    def _serve(self) -> None:
        while (self._running or self._abandoned or self._waiting.wait()) and not self._hurry.is_set():
            try:
                self._drop_unwanted()
                self._admit()
                self._collect()
            except Exception as error:
                log.exception("continuous batching failed", extra={"rows": len(self._running)})
                self._end_paged(error)
        self._drop_unwanted()
        self._refuse_waiting()  # one that was put back while the queue was closed
        self._end_paged()

    def _drop_unwanted(self) -> None:
        now = self._clock()
        self._refuse_unwanted(now)
        for name, job in list(self._running.items()):
            if self._is_unwanted(job, now):
                self._refuse(job, now)
                self._leave(name)

    def _admit(self) -> None:
        """Let requests join, first come first served, as long as their whole answers have room in the cache."""
        if self._paged and not self._paged.is_alive:
            self._end_paged()
        while len(self._running) < self._plan.max_batch and (job := self._waiting.take()):
            taken = sum(_pages(running) for running in self._running.values())
            if taken + _pages(job) > self._plan.pages:
                self._waiting.put_back(job)
                return
            if not self._joins(job):
                continue
            name = str(next(self._names))
            self._running[name] = job
            if self._paged is None:
                self._paged, self._passes_seen, self._stopped = PagedModel(self._model, self._plan), 0, False
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
        if self._count_passes(paged) or timeout_s == 0.0:
            self._progress_at = self._clock()
        if not paged.is_alive:
            self._end_paged()
        elif not self._running:
            self._end_step()
            self._abandoned = self._abandoned and not paged.is_idle

    def _extend(self, name: str, job: Job, output: Any) -> None:
        if output.error is not None:
            job.context.run(log.error, "the model failed on a request", extra={"tokens": len(job.ids)})
            self._fail(job, RuntimeError(output.error), "failed")
            del self._running[name]
            return
        if name in self._step:
            self._end_step()
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

    def _end_step(self) -> None:
        if self._step:
            self._count_step(len(self._step))
        self._step = set()

    def _count_passes(self, paged: PagedModel) -> bool:
        """Add what was computed since the last look; False when that is nothing."""
        new = paged.passes - self._passes_seen
        self._passes_seen += new
        self._count("passes", new)
        return new > 0

    def _end_paged(self, error: Exception | None = None) -> None:
        """Give the model back and fail what still runs; the next request gets a new thread and an empty cache."""
        if self._paged:
            self._stopped = self._paged.stop(STOP_S)
            self._count_passes(self._paged)
            if self._paged.error:
                log.error("the model failed on a batch", exc_info=self._paged.error)
            error = error or self._paged.error
            self._paged = None
        for job in self._running.values():
            self._fail(job, error or RuntimeError("the model's thread has ended"), "failed")
        self._running, self._abandoned = {}, False
        self._end_step()


def _pages(job: Job) -> int:
    return CachePlan.pages_for(len(job.request.ids) + job.request.max_new_tokens)
