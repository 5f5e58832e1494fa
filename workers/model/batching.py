"""Who waits for the model and who joins next: a bounded first-come queue with deadlines. Called by `engine`.

Celery's threads put jobs in, the engine's thread takes them out. Knows no model.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from concurrent.futures import Future
from contextvars import Context, copy_context
from dataclasses import dataclass, field

from shared.errors import EngineBusy
from workers.model.generation import Finish, Generation, Request


@dataclass(eq=False)
class Job:
    """A request on its way through the engine. Only the engine's thread writes to it."""

    request: Request
    future: Future[Generation] = field(default_factory=Future)
    submitted_at: float = field(default_factory=time.monotonic)
    joined_at: float = 0.0
    first_at: float = 0.0
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    first_choices: tuple[tuple[int, float], ...] = ()
    batch_size: int = 0
    counted: int = 0  # of its tokens, in the figures already
    context: Context = field(default_factory=copy_context)  # of the caller: log lines about it carry the caller's ids

    def is_late(self, now: float) -> bool:
        return now - self.submitted_at >= self.request.deadline_s

    def is_cancelled(self) -> bool:
        """True when the caller is gone: before the job joined through its future, later through `cancelled`."""
        return self.future.cancelled() or (self.request.cancelled is not None and self.request.cancelled())

    def generation(self, finish: Finish, now: float) -> Generation:
        return Generation(
            ids=tuple(self.ids),
            logprobs=tuple(self.logprobs),
            first_choices=self.first_choices,
            finish=finish,
            queue_ms=(self.joined_at - self.submitted_at) * 1000,
            first_ms=(self.first_at - self.submitted_at) * 1000,
            total_ms=(now - self.submitted_at) * 1000,
            batch_size=self.batch_size,
        )


class WaitingJobs:
    """A bounded queue, first come first served: `threading.Lock` alone would starve somebody."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._jobs: deque[Job] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._jobs)

    def put(self, job: Job) -> None:
        """Queue a job.

        Raises:
            EngineBusy: if the queue is full or closed.
        """
        with self._changed:
            if self._closed:
                raise EngineBusy("the engine is closing")
            if len(self._jobs) >= self._capacity:
                raise EngineBusy(f"{self._capacity} requests are waiting already")
            self._jobs.append(job)
            self._changed.notify()

    def take(self) -> Job | None:
        """Return the job that waits longest, or None."""
        with self._changed:
            return self._jobs.popleft() if self._jobs else None

    def put_back(self, job: Job) -> None:
        """Let a job that was taken wait on, as the first."""
        with self._changed:
            self._jobs.appendleft(job)

    def remove_unwanted(self, now: float) -> list[Job]:
        """Take out the jobs whose deadline passed or whose caller is gone, wherever they stand."""
        with self._changed:
            jobs = list(self._jobs)
        unwanted = [job for job in jobs if job.is_late(now) or job.is_cancelled()]
        if unwanted:
            with self._changed:
                self._jobs = deque(job for job in self._jobs if job not in unwanted)
        return unwanted

    def wait(self) -> bool:
        """Sleep until there is a job or the queue is closed; return False when it is closed and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            return bool(self._jobs)

    def close(self, drain: bool) -> list[Job]:
        """Refuse new jobs; without `drain` also give back those that wait."""
        with self._changed:
            self._closed = True
            left: list[Job] = []
            if not drain:
                left, self._jobs = list(self._jobs), deque()
            self._changed.notify_all()
            return left
