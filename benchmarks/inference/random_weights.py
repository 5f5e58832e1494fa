"""Rows a, b and the first half of d: random weights, where nothing but the arithmetic and the scheduler can win.

Ours runs without drafts here: a random model that is greedy soon repeats itself, and drafts would flatter it. Every
prompt is new, so kept prefixes find nothing, and keeping them is paid for. Called by `benchmarks.engine`.
"""

from __future__ import annotations

import gc
import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # noqa: TID253

from benchmarks.inference.checkpoints import VOCABULARY, Size, ctranslate2_checkpoint, our_int8, random_checkpoint
from benchmarks.inference.clients import Cost, closed_loop, ragged, random_ids, same_lengths, summary
from benchmarks.inference.sides import Batched, CTranslate2, Locked, Ours, Side, Task, Transformers
from workers.model.engine import Engine, Limits

CLIENTS = 8
KNOWN, WHOLE = 350, 400  # tokens of the prompt with a known beginning
DECODE_PROMPT = 16
ENOUGH_S = 0.2  # of reading memory, for one figure
Figures = dict[str, Any]


@dataclass(frozen=True)
class Amount:
    rounds: int
    alone: int  # requests one at a time in a round
    each: int  # requests of each of the eight clients in a round
    decoded: int = 64  # tokens, for the share of the limit
    read_mb: int = 512


def compare(models: Path, size: Size, amount: Amount) -> Figures:
    """All sides in turn, one request at a time and eight ragged clients; medians over the rounds."""
    folder = random_checkpoint(models, size)
    converted = ctranslate2_checkpoint(folder)
    plain = Transformers(folder)
    sides: dict[str, Side] = {"naive": Locked(plain.generate), "batches": Batched(plain.generate)}
    if isinstance(converted, Path):
        sides["ctranslate2"] = Batched(CTranslate2(converted).generate)
    else:
        print(converted, flush=True)
    sides["ours"] = Ours(Engine(our_int8(folder, models)))
    found: dict[str, dict[str, list[Cost]]] = {case: {name: [] for name in sides} for case in ("one", "eight")}
    for side in sides.values():
        side.answer(Task(range(1, 33), 4))  # warms up
    for number in range(amount.rounds):
        for case, tasks, clients in (
            ("one", same_lengths(amount.alone, 2 * number), 1),
            ("eight", ragged(CLIENTS * amount.each, 2 * number + 1), CLIENTS),
        ):
            for name, side in sides.items():
                cost = closed_loop(side, tasks, clients)
                found[case][name].append(cost)
                print(f"  {size.name}, round {number}, {case}, {name}: {cost.cpu_s / len(tasks):.3f} CPU-s", flush=True)
    for side in sides.values():
        side.close()
    row: Figures = {"model": size.name, "rounds": amount.rounds}
    for case, costs in found.items():
        row[case] = {name: summary(each, costs["naive"]) for name, each in costs.items()}
    if isinstance(converted, str):
        row["left_out"] = converted
    return row


def share_of_limit(models: Path, size: Size, amount: Amount, turns: int) -> Figures:
    """Decoding at batch 1 beside what the memory gives: each token has to read all the weights once.

    Both on one thread, in turn, in CPU-seconds, which do not count the time that others hold the core.
    """
    model = our_int8(random_checkpoint(models, size), models)
    buffer = torch.ones(amount.read_mb << 17, dtype=torch.float64)
    weight_bytes = 12 * size.layers * size.width**2 + VOCABULARY * size.width  # int8, with the head
    side, dice = Ours(Engine(model, Limits(prefix_bytes=0))), random.Random(0)

    def cpu_s(new: int) -> float:
        return closed_loop(side, [Task(random_ids(dice, DECODE_PROMPT), new)], 1).cpu_s

    read, decoded = [], []
    for _ in range(turns + 1):
        read.append(_read_bandwidth(buffer))
        decoded.append(amount.decoded / (cpu_s(amount.decoded + 1) - cpu_s(1)))
    side.close()
    bandwidth, rate = statistics.median(read[1:]), statistics.median(decoded[1:])  # the first turn warms up
    return {
        "read_gb_per_s": round(bandwidth / 1e9, 2),
        "weight_bytes": weight_bytes,
        "limit_tokens_per_s": round(bandwidth / weight_bytes, 1),
        "tokens_per_s": round(rate, 1),
        "share": round(rate * weight_bytes / bandwidth, 3),
        "best_read_gb_per_s": round(max(read) / 1e9, 2),
        "turns": turns,
    }


def _read_bandwidth(buffer: torch.Tensor) -> float:
    begun, times = time.process_time(), 0
    while (took := time.process_time() - begun) < ENOUGH_S or not times:
        buffer.sum()
        times += 1
    return times * buffer.nbytes / took


def known_prefix(models: Path, size: Size, rounds: int) -> Figures:
    """CPU-seconds to the first token of a prompt of 400 tokens, with 350 known from a prompt before and without."""
    model = our_int8(random_checkpoint(models, size), models)
    dice = random.Random(1)
    start = random_ids(dice, KNOWN)
    warm = Engine(model, Limits(prefix_bytes=4 * WHOLE * model.token_bytes))
    sides = {"whole": Ours(Engine(model, Limits(prefix_bytes=0))), "known": Ours(warm)}
    sides["known"].answer(Task(start + random_ids(dice, WHOLE - KNOWN), 1))
    costs: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds + 1):
        task = Task(start + random_ids(dice, WHOLE - KNOWN), 1)
        for name, side in sides.items():
            costs[name].append(closed_loop(side, [task], 1).cpu_s)
    reused = warm.stats().prefix_tokens // (rounds + 1)
    for side in sides.values():
        side.close()
    del model, warm, sides
    gc.collect()
    whole, known = (statistics.median(costs[name][1:]) for name in ("whole", "known"))  # the first warms up
    gain = statistics.median(a / b for a, b in zip(costs["whole"][1:], costs["known"][1:], strict=True))
    figures = {"model": size.name, "prompt_tokens": WHOLE, "reused_tokens": reused, "rounds": rounds}
    return figures | {"whole_cpu_s": round(whole, 4), "known_cpu_s": round(known, 4), "gain": round(gain, 2)}
