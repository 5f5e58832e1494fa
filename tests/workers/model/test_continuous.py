"""Continuous batching of other models: real tiny models of three architectures, real threads, `generate` as oracle.

For everything that must be held back or broken a gate stands in the model's own forward pass.
"""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from typing import Any

import pytest
import torch  # noqa: TID253
from transformers import (  # noqa: TID253
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from shared.errors import EngineBusy, PromptTooLong
from workers.model.continuous import ContinuousEngine
from workers.model.generation import Finish, Generation, Request
from workers.model.memory import resident_mb
from workers.model.paged import PAGE_TOKENS, plan_cache
from workers.model.trial import supports

WAIT_S = 30
VOCAB = 300
CONTEXT = 256
SIZES: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
MAKE: dict[str, Callable[[], Any]] = {
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCAB, n_positions=CONTEXT, n_embd=32, n_layer=2, n_head=4, **COMMON)
    ),
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, **ROTARY)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, **ROTARY)),
    "bloom": lambda: BloomForCausalLM(
        BloomConfig(vocab_size=VOCAB, hidden_size=32, n_layer=2, n_head=4, initializer_range=0.3)
    ),
}
# Larger weights than usual: the logits of a random model are then far enough apart.
COMMON: dict[str, Any] = {"initializer_range": 0.3, "bos_token_id": 0, "eos_token_id": 0}
ROTARY: dict[str, Any] = {**COMMON, "vocab_size": VOCAB, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT}


def build(kind: str) -> Any:
    torch.manual_seed(0)
    return MAKE[kind]().eval()


class Gate:
    """Stands in a model's forward pass: holds it while closed, raises while `broken`, counts the passes."""

    def __init__(self, model: Any) -> None:
        self.open, self.entered, self.broken = threading.Event(), threading.Event(), False
        self.open.set()
        self.passes = 0
        inner = model.forward

        @functools.wraps(inner)  # transformers reads the signature
        def forward(*args: Any, **others: Any) -> Any:
            self.passes += 1
            self.entered.set()
            assert self.open.wait(WAIT_S)
            if self.broken:
                raise RuntimeError("broken model")
            return inner(*args, **others)

        model.forward = forward

    def hold(self) -> None:
        self.entered.clear()
        self.open.clear()


@pytest.fixture(scope="module", params=["gpt2", "llama", "qwen2"])
def model(request: pytest.FixtureRequest) -> Any:
    return build(request.param)


@pytest.fixture
def engine(model: Any) -> Iterator[ContinuousEngine]:
    engine = ContinuousEngine(model, max_batch=4, max_waiting=20).start()
    yield engine
    assert engine.close()


@pytest.fixture
def gated() -> Iterator[tuple[ContinuousEngine, Gate]]:
    model = build("gpt2")
    gate = Gate(model)
    engine = ContinuousEngine(model, max_batch=2, max_waiting=2).start()
    yield engine, gate
    gate.broken = False
    gate.open.set()
    assert engine.close(drain=False)


def prompt(length: int, seed: int = 0) -> list[int]:
    return [1 + (13 * i + 7 * length + seed) % (VOCAB - 1) for i in range(length)]


