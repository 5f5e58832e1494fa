"""Our GPT-2: transformers is the oracle in float32; a row's numbers depend on nothing but its own tokens."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch  # noqa: TID253
from transformers import GPT2Config, GPT2LMHeadModel  # noqa: TID253

from tests.workers.model.conftest import own_gpt2
from workers.model.backend import BLOCK, Piece
from workers.model.gpt2 import Gpt2
from workers.model.graphs import GraphedGpt2, rows_for
from workers.model.linears import HalfLinear, Int8Linear, activation_levels, quantise

VOCAB = 300


@pytest.fixture(scope="module", params=["gelu_new", "gelu", "relu"])
def oracle(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(1)
    sizes: dict[str, Any] = {"n_embd": 48, "n_layer": 3, "n_head": 4, "n_positions": 256, "vocab_size": VOCAB}
    model: Any = GPT2LMHeadModel(GPT2Config(**sizes, activation_function=request.param, initializer_range=0.3))
    return model.eval()


@pytest.fixture(scope="module", params=["int8", "fp16"])
def served(request: pytest.FixtureRequest) -> Gpt2:
    """As a CPU serves it."""
    torch.manual_seed(2)
    sizes: dict[str, Any] = {"n_embd": 64, "n_layer": 3, "n_head": 4, "n_positions": 256, "vocab_size": VOCAB}
    model: Any = GPT2LMHeadModel(GPT2Config(**sizes, initializer_range=0.3))
    return own_gpt2(model, VOCAB, request.param)


def some_ids(count: int, seed: int = 0) -> list[int]:
    return random.Random(seed).choices(range(VOCAB), k=count)


def slot_of(model: Gpt2, tokens: int = 256) -> int:
    slot = model.reserve(tokens)
    assert slot is not None
    return slot


def alone(model: Gpt2, prompt: Sequence[int], answer: Sequence[int]) -> torch.Tensor:
    """The plainest way: the prompt in one pass, then one token at a time; the logits after each."""
    slot = slot_of(model)
    rows = [model.advance([Piece(slot, 0, prompt, prompt=True)])]
    rows += [model.advance([Piece(slot, len(prompt) + i, [token])]) for i, token in enumerate(answer)]
    model.release(slot)
    return torch.cat(rows)


def test_float32_gives_the_logits_of_transformers(oracle: Any) -> None:
    ids = some_ids(70)
    with torch.inference_mode():
        expected = oracle(torch.tensor([ids])).logits[0]
    model = own_gpt2(oracle, VOCAB, "fp32")
    slot = slot_of(model)
    torch.testing.assert_close(model.advance([Piece(slot, 0, ids, 70, prompt=True)]), expected, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(alone(model, ids[:33], ids[33:]), expected[32:], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("seed", range(12))
def test_no_way_to_compute_a_sequence_changes_a_bit(served: Gpt2, seed: int) -> None:
    """Chunks, crowds, drafts that are taken back, and prefixes of others, at random."""
    dice = random.Random(seed)
    prompt, answer = some_ids(dice.randrange(1, 120), seed), some_ids(12, seed + 1)
    expected = alone(served, prompt, answer)
    others = [(slot_of(served), some_ids(dice.randrange(2, 60), 100 + n)) for n in range(dice.randrange(4))]
    mine, done, got = slot_of(served), 0, []
    if len(prompt) > BLOCK and dice.random() < 0.5:
        known = dice.randrange(1, -(-len(prompt) // BLOCK)) * BLOCK
        donor = slot_of(served)
        served.advance([Piece(donor, 0, [*prompt[:known], *some_ids(9, 7)], prompt=True)])
        served.restore(served.save(donor, known), mine, known)
        served.release(donor)
        done = known
    progress = dict.fromkeys((slot for slot, _ in others), 0)
    while done < len(prompt) + len(answer):
        if done < len(prompt):
            count = min(len(prompt) - done, dice.randrange(1, 5) * BLOCK)
            piece = Piece(mine, done, prompt[done : done + count], int(done + count == len(prompt)), prompt=True)
            right = count
        else:
            place = done - len(prompt)
            right = dice.randrange(1, 4)
            written = answer[place : place + right]
            right = len(written)
            wrong = some_ids(dice.randrange(4), seed + done)
            piece = Piece(mine, done, [*written, *wrong], right + len(wrong))
        crowd = [
            Piece(slot, progress[slot], ids[progress[slot] : progress[slot] + 1])
            for slot, ids in others
            if progress[slot] < len(ids)
        ]
        logits = served.advance([*crowd, piece])[len(crowd) :]
        for one in crowd:
            progress[one.slot] += 1
        got.append(logits[:right] if piece.wanted > 1 or not piece.prompt else logits)
        done += right
    for slot in [mine, *progress]:
        served.release(slot)
    assert torch.equal(torch.cat(got), expected)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("inner", "outer"), [(64, 96), (256, 768), (700, 300)])
def test_half_is_as_exact_as_its_weights_and_a_row_depends_on_no_other(inner: int, outer: int, threads: int) -> None:
    torch.manual_seed(4)
    weight, bias, rows = torch.randn(inner, outer).half().float(), torch.randn(outer), torch.randn(40, inner)
    linear = HalfLinear(weight, bias)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        got = linear(rows)
        assert all(
            torch.equal(linear(rows[begin : begin + count]), got[begin : begin + count])
            for count in (1, 2, 3, 7, 8, 13, 24)
            for begin in range(0, 40 - count, 5)
        )
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(got, torch.addmm(bias, rows, weight), atol=1e-4, rtol=1e-5)
    assert torch.equal(HalfLinear(weight, None)(rows * 0), torch.zeros(40, outer))


def test_int8_is_near_float32_and_zero_rows_stay_finite() -> None:
    torch.manual_seed(3)
    weight, rows = torch.randn(96, 64), torch.randn(5, 64)
    rows[2] = 0
    bias = torch.randn(96)
    got = Int8Linear(*quantise(weight), bias)(rows)
    expected = torch.addmm(bias, rows, weight.T)
    assert torch.equal(got[2], bias)
    assert float((got - expected).norm() / expected.norm()) < 0.02
    assert activation_levels() in (63, 127)


def test_memory_is_lent_within_its_budget_and_one_alone_is_always_let_in(oracle: Any) -> None:
    model = own_gpt2(oracle, VOCAB, "fp32")
    model._memory.budget = 3 * 64 * model.token_bytes
    slots = [model.reserve(60) for _ in range(4)]
    assert slots == [0, 1, 2, None]
    model.release(1)
    assert model.reserve(64) == 1
    assert model.reserve(1) is None
    for slot in range(3):
        model.release(slot)
    assert model.reserve(250) == 0  # larger than the budget, and nobody else is there
    assert model.reserve(1) is None


def test_the_steps_of_the_gpu_give_the_logits_of_transformers(oracle: Any) -> None:
    """Its arithmetic, here without a graph: slots that come and go, a prompt beside steps, rows that nobody has."""
    plain = own_gpt2(oracle, VOCAB, "fp32")
    model = GraphedGpt2(plain._shape, plain._weights, most_rows=6)
    texts = {name: some_ids(length, length) for name, length in (("a", 30), ("b", 67), ("c", 12), ("d", 40))}
    with torch.inference_mode():
        expected = {name: oracle(torch.tensor([ids])).logits[0] for name, ids in texts.items()}
    slots = {name: slot_of(model, 80) for name in "abc"}
    for name in "abc":
        logits = model.advance([Piece(slots[name], 0, texts[name][:5], prompt=True)])
        torch.testing.assert_close(logits[0], expected[name][4], atol=2e-4, rtol=1e-4)
    for place in range(5, 12):
        steps = [Piece(slots[name], place, [texts[name][place]]) for name in "cab"]
        for name, row in zip("cab", model.advance(steps), strict=True):
            torch.testing.assert_close(row, expected[name][place], atol=2e-4, rtol=1e-4)
    model.release(slots.pop("a"))
    slots["d"] = slot_of(model, 80)
    assert slots["d"] == 0
    both = model.advance([Piece(slots["b"], 12, [texts["b"][12]]), Piece(0, 0, texts["d"][:39], 2, prompt=True)])
    torch.testing.assert_close(both[0], expected["b"][12], atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(both[1:], expected["d"][37:39], atol=2e-4, rtol=1e-4)
    last = model.advance([Piece(0, 39, [texts["d"][39]])])
    torch.testing.assert_close(last[0], expected["d"][39], atol=2e-4, rtol=1e-4)


def test_a_card_holds_as_many_rows_as_its_memory_allows(oracle: Any) -> None:
    shape = own_gpt2(oracle, VOCAB, "fp32")._shape
    row = 3 * 2 * 257 * 48 * 2
    assert rows_for(shape, 20 * row, 2) == 10
    assert (rows_for(shape, 0, 2), rows_for(shape, 1 << 40, 2)) == (1, 256)
