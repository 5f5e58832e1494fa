"""What both engines share, in an engine whose model answers only when the test lets it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError

import pytest

from shared.errors import EngineBusy
from workers.model.batching import Job
from workers.model.engine_base import EngineBase
from workers.model.generation import Finish, Request

WAIT_S = 30


class Slow(EngineBase):
    """One request at a time; each waits for `go`."""

    context_length, vocab_size = 100, 50

    def __init__(self, max_waiting: int = 2) -> None:
        self.now = 0.0
        super().__init__(max_waiting, lambda: self.now)
        self.go, self.in_hand = threading.Semaphore(0), threading.Event()
        self._job: Job | None = None

    def _rows(self) -> int:
        return int(self._job is not None)

    def _serve(self) -> None:
        while self._waiting.wait():
            job = self._job = self._waiting.take()
            if job and self._joins(job):
                self.in_hand.set()
                assert self.go.acquire(timeout=WAIT_S)
                if self._is_unwanted(job, self.now):
                    self._refuse(job, self.now)
                else:
                    self._count_step(1)
                    self._count("finished")
                    job.future.set_result(job.generation(Finish.STOP, self.now))
            self._job = None
            self._refuse_unwanted(self.now)
        self._refuse_waiting()


@pytest.fixture
def engine() -> Iterator[Slow]:
    engine = Slow().start()
    yield engine
    engine.go.release(10)
    assert engine.close(drain=False, timeout_s=WAIT_S)


def test_what_is_taken_on_is_finished_and_counted(engine: Slow) -> None:
    engine.go.release(2)
    futures = [engine.submit(Request([1], 1)) for _ in range(2)]
    assert [future.result(WAIT_S).finish for future in futures] == [Finish.STOP] * 2
    assert engine.close()
    stats = engine.stats()
    assert (stats.requests, stats.finished, stats.steps, stats.batch_sizes) == (2, 2, 2, {1: 2})
    assert (stats.waiting, stats.running, stats.last_step_age_s, stats.alive) == (0, 0, 0.0, False)
    with pytest.raises(EngineBusy, match="closing"):
        engine.submit(Request([1], 1))


def test_the_age_of_the_last_step_grows_only_while_there_is_work(engine: Slow) -> None:
    engine.now = 100.0
    assert engine.stats().last_step_age_s == 0
    engine.submit(Request([1], 1))
    assert engine.in_hand.wait(WAIT_S)
    engine.now = 103.0
    assert engine.stats().last_step_age_s == 3


def test_a_full_queue_a_late_one_and_one_whose_caller_is_gone(engine: Slow) -> None:
    in_hand = engine.submit(Request([1], 1, deadline_s=9.0))
    assert engine.in_hand.wait(WAIT_S)
    late = engine.submit(Request([1], 1, deadline_s=5.0))
    gone = engine.submit(Request([1], 1, cancelled=lambda: True))
    with pytest.raises(EngineBusy, match="2 requests are waiting already"):
        engine.submit(Request([1], 1))
    engine.now = 6.0
    engine.go.release()
    with pytest.raises(EngineBusy, match="no answer within 5 s"):
        late.result(WAIT_S)
    with pytest.raises(CancelledError):
        gone.result(WAIT_S)
    assert in_hand.result(WAIT_S).total_ms == 6000
    stats = engine.stats()
    assert (stats.refused, stats.expired, stats.cancelled, stats.finished) == (1, 1, 1, 1)


def test_closing_in_a_hurry_answers_those_who_wait_and_drops_what_runs(engine: Slow) -> None:
    running = engine.submit(Request([1], 1))
    assert engine.in_hand.wait(WAIT_S)
    waiting = engine.submit(Request([1], 1))
    assert not engine.close(drain=False, timeout_s=0)  # the model does not give way yet
    for future in (waiting, running):
        with pytest.raises(EngineBusy, match="closing"):
            future.result(WAIT_S)
        engine.go.release()
    assert engine.close(drain=False, timeout_s=WAIT_S)
    assert engine.stats().refused == 2


def test_a_caller_that_cancels_while_it_waits_never_joins(engine: Slow) -> None:
    first = engine.submit(Request([1], 1))
    assert engine.in_hand.wait(WAIT_S)
    second = engine.submit(Request([1], 1))
    assert second.cancel()
    engine.go.release()
    first.result(WAIT_S)
    assert engine.close()
    assert (engine.stats().cancelled, engine.stats().finished) == (1, 1)