def oracle(model: Any, ids: Sequence[int], max_new_tokens: int) -> list[int]:
    tokens = torch.tensor([list(ids)])
    asked = {"max_new_tokens": max_new_tokens, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    written = model.generate(tokens, attention_mask=torch.ones_like(tokens), **asked)
    return list(written[0, len(ids) :].tolist())


def plain_logprobs(model: Any, ids: Sequence[int], answer: Sequence[int]) -> list[float]:
    with torch.inference_mode():
        logits = model(torch.tensor([[*ids, *answer]])).logits[0, len(ids) - 1 : -1]
    return list(torch.log_softmax(logits, -1).gather(1, torch.tensor(answer)[:, None])[:, 0].tolist())


def eventually(what: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT_S
    while not what():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_crowd_gets_what_generate_gives_one_by_one(model: Any) -> None:
    """Ragged prompts, some longer than a page, one cut into steps; one prompt twice, so that pages are shared."""
    lengths = [3, 14, 25, 36, 70, 1, 129, 230, 70]
    requests = [Request(prompt(length), 5 + 2 * i) for i, length in enumerate(lengths)]
    expected = [oracle(model, request.ids, request.max_new_tokens) for request in requests]
    engine = ContinuousEngine(model, max_batch=4).start()
    answers = [future.result(WAIT_S) for future in [engine.submit(request) for request in requests]]
    stats = engine.stats()
    assert engine.close()
    assert [list(answer.ids) for answer in answers] == expected
    assert {answer.finish for answer in answers} == {Finish.LENGTH}
    for request, answer in zip(requests, answers, strict=True):
        assert answer.logprobs == pytest.approx(plain_logprobs(model, request.ids, answer.ids), abs=1e-3)
        assert 0 <= answer.queue_ms <= answer.first_ms <= answer.total_ms
    assert max(answer.batch_size for answer in answers) == 4
    assert (stats.requests, stats.finished, stats.failed) == (9, 9, 0)
    assert (stats.prompt_tokens, stats.tokens) == (sum(lengths), sum(map(len, expected)))
    assert sum(stats.batch_sizes.values()) == stats.steps < stats.tokens
    assert stats.steps <= stats.passes
    assert sum(rows * steps for rows, steps in stats.batch_sizes.items()) == stats.tokens


def test_a_stop_token_ends_the_answer_and_is_not_part_of_it(model: Any, engine: ContinuousEngine) -> None:
    written = oracle(model, prompt(9), 12)
    stop = written[-1]
    until = written.index(stop)
    answer = engine.submit(Request(prompt(9), 12, stop_ids=frozenset({stop}))).result(WAIT_S)
    assert (list(answer.ids), answer.finish, len(answer.logprobs)) == (written[:until], Finish.STOP, until)


def test_a_request_joins_and_leaves_while_another_is_written(gated: tuple[ContinuousEngine, Gate]) -> None:
    engine, gate = gated
    gate.hold()
    long = engine.submit(Request(prompt(5), 150))
    assert gate.entered.wait(WAIT_S)
    short = engine.submit(Request(prompt(8), 3))
    gate.open.set()
    assert short.result(WAIT_S).batch_size == 2
    assert not long.done()
    assert len(long.result(WAIT_S).ids) == 150
    assert gate.passes < 160  # not one after the other
    eventually(lambda: engine.stats().passes == gate.passes)


def test_a_temperature_is_not_honoured(model: Any, engine: ContinuousEngine) -> None:
    answers = [engine.submit(Request(prompt(9), 12, temperature=2.0, seed=seed)).result(WAIT_S) for seed in range(2)]
    assert [list(answer.ids) for answer in answers] == [oracle(model, prompt(9), 12)] * 2


def test_first_come_first_served_also_when_the_cache_has_room_for_a_later_one() -> None:
    """A long request waits for pages; the short one behind it must not overtake, or the long one could starve."""
    model = build("gpt2")
    gate = Gate(model)
    bytes_of_ten_pages = 12 * PAGE_TOKENS * (2 * 2 * 32 + 256) * 4
    engine = ContinuousEngine(model, max_batch=4, cache_bytes=bytes_of_ten_pages).start()
    gate.hold()
    begun: dict[str, float] = {}
    futures: dict[str, Future[Generation]] = {}
    for name, length in [("first", 100), ("long", 200), ("short", 3)]:
        begun[name] = time.monotonic()
        futures[name] = engine.submit(Request(prompt(length), 40))
    assert gate.entered.wait(WAIT_S)
    eventually(lambda: engine.stats().waiting == 2)
    opened = time.monotonic()
    gate.open.set()
    joined = {name: begun[name] + future.result(WAIT_S).queue_ms / 1000 for name, future in futures.items()}
    assert engine.close()
    assert joined["first"] < opened < joined["long"]
    assert joined["short"] > opened


def test_deadlines_pass_while_waiting_while_running_and_while_the_model_hangs(
    gated: tuple[ContinuousEngine, Gate],
) -> None:
    engine, gate = gated
    gate.hold()
    futures = [engine.submit(Request(prompt(5), 100, deadline_s=0.5)) for _ in range(2)]
    eventually(lambda: engine.stats().running == 2)
    futures += [engine.submit(Request(prompt(5), 100, deadline_s=0.5)) for _ in range(2)]
    for future in futures:
        with pytest.raises(EngineBusy, match=r"no answer within 0\.5 s"):
            future.result(WAIT_S)
    eventually(lambda: engine.stats().last_step_age_s > 1)  # nobody waits any more, and still it hangs
    assert engine.stats().expired == 4
    gate.open.set()
    eventually(lambda: engine.stats().last_step_age_s == 0)
    assert len(engine.submit(Request(prompt(5), 4)).result(WAIT_S).ids) == 4


def test_a_caller_that_is_gone_frees_its_row(gated: tuple[ContinuousEngine, Gate]) -> None:
    engine, gate = gated
    gate.hold()
    gone = threading.Event()
    running = [engine.submit(Request(prompt(5), 200, cancelled=gone.is_set)) for _ in range(2)]
    assert gate.entered.wait(WAIT_S)
    eventually(lambda: engine.stats().running == 2)
    waiting = engine.submit(Request(prompt(6), 4))
    cancelled_early = engine.submit(Request(prompt(6), 4))
    assert cancelled_early.cancel()
    gone.set()
    for future in running:
        with pytest.raises(CancelledError):
            future.result(WAIT_S)
    gate.open.set()
    assert len(waiting.result(WAIT_S).ids) == 4
    assert gate.passes < 20
    assert engine.stats().cancelled == 3


def test_more_than_the_queue_holds_is_refused_at_once(gated: tuple[ContinuousEngine, Gate]) -> None:
    engine, gate = gated
    gate.hold()
    running = [engine.submit(Request(prompt(5), 4)) for _ in range(2)]
    eventually(lambda: engine.stats().running == 2)
    waiting = [engine.submit(Request(prompt(5), 4)) for _ in range(2)]
    with pytest.raises(EngineBusy, match="2 requests are waiting already"):
        engine.submit(Request(prompt(5), 4))
    gate.open.set()
    assert all(len(future.result(WAIT_S).ids) == 4 for future in running + waiting)
    assert engine.stats().refused == 1


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (Request([], 3), ValueError),
        (Request([1], 0), ValueError),
        (Request([VOCAB], 3), ValueError),
        (Request([-1], 3), ValueError),
        (Request([1], 3, allowed=lambda done: None), ValueError),
        (Request([1] * 200, CONTEXT - 199), PromptTooLong),
    ],
)
def test_what_it_cannot_do_is_refused(
    gated: tuple[ContinuousEngine, Gate], request_: Request, error: type[Exception]
) -> None:
    with pytest.raises(error):
        gated[0].submit(request_)


