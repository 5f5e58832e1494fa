"""The engine on a graphics card beside transformers, random weights. Run: python -m benchmarks.gpu_engine [--quick]

GPT-2 shapes in bfloat16; closed-loop clients with prompts of 50 to 200 tokens and answers of 24 to 72, greedy, nobody
stops early. Sides, in turn in each round: our engine; transformers' continuous batching; transformers' `generate`
under a lock, one request at a time. Medians of the rounds. At batch 1 the decode is set beside the card's read
bandwidth, measured in the same run. `--out` keeps the figures after each shape.
"""

from __future__ import annotations

import argparse
import copy
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from transformers import GPT2Config, GPT2LMHeadModel  # noqa: TID253

from workers.model.backend import Piece
from workers.model.checkpoint import Checkpoint, shape_of
from workers.model.continuous import ContinuousEngine
from workers.model.engine import Engine, Limits
from workers.model.generation import Request
from workers.model.graphs import GraphedGpt2, rows_for
from workers.model.weights import dense

SHAPES = {
    "gpt2": {"n_embd": 768, "n_layer": 12, "n_head": 12},
    "gpt2-large": {"n_embd": 1280, "n_layer": 36, "n_head": 20},
}
VOCAB = 50257
Figures = dict[str, Any]
Ask = Callable[[Request, float], int]  # blocks; returns the tokens written, 0 if it was not begun in time


@dataclass(frozen=True)
class Amount:
    clients: tuple[int, ...] = (1, 8, 64, 256)
    rounds: int = 2
    seconds: float = 2.5
    shapes: tuple[str, ...] = ("gpt2", "gpt2-large")


QUICK = Amount(clients=(1, 4), rounds=1, seconds=1.0, shapes=("tiny",))


def requests_for(seed: int) -> list[Request]:
    dice = random.Random(seed)
    sizes = [(dice.randint(50, 200), dice.randint(24, 72)) for _ in range(512)]
    return [Request(dice.choices(range(VOCAB), k=prompt), answer, deadline_s=600) for prompt, answer in sizes]


def load(ask: Ask, clients: int, seconds: float) -> Figures:
    """Closed-loop clients; what was begun in time is finished and counted, with the time it takes."""
    numbers, written, waits, asked = count(), list[int](), list[float](), requests_for(clients)
    begun = time.perf_counter()

    def client() -> None:
        while (started := time.perf_counter()) < begun + seconds:
            if tokens := ask(asked[next(numbers) % len(asked)], begun + seconds):
                written.append(tokens)
                waits.append(time.perf_counter() - started)

    with ThreadPoolExecutor(clients) as pool:
        for future in [pool.submit(client) for _ in range(clients)]:
            future.result()
    took = time.perf_counter() - begun
    return {
        "tokens_per_s": sum(written) / took,
        "replies_per_s": len(written) / took,
        "p50_s": statistics.median(waits or [0]),
    }


class OneByOne:
    """transformers' `generate` as the seed used it: under a lock, a request at a time."""

    def __init__(self, model: Any) -> None:
        self._model, self._lock = model, threading.Lock()

    @torch.inference_mode()
    def ask(self, request: Request, until: float) -> int:
        with self._lock:
            if time.perf_counter() > until:
                return 0
            ids = torch.tensor([list(request.ids)], device=self._model.device)
            new = request.max_new_tokens
            given = {"attention_mask": torch.ones_like(ids), "pad_token_id": 0, "do_sample": False}
            self._model.generate(input_ids=ids, max_new_tokens=new, min_new_tokens=new, **given)
            return new


def bandwidth(device: torch.device) -> float:
    """Bytes read per second by a sum over a large tensor, the best of a few."""
    numbers = torch.ones(1 << (28 if device.type == "cuda" else 24), device=device)  # 1 GiB on a card
    best = 0.0
    for _ in range(8):
        begun = _now(device)
        numbers.sum()
        best = max(best, numbers.nbytes / (_now(device) - begun))
    return best


def decode_alone(backend: Any, device: torch.device, steps: int = 200) -> float:
    """Passes per second at batch 1, without scheduler or choice: what the card could give."""
    slot = backend.reserve(64 + steps)
    backend.advance([Piece(slot, 0, list(range(64)), prompt=True)])
    for place in (64, 65, 128):  # records the graphs
        backend.advance([Piece(slot, place, [1])])
    begun = _now(device)
    for place in range(steps):
        backend.advance([Piece(slot, 64 + place, [1])])
    passes = steps / (_now(device) - begun)
    backend.release(slot)
    return passes


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measure(name: str, device: torch.device, amount: Amount) -> Figures:
    sizes = SHAPES.get(name, {"n_embd": 64, "n_layer": 2, "n_head": 2})
    torch.manual_seed(0)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with torch.device(device):
        make: Any = GPT2LMHeadModel
        model = make(GPT2Config(**sizes, vocab_size=VOCAB, eos_token_id=None, bos_token_id=None)).to(dtype).eval()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        shape = shape_of(Path(folder), VOCAB)
        assert shape
        with Checkpoint(Path(folder)) as checkpoint:
            weights = dense(checkpoint, shape, device.type, dtype)
    free = torch.cuda.mem_get_info()[0] // 2 if device.type == "cuda" else 1 << 30
    backend = GraphedGpt2(shape, weights, rows_for(shape, free, dtype.itemsize))
    row: Figures = {"shape": name, "rows": backend.most_rows, "bandwidth_gb_s": round(bandwidth(device) / 1e9)}
    read = sum(part.nbytes for part in model.parameters()) - model.transformer.wpe.weight.nbytes
    row["decode_per_s"] = round(decode_alone(backend, device))
    row["share_of_limit"] = round(row["decode_per_s"] * read / row["bandwidth_gb_s"] / 1e9, 3)
    print(json.dumps(row), flush=True)
    engine = Engine(backend, Limits(max_waiting=1024, prefix_bytes=0)).start()
    row["load"] = []
    for clients in amount.clients:
        # It changes the attention of its model: `generate` keeps one of its own.
        continuous = ContinuousEngine(
            copy.deepcopy(model), max_batch=clients, max_waiting=1024, cache_bytes=16 << 30
        ).start()
        plain = OneByOne(model)

        def by(engine: Any) -> Ask:
            return lambda request, _: len(engine.submit(request).result(600).ids)

        sides: dict[str, Ask] = {"engine": by(engine), "continuous": by(continuous), "generate": plain.ask}
        found: dict[str, list[Figures]] = {side: [] for side in sides}
        for side in ("engine", "continuous"):
            try:
                load(sides[side], clients, 0.2)  # records graphs, takes caches
            except Exception as error:
                print(f"{side} fails with {clients} clients: {type(error).__name__}: {error}", flush=True)
                del sides[side]
        for _ in range(amount.rounds):
            for side, ask in sides.items():
                found[side].append(load(ask, clients, amount.seconds))
        continuous.close(drain=False, timeout_s=10)
        line: Figures = {"clients": clients}
        for side, rounds in found.items():
            line[side] = (
                {key: round(statistics.median(each[key] for each in rounds), 2) for key in rounds[0]}
                if rounds
                else None
            )
        print(json.dumps(line), flush=True)
        row["load"].append(line)
    engine.close(drain=False)
    return row


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tiny shape, a second a side")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, help="these only")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    asked = parser.parse_args()
    amount = QUICK if asked.quick else Amount()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    card = torch.cuda.get_device_name() if device.type == "cuda" else "no GPU"
    figures: Figures = {"torch": torch.__version__, "card": card, "shapes": []}
    print(f"torch {torch.__version__}, {card}", flush=True)
    for name in asked.shapes or amount.shapes:
        figures["shapes"].append(measure(name, device, amount))
        if asked.out:
            asked.out.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
