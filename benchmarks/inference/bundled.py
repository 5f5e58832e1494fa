"""Rows c and d: the bundled model on real messages, read as a worker reads them. Called by `benchmarks.engine`.

Each block of messages has a fresh engine, so that no prompt is known from a block before; within a block the constant
head is, as in a worker. Times include encoding, grammar and reading the answer; the naive loop is given the ids of the
same prompts and writes as many tokens, and nothing else.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.gpu import MESSAGES, read
from benchmarks.inference.random_weights import Figures
from benchmarks.inference.sides import Task, Transformers
from shared.settings import BUNDLED_MODEL, ProcessRole
from shared.settings import load as settings
from workers.model import loader
from workers.model.draft_corpus import corpus_of
from workers.model.engine import Engine, Limits
from workers.model.engines import PREFIX_SHARE
from workers.model.generation import EngineStats, Generation, Request
from workers.model.loader import LoadedModel
from workers.model.memory import kv_bytes, memory_limit
from workers.model.reader import Reader
from workers.model.rows import Row

DRAFT_ROWS = (4, 8, 12, 24)
VARIANTS = {  # drafts, forced tokens
    "neither": (False, False),
    "forced tokens": (False, True),
    "drafts": (True, False),
    "drafts and forced tokens": (True, True),
}


class Recorder(Engine):
    """Keeps what it was asked and what it answered."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.asked: list[tuple[Request, Future[Generation]]] = []

    def submit(self, request: Request) -> Future[Generation]:
        future = super().submit(request)
        self.asked.append((request, future))
        return future

    def answers(self) -> list[Generation]:
        return [future.result() for _, future in self.asked]