def test_a_crash_fails_its_batch_and_the_next_ones_are_right(
    gated: tuple[ContinuousEngine, Gate], caplog: pytest.LogCaptureFixture
) -> None:
    engine, gate = gated
    expected = oracle(build("gpt2"), prompt(9), 6)
    for _ in range(3):
        gate.hold()
        gate.broken = True
        batch = [engine.submit(Request(prompt(5), 4)) for _ in range(2)]
        assert gate.entered.wait(WAIT_S)
        eventually(lambda: engine.stats().running == 2)
        later = engine.submit(Request(prompt(9), 6))
        with caplog.at_level(logging.ERROR):
            gate.open.set()
            for future in batch:
                with pytest.raises(RuntimeError, match="broken model"):
                    future.result(WAIT_S)
            gate.broken = False
        assert list(later.result(WAIT_S).ids) == expected
        assert list(engine.submit(Request(prompt(9), 6)).result(WAIT_S).ids) == expected
    assert engine.stats().failed == 6
    assert any(record.exc_info for record in caplog.records)


def test_numbers_that_are_not_finite_fail_their_batch_and_do_not_stay_in_the_cache() -> None:
    """The rows share one attention table; a page of a good prompt that was computed beside them must not be kept."""
    model = build("gpt2")
    expected = oracle(model, prompt(70), 5)
    tables = [table.weight.detach().clone() for table in (model.transformer.wte, model.lm_head)]
    model.transformer.wte.weight, model.lm_head.weight = map(torch.nn.Parameter, tables)  # not tied any more
    unused = next(id_ for id_ in range(VOCAB) if id_ not in prompt(70) + expected)
    model.transformer.wte.weight.data[unused] = float("nan")
    gate = Gate(model)
    engine = ContinuousEngine(model, max_batch=3).start()
    gate.hold()
    batch = [engine.submit(Request([3, 4], 50))]
    assert gate.entered.wait(WAIT_S)
    batch += [engine.submit(Request(ids, 5)) for ids in (prompt(70), [5, unused, 7])]  # their prompts share a pass
    eventually(lambda: engine.stats().running == 3)
    gate.open.set()
    for future in batch:
        with pytest.raises(ArithmeticError, match="not finite"):
            future.result(WAIT_S)
    for _ in range(2):
        assert list(engine.submit(Request(prompt(70), 5)).result(WAIT_S).ids) == expected
    assert engine.close()


