"""Who answers in the comparison: transformers under a lock, in batches, CTranslate2 in batches, our engine.

All compute on one thread, greedily, and write exactly as many tokens as were asked for. Called by `random_weights` and,
for the naive loop, by `bundled`.
"""

from __future__ import annotations

import importlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch  # noqa: TID253
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from workers.model.engine import Engine
from workers.model.generation import Request

BATCH, GATHER_S = 8, 0.01


@dataclass(frozen=True)
class Task:
    """A prompt and how many tokens are to follow."""

    ids: Sequence[int]
    new: int


class Side(Protocol):
    """Answers tasks of many threads at once."""

    def answer(self, task: Task) -> Sequence[int]: ...

    def close(self) -> None: ...


def float32_model(folder: Path) -> Any:
    """Load a checkpoint with transformers, in evaluation mode."""
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval()


class Transformers:
    """A checkpoint as transformers loads and runs it, in float32."""

    def __init__(self, folder: Path) -> None:
        self._model = float32_model(folder)
        self._model.generation_config.eos_token_id = None  # nobody stops early

    @torch.inference_mode()
    def generate(self, tasks: Sequence[Task]) -> list[list[int]]:
        """One call of `generate`, padded on the left; it lasts as long as the longest answer."""
        longest, new = max(len(task.ids) for task in tasks), max(task.new for task in tasks)
        pads = [longest - len(task.ids) for task in tasks]
        ids = torch.tensor([[0] * pad + list(task.ids) for pad, task in zip(pads, tasks, strict=True)])
        mask = torch.tensor([[0] * pad + [1] * (longest - pad) for pad in pads])
        written = self._model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=new, pad_token_id=0
        )
        return [row[longest : longest + task.new].tolist() for row, task in zip(written, tasks, strict=True)]


class CTranslate2:
    """A checkpoint that CTranslate2 has converted to int8."""

    def __init__(self, converted: Path) -> None:
        ctranslate2: Any = importlib.import_module("ctranslate2")  # of the extra "bench"

        self._model: Any = ctranslate2.Generator(
            str(converted), device="cpu", compute_type="int8", inter_threads=1, intra_threads=1
        )
        self._tokenizer: Any = AutoTokenizer.from_pretrained(converted.parent)

    def generate(self, tasks: Sequence[Task]) -> list[list[int]]:
        """One call of `generate_batch`; it lasts as long as the longest answer."""
        new = max(task.new for task in tasks)
        prompts = [self._tokenizer.convert_ids_to_tokens(list(task.ids)) for task in tasks]
        found = self._model.generate_batch(
            prompts, max_length=new, min_length=new, sampling_topk=1, include_prompt_in_result=False
        )
        return [list(one.sequences_ids[0][: task.new]) for one, task in zip(found, tasks, strict=True)]


Generate = Callable[[Sequence[Task]], list[list[int]]]


class Locked:
    """One request at a time, as the seed did it."""

    def __init__(self, generate: Generate) -> None:
        self._generate, self._lock = generate, threading.Lock()

    def answer(self, task: Task) -> Sequence[int]:
        with self._lock:
            return self._generate([task])[0]

    def close(self) -> None:
        pass


class Batched:
    """Whatever is asked within 10 ms is computed together, at most eight; the next batch begins when all are done."""

    def __init__(self, generate: Generate) -> None:
        self._generate = generate
        self._waiting: queue.Queue[tuple[Task, Future[list[int]]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def answer(self, task: Task) -> Sequence[int]:
        future: Future[list[int]] = Future()
        self._waiting.put((task, future))
        return future.result()

    def close(self) -> None:
        self._waiting.put(None)
        self._thread.join()

    def _serve(self) -> None:
        while first := self._waiting.get():
            batch = [first]
            try:
                while len(batch) < BATCH and (more := self._waiting.get(timeout=GATHER_S)):
                    batch.append(more)
            except queue.Empty:
                pass
            try:
                answers = self._generate([task for task, _ in batch])
            except Exception as error:
                for _, future in batch:
                    future.set_exception(error)
                continue
            for (_, future), ids in zip(batch, answers, strict=True):
                future.set_result(ids)


class Ours:
    """Our engine; without a corpus there are no drafts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine.start()

    def answer(self, task: Task) -> Sequence[int]:
        return self._engine.submit(Request(task.ids, task.new, deadline_s=3600.0)).result().ids

    def close(self) -> None:
        self._engine.close()
