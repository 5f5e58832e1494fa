"""The engine, with a real tiny model (equality) and with a scripted one that is held and broken (everything else)."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest
import torch  # noqa: TID253

from shared.errors import EngineBusy, PromptTooLong
from shared.logs import JsonFormatter, bind
from tests.workers.model.conftest import own_gpt2
from workers.model.backend import Backend, Piece, Prefix
from workers.model.drafts import Corpus
from workers.model.engine import Engine, Limits
from workers.model.generation import Finish, Request
from workers.model.plain_batches import PlainBatches

WAIT_S = 20


class Counting:
    """Writes the token after the last one, for ever. `gate` holds each step back; `breaks` says when it fails."""

    context_length = 64
    vocab_size = 50
    draft_rows = 0
    takes_several = True
    token_bytes = 0
    chunk = 64

    def __init__(self, most_rows: int = 4) -> None:
        self.most_rows = most_rows
        self.slots: set[int] = set()
        self.passes: list[list[Piece]] = []
        self.restored: list[int] = []
        self.gate = threading.Event()
        self.gate.set()
        self.stepping = threading.Event()  # set while a step is under way
        self.breaks: Callable[[str], bool] = lambda where: False

    def reserve(self, tokens: int) -> int | None:
        slot = min(set(range(99)) - self.slots)
        self.slots.add(slot)
        return slot

    def release(self, slot: int) -> None:
        self.slots.remove(slot)

    def advance(self, pieces: Sequence[Piece]) -> torch.Tensor:
        self.passes.append(list(pieces))
        if any(piece.prompt for piece in pieces) and self.breaks("prefill"):
            raise RuntimeError("broken prefill")
        if any(not piece.prompt for piece in pieces):
            self.stepping.set()
            assert self.gate.wait(WAIT_S)
            if self.breaks("step"):
                raise RuntimeError("broken step")
        return self._after([token for piece in pieces for token in piece.ids[len(piece.ids) - piece.wanted :]])

    def save(self, slot: int, length: int) -> Prefix:
        return Prefix(torch.zeros(length), length)

    def restore(self, prefix: Prefix, slot: int, length: int) -> None:
        self.restored.append(length)

    def _after(self, ids: Sequence[int]) -> torch.Tensor:
        logits = torch.zeros(len(ids), self.vocab_size)
        for row, last in enumerate(ids):
            logits[row, (last + 1) % self.vocab_size] = 5.0
        return logits


@pytest.fixture
def counting() -> Counting:
    return Counting()


@pytest.fixture
def engine(counting: Counting) -> Iterator[Engine]:
    engine = Engine(counting, Limits(max_waiting=3)).start()
    yield engine
    counting.gate.set()
    assert engine.close(drain=False, timeout_s=WAIT_S)


def plain_batches(model: Any, vocab: int) -> Backend:
    return PlainBatches(model, vocab, most_rows=5)


def our_gpt2(model: Any, vocab: int) -> Backend:
    return own_gpt2(model, vocab, "fp32", most_rows=5)


@pytest.fixture(scope="module", params=[plain_batches, our_gpt2])
def real(model: Any, tokenizer: Any, request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine = Engine(request.param(model, len(tokenizer)), Limits(max_waiting=100)).start()
    yield engine
    assert engine.close()


def ask(ids: Sequence[int] = (1,), max_new_tokens: int = 3, **others: Any) -> Request:
    return Request(list(ids), max_new_tokens, **others)


def prompts_of(tokenizer: Any) -> list[list[int]]:
    texts = ["Hola", "¿Cuándo es mi cita, doctora?", "q", "me duele " * 7, "<USER>: ya\n<ASSISTANT>:", "sí " * 20, "no"]
    return [tokenizer(text)["input_ids"] for text in texts]


def test_a_crowd_gets_the_answers_that_transformers_gives_one_by_one(real: Engine, model: Any, tokenizer: Any) -> None:
    prompts = prompts_of(tokenizer)
    futures = [real.submit(Request(ids, 8 + 5 * i)) for i, ids in enumerate(prompts)]
    together = [future.result(WAIT_S) for future in futures]
    for i, (ids, answer) in enumerate(zip(prompts, together, strict=True)):
        tokens = torch.tensor([ids])
        oracle = model.generate(
            tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=8 + 5 * i,
            do_sample=False,
            eos_token_id=None,
            pad_token_id=0,
        )
        assert list(answer.ids) == oracle[0, len(ids) :].tolist()
    assert max(answer.batch_size for answer in together) == 5


def test_batch_equals_single_with_masks_stops_and_confidence(real: Engine, tokenizer: Any) -> None:
    even = list(range(0, len(tokenizer), 2))
    requests = [
        Request(ids, 12, stop_ids=frozenset({40}), allowed=(lambda done: even if len(done) % 2 else None))
        for ids in prompts_of(tokenizer)
    ]
    together = [future.result(WAIT_S) for future in [real.submit(request) for request in requests]]
    for request, answer in zip(requests, together, strict=True):
        alone = real.submit(request).result(WAIT_S)
        assert alone.batch_size == 1
        assert answer.ids == alone.ids
        assert dict(answer.first_choices) == pytest.approx(dict(alone.first_choices), abs=1e-4)
        assert answer.logprobs == pytest.approx(alone.logprobs, abs=1e-4)


def test_logprobs_are_those_of_the_masked_distribution(engine: Engine, counting: Counting) -> None:
    answer = engine.submit(ask([7], 1, allowed=lambda done: [8, 20, 30])).result(WAIT_S)
    expected = torch.log_softmax(torch.tensor([5.0, 0.0, 0.0]), 0).tolist()
    assert answer.ids == (8,)
    assert answer.logprobs == pytest.approx(expected[:1])
    assert dict(answer.first_choices) == pytest.approx(dict(zip([8, 20, 30], expected, strict=True)))
    assert answer.first_choices[0][0] == 8


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it(engine: Engine) -> None:
    answer = engine.submit(ask([1], 30, stop_ids=frozenset({5}))).result(WAIT_S)
    assert (answer.ids, answer.finish) == ((2, 3, 4), Finish.STOP)
    assert len(answer.logprobs) == 3


def test_an_answer_ends_at_its_length_or_when_nothing_may_follow(engine: Engine) -> None:
    assert engine.submit(ask([1], 3)).result(WAIT_S).finish is Finish.LENGTH
    closed = engine.submit(ask([1], 9, allowed=lambda done: [] if len(done) == 2 else None)).result(WAIT_S)
    assert (closed.ids, closed.finish) == ((2, 3), Finish.STOP)


def test_who_is_done_leaves_while_the_others_go_on(engine: Engine, counting: Counting) -> None:
    counting.gate.clear()
    long = engine.submit(ask([1], 40))
    short = engine.submit(ask([30], 2))
    counting.gate.set()
    assert short.result(WAIT_S).ids == (31, 32)
    assert long.result(WAIT_S).ids == tuple(range(2, 42))
    sizes = engine.stats().batch_sizes
    assert sizes[2] >= 1
    assert sizes[1] >= 30


def test_a_full_queue_refuses_at_once(engine: Engine, counting: Counting) -> None:
    counting.gate.clear()
    running = engine.submit(ask([1], 5))
    assert counting.stepping.wait(WAIT_S)
    waiting = [engine.submit(ask()) for _ in range(3)]
    with pytest.raises(EngineBusy, match="waiting"):
        engine.submit(ask())
    assert engine.stats().refused == 1
    assert engine.stats().waiting == 3
    counting.gate.set()
    assert [len(future.result(WAIT_S).ids) for future in [running, *waiting]] == [5, 3, 3, 3]


def test_a_deadline_passes_waiting_or_running() -> None:
    now = 100.0
    counting = Counting(most_rows=1)
    engine = Engine(counting, clock=lambda: now).start()
    counting.gate.clear()
    running = engine.submit(ask([1], 60, deadline_s=10))
    assert counting.stepping.wait(WAIT_S)
    late, patient = engine.submit(ask(deadline_s=5)), engine.submit(ask(deadline_s=50))
    now = 120.0
    counting.gate.set()
    for future in (running, late):
        with pytest.raises(EngineBusy, match="no answer within"):
            future.result(WAIT_S)
    assert patient.result(WAIT_S).queue_ms == pytest.approx(20_000)
    assert engine.stats().expired == 2
    assert engine.close()


def test_a_cancelled_request_frees_its_row(engine: Engine, counting: Counting) -> None:
    gone = threading.Event()
    counting.gate.clear()
    future = engine.submit(ask([1], 60, cancelled=gone.is_set))
    assert counting.stepping.wait(WAIT_S)
    withdrawn = engine.submit(ask())
    assert withdrawn.cancel()
    gone.set()
    counting.gate.set()
    with pytest.raises(CancelledError):
        future.result(WAIT_S)
    assert engine.submit(ask()).result(WAIT_S).batch_size == 1
    assert engine.stats().cancelled == 2


def test_a_crash_of_a_batch_fails_only_those_in_it(engine: Engine, counting: Counting) -> None:
    counting.gate.clear()
    counting.breaks = lambda where: where == "step"
    doomed = engine.submit(ask([1], 9))
    assert counting.stepping.wait(WAIT_S)
    counting.gate.set()
    with pytest.raises(RuntimeError, match="broken step"):
        doomed.result(WAIT_S)
    counting.breaks = lambda where: False
    assert engine.submit(ask()).result(WAIT_S).ids == (2, 3, 4)
    assert engine.stats().failed == 1
    assert engine.stats().alive


def test_a_crash_on_a_prompt_spares_those_who_run(engine: Engine, counting: Counting) -> None:
    counting.gate.clear()
    running = engine.submit(ask([1], 20))
    assert counting.stepping.wait(WAIT_S)
    counting.breaks = lambda where: where == "prefill"
    doomed = engine.submit(ask())
    counting.gate.set()
    with pytest.raises(RuntimeError, match="broken prefill"):
        doomed.result(WAIT_S)
    assert len(running.result(WAIT_S).ids) == 20


def test_what_the_engine_logs_of_a_request_carries_the_ids_of_its_caller(
    engine: Engine, counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    counting.breaks = lambda where: where == "prefill"
    with bind(message="m_1"):
        doomed = engine.submit(ask())
    with pytest.raises(RuntimeError):
        doomed.result(WAIT_S)
    assert [json.loads(line)["message"] for line in caplog.text.splitlines()] == ["m_1"]


def test_a_mask_that_raises_fails_its_own_request_only(engine: Engine, counting: Counting) -> None:
    def broken(done: list[int]) -> list[int]:
        raise KeyError("broken mask")

    counting.gate.clear()
    running = engine.submit(ask([1], 20))
    assert counting.stepping.wait(WAIT_S)
    doomed = engine.submit(ask(allowed=broken))
    counting.gate.set()
    with pytest.raises(KeyError):
        doomed.result(WAIT_S)
    assert len(running.result(WAIT_S).ids) == 20


def test_numbers_that_are_not_finite_are_an_error_not_an_answer(counting: Counting, engine: Engine) -> None:
    counting._after = lambda ids: torch.full((len(ids), 50), float("nan"))  # type: ignore[method-assign]
    with pytest.raises(ArithmeticError):
        engine.submit(ask()).result(WAIT_S)


def test_a_wedged_model_shows_in_the_age_of_the_last_step() -> None:
    now = 100.0
    counting = Counting()
    engine = Engine(counting, clock=lambda: now).start()
    assert engine.stats().last_step_age_s == 0
    counting.gate.clear()
    now = 1000.0  # idle time does not count
    future = engine.submit(ask())
    assert counting.stepping.wait(WAIT_S)
    now = 1030.0
    assert engine.stats().last_step_age_s == pytest.approx(30)
    counting.gate.set()
    future.result(WAIT_S)
    assert engine.close()
    assert engine.stats().last_step_age_s == 0


def test_closing_with_drain_finishes_what_was_accepted() -> None:
    counting = Counting(most_rows=2)
    engine = Engine(counting, Limits(max_waiting=9)).start()
    counting.gate.clear()
    futures = [engine.submit(ask([1], 9)) for _ in range(5)]
    counting.gate.set()
    assert engine.close(drain=True, timeout_s=WAIT_S)
    assert [len(future.result(0).ids) for future in futures] == [9] * 5
    with pytest.raises(EngineBusy, match="closing"):
        engine.submit(ask())


def test_closing_without_drain_answers_everybody_at_once() -> None:
    counting = Counting(most_rows=2)
    engine = Engine(counting, Limits(max_waiting=9)).start()
    counting.gate.clear()
    futures = [engine.submit(ask([1], 60)) for _ in range(4)]
    assert counting.stepping.wait(WAIT_S)
    assert not engine.close(drain=False, timeout_s=0)
    counting.gate.set()
    assert engine.close(drain=False, timeout_s=WAIT_S)
    for future in futures:
        with pytest.raises(EngineBusy, match="closing"):
            future.result(0)


def test_what_does_not_fit_the_context_is_refused(engine: Engine) -> None:
    assert engine.submit(ask([1] * 60, 4)).result(WAIT_S).finish is Finish.LENGTH
    with pytest.raises(PromptTooLong, match="64"):
        engine.submit(ask([1] * 60, 5))


@pytest.mark.parametrize("ids", [[], [50], [-1]])
def test_a_prompt_the_model_cannot_read_is_refused(engine: Engine, ids: list[int]) -> None:
    with pytest.raises(ValueError):
        engine.submit(ask(ids))


def test_sampling_follows_its_seed_whoever_shares_the_batch(real: Engine, tokenizer: Any) -> None:
    prompts = prompts_of(tokenizer)
    request = Request(prompts[0], 20, temperature=5.0, seed=3)
    alone = real.submit(request).result(WAIT_S)
    crowd = [real.submit(Request(ids, 20, temperature=5.0, seed=i)) for i, ids in enumerate(prompts)]
    again = real.submit(request)
    assert again.result(WAIT_S).ids == alone.ids
    assert crowd[0].result(WAIT_S).ids != alone.ids
    for future in crowd:
        future.result(WAIT_S)


def test_a_masked_step_is_greedy_at_any_temperature(engine: Engine) -> None:
    answers = [engine.submit(ask([7], 1, allowed=lambda done: [8, 9], temperature=50.0, seed=s)) for s in range(3)]
    assert [future.result(WAIT_S).ids for future in answers] == [(8,)] * 3


def test_the_figures_add_up(engine: Engine) -> None:
    for future in [engine.submit(ask([1, 2], 3)) for _ in range(3)]:
        answer = future.result(WAIT_S)
        assert 0 <= answer.queue_ms <= answer.first_ms <= answer.total_ms
    assert engine.close()
    stats = engine.stats()
    assert (stats.requests, stats.finished, stats.tokens, stats.prompt_tokens) == (3, 3, 9, 6)
    assert sum(rows * steps for rows, steps in stats.batch_sizes.items()) == 6  # the first token comes with the prompt
    assert sum(stats.batch_sizes.values()) == stats.steps


def test_what_the_grammar_leaves_no_choice_about_costs_no_pass(engine: Engine, counting: Counting) -> None:
    path = [2, 3, 4, 9, 9, 5]

    def allowed(done: list[int]) -> list[int] | None:
        return [path[len(done)]] if len(done) in (1, 2, 3) else None

    answer = engine.submit(ask([1], 6, allowed=allowed)).result(WAIT_S)
    assert answer.ids == (2, 3, 4, 9, 10, 11)
    assert answer.logprobs[1:4] == (0.0, 0.0, 0.0)
    assert [[*piece.ids] for (piece,) in counting.passes] == [[1], [2, 3, 4, 9], [10]]
    assert engine.stats().forced == 3


def test_a_grammar_over_plain_batches_is_served_token_by_token(model: Any, tokenizer: Any) -> None:
    only = [70, 71, 72, 73]
    request = Request(prompts_of(tokenizer)[1], 8, allowed=lambda done: [only[len(done)]] if len(done) < 4 else None)
    answers = []
    for make in (plain_batches, our_gpt2):
        engine = Engine(make(model, len(tokenizer))).start()
        crowd = [engine.submit(Request(ids, 9)) for ids in prompts_of(tokenizer)[:3]]
        answers.append(engine.submit(request).result(WAIT_S).ids)
        for future in crowd:
            future.result(WAIT_S)
        assert engine.stats().failed == 0
        assert engine.close()
    assert answers[0] == answers[1]


@pytest.mark.parametrize("right", [0.0, 0.5, 1.0])
def test_drafts_change_the_number_of_passes_and_nothing_else(model: Any, tokenizer: Any, right: float) -> None:
    """Drafts made of the true answer with faults in it, in a crowd."""
    prompts = prompts_of(tokenizer)
    plain = Engine(own_gpt2(model, len(tokenizer), "int8")).start()
    wanted = [plain.submit(Request(ids, 30)).result(WAIT_S) for ids in prompts]
    passes = plain.stats().passes
    assert plain.close()
    dice = random.Random(1)
    told = [[token if dice.random() < right else 40 for token in answer.ids] for answer in wanted]
    corpus = Corpus(([*ids], 1) for ids in told)
    engine = Engine(own_gpt2(model, len(tokenizer), "int8"), corpus=corpus).start()
    alone = [engine.submit(Request(ids, 30)).result(WAIT_S) for ids in prompts]
    together = [future.result(WAIT_S) for future in [engine.submit(Request(ids, 30)) for ids in prompts]]
    for answers in (alone, together):
        assert [answer.ids for answer in answers] == [answer.ids for answer in wanted]
        assert [answer.logprobs for answer in answers] == [answer.logprobs for answer in wanted]
    stats = engine.stats()
    assert engine.close()
    assert stats.tokens == 2 * sum(len(answer.ids) for answer in wanted)
    if right == 1.0:
        assert stats.accepted > stats.tokens / 3  # a crowd of seven leaves no room for drafts
        assert stats.passes < passes


def test_a_prompt_is_read_in_chunks_beside_running_answers(counting: Counting) -> None:
    counting.chunk = 16
    engine = Engine(counting).start()
    counting.gate.clear()
    running = engine.submit(ask([1], 20))
    assert counting.stepping.wait(WAIT_S)
    long = engine.submit(ask([7] * 39, 2))
    counting.gate.set()
    assert (len(running.result(WAIT_S).ids), long.result(WAIT_S).ids) == (20, (8, 9))
    chunks = [len(piece.ids) for pieces in counting.passes for piece in pieces if piece.prompt]
    assert chunks == [1, 16, 16, 7]
    assert all(len(pieces) == 2 for pieces in counting.passes[2:5])
    assert engine.close()


def test_a_prefix_is_kept_and_restored(counting: Counting) -> None:
    counting.token_bytes = 4
    engine = Engine(counting).start()
    start = list(range(20))
    for last in (30, 31, 32):
        engine.submit(ask([*start, last], 2)).result(WAIT_S)
    assert counting.restored == [16, 16]
    assert (engine.stats().prompt_tokens, engine.stats().prefix_tokens) == (63, 32)
    assert engine.close()