def test_a_token_that_the_tokenizer_lacks_fails_its_own_request_only(model: Any) -> None:
    written = {seed: oracle(model, [5, seed, 7], 4) for seed in range(8)}
    worst = max(written, key=lambda seed: max(written[seed]))
    known = max(written[worst])
    engine = ContinuousEngine(model, known, max_batch=8).start()
    futures = {seed: engine.submit(Request([5, seed, 7], 4)) for seed in written}
    for seed, future in futures.items():
        if known in written[seed]:
            with pytest.raises(ArithmeticError, match="tokenizer"):
                future.result(WAIT_S)
        else:
            assert list(future.result(WAIT_S).ids) == written[seed]
    assert engine.close()


def test_the_cache_stays_within_its_budget() -> None:
    """Left to itself transformers would take most of the machine's memory here."""
    budget = 32 * 2**20
    config = GPT2Config(vocab_size=VOCAB, n_positions=1024, n_embd=256, n_layer=4, n_head=4, **COMMON)
    make: Any = GPT2LMHeadModel
    model = make(config).eval()
    plan = plan_cache(model, 64, budget)
    assert plan.pages < 40 * 5  # the budget is what bounds: the rows below cannot all run at once
    oracle(model, prompt(9), 2)
    before = resident_mb()
    engine = ContinuousEngine(model, max_batch=64, max_waiting=200, cache_bytes=budget).start()
    futures = [engine.submit(Request(prompt(100, seed), 30)) for seed in range(40)]
    most = 0.0
    while not all(future.done() for future in futures):
        most = max(most, resident_mb() - before)
        time.sleep(0.01)
    assert all(len(future.result(0).ids) == 30 for future in futures)
    assert engine.close()
    assert most < 100, f"{most:.0f} MB"  # the budget, and what one step needs


def test_a_cache_smaller_than_the_context_bounds_the_request_and_a_tiny_one_is_an_error() -> None:
    model = build("gpt2")
    engine = ContinuousEngine(model, cache_bytes=6 * PAGE_TOKENS * (2 * 2 * 32 + 256) * 4)
    assert engine.context_length == 4 * PAGE_TOKENS
    with pytest.raises(PromptTooLong):
        engine.submit(Request(prompt(100), 40))
    with pytest.raises(ValueError, match="too small"):
        ContinuousEngine(model, cache_bytes=10_000)


def test_closing_with_drain_finishes_what_was_taken_on(gated: tuple[ContinuousEngine, Gate]) -> None:
    engine, gate = gated
    gate.hold()
    futures = [engine.submit(Request(prompt(5), 6)) for _ in range(2)]
    eventually(lambda: engine.stats().running == 2)
    futures += [engine.submit(Request(prompt(5), 6)) for _ in range(2)]
    gate.open.set()
    assert engine.close(drain=True, timeout_s=WAIT_S)
    assert all(len(future.result(0).ids) == 6 for future in futures)
    with pytest.raises(EngineBusy, match="closing"):
        engine.submit(Request(prompt(5), 6))
    assert not engine.stats().alive


def test_closing_without_drain_answers_at_once_though_the_model_hangs() -> None:
    model = build("gpt2")
    gate = Gate(model)
    engine = ContinuousEngine(model, max_batch=2).start()
    gate.hold()
    futures = [engine.submit(Request(prompt(5), 6)) for _ in range(4)]
    eventually(lambda: engine.stats().running == 2)
    assert gate.entered.wait(WAIT_S)
    assert not engine.close(drain=False, timeout_s=0.2)
    for future in futures:
        with pytest.raises(EngineBusy, match="closing"):
            future.result(1)
    gate.open.set()
    assert engine.close(drain=False)


def test_the_model_is_as_before_after_closing(model: Any) -> None:
    attention, expected = model.config._attn_implementation, oracle(model, prompt(9), 6)
    engine = ContinuousEngine(model).start()
    engine.submit(Request(prompt(9), 6)).result(WAIT_S)
    assert engine.close()
    assert model.config._attn_implementation == attention
    assert oracle(model, prompt(9), 6) == expected


def test_the_trial_passes_where_it_is_right(model: Any) -> None:
    assert supports(model, timeout_s=WAIT_S)


def test_the_trial_fails_where_transformers_answers_wrongly(caplog: pytest.LogCaptureFixture) -> None:
    """Bloom's attention knows no pages: the library serves it without a complaint, and wrongly."""
    with caplog.at_level(logging.INFO):
        assert not supports(build("bloom"), timeout_s=WAIT_S)
    assert "differs by" in caplog.records[-1].__dict__["why"]


def test_the_trial_does_not_wait_for_a_model_that_hangs() -> None:
    model = build("gpt2")
    gate = Gate(model)
    gate.hold()
    begun = time.monotonic()
    try:
        assert not supports(model, timeout_s=0.3)
    finally:
        gate.open.set()
    assert time.monotonic() - begun < WAIT_S
