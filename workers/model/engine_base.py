"""What both engines share: the queue's door, deadlines, figures, and one thread that ends as it is told. No model.

`engine.Engine` and `continuous.ContinuousEngine` say in `_serve` what is done with the jobs that wait.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, InvalidStateError
from contextlib import suppress
from typing import Self

from shared.errors import EngineBusy
from workers.model.batching import Job, WaitingJobs
from workers.model.generation import EngineStats, Generation, Request


class EngineBase(ABC):
    """`start()` before the first `submit`, `close()` at the end."""

    context_length: int  # tokens that prompt and answer may have together
    vocab_size: int

    def __init__(self, max_waiting: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._waiting = WaitingJobs(max_waiting)
        self._counts: Counter[str] = Counter()
        self._batch_sizes: Counter[int] = Counter()
        self._lock = threading.Lock()  # guards the two counters
        self._progress_at = clock()
        self._hurry = threading.Event()  # close without drain: running rows are dropped too
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def submit(self, request: Request) -> Future[Generation]:
        """Queue a prompt; callable from any thread, returns at once.

        The future ends with a Generation, or with EngineBusy (deadline passed, or closed in between),
        `concurrent.futures.CancelledError`, or whatever the model or the mask raised. A partial answer is discarded.

        Raises:
            PromptTooLong: if prompt and answer would not fit in the model's context.
            EngineBusy: if the queue is full or the engine closed.
            ValueError: if the prompt is empty or names tokens that the model does not have.
        """
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
        """Return the figures since the start; callable from any thread, also while the model hangs."""
        with self._lock:
            return EngineStats(
                **self._counts,
                batch_sizes=dict(self._batch_sizes),
                waiting=len(self._waiting),
                running=self._rows(),
                prefix_bytes=self._prefix_bytes(),
                last_step_age_s=self._clock() - self._progress_at if self._has_work() else 0.0,
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
        self._refuse_waiting(drain)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    @abstractmethod
    def _serve(self) -> None:
        """The thread: until the queue is closed and all that it took on is done."""

    @abstractmethod
    def _rows(self) -> int:
        """How many requests are in hand; asked by any thread."""

    def _has_work(self) -> bool:
        return bool(self._rows() or len(self._waiting))

    def _prefix_bytes(self) -> int:
        return 0

    def _is_unwanted(self, job: Job, now: float) -> bool:
        return self._hurry.is_set() or job.is_late(now) or job.is_cancelled()

    def _refuse_unwanted(self, now: float) -> None:
        """Answer those that wait and whose deadline passed or whose caller is gone."""
        for job in self._waiting.remove_unwanted(now):
            self._refuse(job, now)

    def _refuse_waiting(self, drain: bool = False) -> None:
        """Close the queue; without `drain` answer those that wait."""
        for job in self._waiting.close(drain):
            self._fail(job, EngineBusy("the engine is closing"), "refused")

    def _refuse(self, job: Job, now: float) -> None:
        """Answer a job that is unwanted."""
        if job.is_cancelled():
            job.future.cancel()
            self._fail(job, CancelledError(), "cancelled")
        elif job.is_late(now):
            self._fail(job, EngineBusy(f"no answer within {job.request.deadline_s:g} s"), "expired")
        else:
            self._fail(job, EngineBusy("the engine is closing"), "refused")

    def _fail(self, job: Job, error: BaseException, counted: str) -> None:
        self._count(counted)
        with suppress(InvalidStateError):  # the caller cancelled it in this very moment
            job.future.set_exception(error)

    def _joins(self, job: Job) -> bool:
        """Note that a job leaves the queue for the model; False when its caller is gone already."""
        if not job.future.set_running_or_notify_cancel():
            self._count("cancelled")
            return False
        job.joined_at = self._clock()
        return True

    def _count(self, name: str, by: int = 1) -> None:
        with self._lock:
            self._counts[name] += by

    def _count_step(self, answers: int) -> None:
        """Note a pass in which so many answers were written."""
        with self._lock:
            self._counts["steps"] += 1
            self._batch_sizes[answers] += 1