class Bundled:
    """The bundled model, loaded once for many engines, and the messages."""

    def __init__(self, messages: int, cache_dir: Path) -> None:
        given: dict[str, Any] = {"MODEL_NAME": str(BUNDLED_MODEL), "MODEL_DEVICE": "cpu", "MODEL_THREADS": 1}
        self.loaded: LoadedModel = loader.load(settings(ProcessRole.TOOL, MODEL_CACHE_DIR=cache_dir, **given))
        self.backend = self.loaded.backend
        self.lines: list[dict[str, Any]] = [
            json.loads(line) for line in MESSAGES.read_text(encoding="utf-8").splitlines()[:messages]
        ]
        self.corpus = corpus_of(self._encode, self.loaded.folder)

    @contextmanager
    def engine(self, drafts: bool = True, prefixes: bool = True) -> Iterator[Recorder]:
        """A fresh engine, with a worker's limits."""
        limits = Limits(prefix_bytes=kv_bytes(memory_limit()) // PREFIX_SHARE if prefixes else 0)
        engine = Recorder(self.backend, limits, corpus=self.corpus if drafts else None)
        engine.start()
        try:
            yield engine
        finally:
            engine.close()

    def read_all(self, engine: Engine, clients: int = 1) -> None:
        """Let a worker's reader read every message as the first of a stranger."""
        reader = Reader(self.loaded, engine, self.loaded.calibration)
        with ThreadPoolExecutor(clients) as pool:
            list(pool.map(lambda line: read(reader, line), self.lines))

    def requests(self) -> list[Request]:
        """What the reader asks of the engine for the messages, in their order."""
        with self.engine() as engine:
            self.read_all(engine)
            return [request for request, _ in engine.asked]

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self.loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


@dataclass(frozen=True)
class Block:
    """All messages once."""

    cpu_s: float
    stats: EngineStats
    answers: list[Generation]


def passes(bundled: Bundled, rounds: int) -> Figures:
    """Row c: passes over the weights and CPU-seconds per reply, with and without what saves passes."""
    found: dict[str, list[Block]] = {name: [] for name in VARIANTS}
    naive: list[float] = []
    plain = Transformers(BUNDLED_MODEL)
    requests = bundled.requests()  # warms up
    for _ in range(rounds):
        for name, (drafts, forced) in VARIANTS.items():
            with _forced(forced):
                found[name].append(_block(bundled, drafts))
        tasks = _as_tasks(requests, found["neither"][-1].answers)
        naive.append(_cpu_s(lambda tasks=tasks: [plain.generate([task]) for task in tasks]))  # type: ignore[misc]
    replies = len(requests)
    base = statistics.median(naive) / replies
    right = [(one.ids, one.logprobs) for one in found["neither"][0].answers]
    rows = []
    for name, blocks in found.items():
        stats, answers = blocks[0].stats, blocks[0].answers
        cpu_s = statistics.median(block.cpu_s for block in blocks) / replies
        ratios = [given / block.cpu_s for given, block in zip(naive, blocks, strict=True)]
        rows.append(
            {
                "variant": name,
                "passes_per_reply": round(stats.passes / replies, 2),
                "tokens_per_reply": round(stats.tokens / replies, 2),
                "tokens_per_pass": round(stats.tokens / stats.passes, 2),
                "drafts_accepted": round(stats.accepted / stats.drafted, 3) if stats.drafted else None,
                "cpu_ms_per_reply": round(cpu_s * 1000, 2),
                "cpu_gain": round(statistics.median(ratios), 2),
                "same_ids": sum(a.ids == ids for a, (ids, _) in zip(answers, right, strict=True)),
                "same_logprobs": sum(a.logprobs == given for a, (_, given) in zip(answers, right, strict=True)),
            }
        )
        print(f"  {json.dumps(rows[-1])}", flush=True)
    return {"replies": replies, "rounds": rounds, "naive_cpu_ms_per_reply": round(base * 1000, 2), "variants": rows}


def draft_rows(bundled: Bundled, rounds: int) -> list[Figures]:
    """CPU-seconds per reply by how many rows of a pass may be spent on drafts, one message at a time and eight."""
    kept = bundled.backend.draft_rows
    cases = [(rows, clients) for rows in DRAFT_ROWS for clients in (1, 8)]
    costs: dict[tuple[int, int], list[float]] = {case: [] for case in cases}
    try:
        for _ in range(rounds):
            for rows, clients in cases:
                bundled.backend.draft_rows = rows
                costs[rows, clients].append(_block(bundled, clients=clients).cpu_s / len(bundled.lines))
    finally:
        bundled.backend.draft_rows = kept
    medians = {case: round(statistics.median(each) * 1000, 2) for case, each in costs.items()}
    names = {1: "cpu_ms_one", 8: "cpu_ms_eight"}
    return [{"draft_rows": rows} | {name: medians[rows, n] for n, name in names.items()} for rows in DRAFT_ROWS]


def constant_head(bundled: Bundled, rounds: int) -> Figures:
    """Row d: CPU-seconds to the first token of the real prompts, with the head of `<SYS>` and `<DATA>` known."""
    requests = [replace(request, max_new_tokens=1, allowed=None) for request in bundled.requests()]
    first, *others = requests
    costs: dict[bool, list[float]] = {False: [], True: []}
    known = total = 0
    for _ in range(rounds):
        for prefixes, each in costs.items():
            with bundled.engine(drafts=False, prefixes=prefixes) as engine:
                engine.submit(first).result()
                before = engine.stats()
                each.append(_cpu_s(lambda engine=engine: [engine.submit(one).result() for one in others]))  # type: ignore[misc]
                known = engine.stats().prefix_tokens - before.prefix_tokens
                total = engine.stats().prompt_tokens - before.prompt_tokens
    whole, kept = (statistics.median(costs[prefixes]) / len(others) for prefixes in (False, True))
    return {
        "model": "bundled",
        "prompt_tokens": round(total / len(others), 1),
        "reused_tokens": round(known / len(others), 1),
        "rounds": rounds,
        "whole_cpu_s": round(whole, 5),
        "known_cpu_s": round(kept, 5),
        "gain": round(statistics.median(a / b for a, b in zip(costs[False], costs[True], strict=True)), 2),
    }


def _block(bundled: Bundled, drafts: bool = True, clients: int = 1) -> Block:
    with bundled.engine(drafts) as engine:
        cpu_s = _cpu_s(lambda: bundled.read_all(engine, clients))
        return Block(cpu_s, engine.stats(), engine.answers())


@contextmanager
def _forced(on: bool) -> Iterator[None]:
    """Without it, tokens that alone may follow are asked of the model like all others."""
    if on:
        yield
        return
    with patch.object(Row, "force", lambda _: (None, 0)):
        yield


def _as_tasks(requests: Sequence[Request], answers: Sequence[Generation]) -> list[Task]:
    """The same work for the naive loop: the token that ends an answer has to be written too."""
    return [Task(r.ids, len(a.ids) + 1) for r, a in zip(requests, answers, strict=True)]


def _cpu_s(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun
