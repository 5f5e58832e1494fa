"""`make bench-engine`: our engine beside transformers and CTranslate2. Run: python -m benchmarks.engine [a b c d e f]

a  gpt2's size, random weights: CPU-seconds and latencies of one request and of eight clients, all sides in turn
b  the same for gpt2-large's size, and the share of the memory's speed that decoding reaches
c  the bundled model on real messages: passes over the weights per reply, with and without drafts and forced tokens
d  the first token of a prompt whose beginning is known
e  batch = single to the last bit, and how far the bundled model as it is served is from float32
f  gpt2-large's size in 4 GB: memory, and seconds of the first start and the second

Each row runs in a process of its own, on one thread; nothing else should run on that core. All of it takes about an
hour, most of it row b's naive loop. `--out` keeps the figures of rows that are not measured again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.inference.report import draw, tables

Figures = dict[str, Any]


def row_a(models: Path, quick: bool) -> Figures:
    from benchmarks.inference import random_weights as it
    from benchmarks.inference.checkpoints import GPT2, SMALL

    return it.compare(models, SMALL if quick else GPT2, it.Amount(1, 1, 1) if quick else it.Amount(3, 3, 2))


def row_b(models: Path, quick: bool) -> Figures:
    from benchmarks.inference import random_weights as it
    from benchmarks.inference.checkpoints import LARGE, SMALL_LARGE

    size = SMALL_LARGE if quick else LARGE
    amount = it.Amount(1, 1, 1, decoded=8, read_mb=64) if quick else it.Amount(2, 1, 2)
    limit = it.share_of_limit(models, size, amount, 1 if quick else 7)
    print(f"  {json.dumps(limit)}", flush=True)
    return it.compare(models, size, amount) | {"limit": limit}


def row_c(models: Path, quick: bool) -> Figures:
    from benchmarks.inference import bundled as it

    bundled = it.Bundled(12 if quick else 200, models)
    rounds = 1 if quick else 3
    return it.passes(bundled, rounds) | {"draft_rows": it.draft_rows(bundled, rounds)}


def row_d(models: Path, quick: bool) -> list[Figures]:
    from benchmarks.inference import bundled as it
    from benchmarks.inference.checkpoints import GPT2, LARGE, SMALL
    from benchmarks.inference.random_weights import known_prefix

    rounds = 1 if quick else 5
    rows = [known_prefix(models, size, rounds) for size in ((SMALL,) if quick else (GPT2, LARGE))]
    return [*rows, it.constant_head(it.Bundled(12 if quick else 200, models), rounds)]


def row_e(models: Path, quick: bool) -> Figures:
    from benchmarks.inference import exactness as it
    from benchmarks.inference.bundled import Bundled

    bundled = Bundled(12 if quick else 200, models)
    requests = bundled.requests()
    found = {"batch": it.batch_is_single(bundled, requests), "float32": it.against_float32(bundled, requests)}
    return {"precision": bundled.loaded.info.precision} | found


def row_f(models: Path, quick: bool) -> Figures:
    from benchmarks.inference.checkpoints import LARGE, SMALL_LARGE, random_checkpoint
    from benchmarks.inference.small_server import small_server

    return small_server(random_checkpoint(models, SMALL_LARGE if quick else LARGE), 1 if quick else 3)


ROWS: dict[str, Callable[[Path, bool], Any]] = {
    "a": row_a,
    "b": row_b,
    "c": row_c,
    "d": row_d,
    "e": row_e,
    "f": row_f,
}


def measure(rows: Sequence[str], models: Path, quick: bool, found: Figures, out: Path | None) -> Figures:
    """Run each row in a fresh process, so that none holds another's memory; figures are written after each."""
    os.environ["OMP_NUM_THREADS"] = "1"  # read when torch is imported, in the processes of the rows
    models.mkdir(parents=True, exist_ok=True)
    for row in rows:
        print(f"row {row}", flush=True)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            found[row] = process.submit(run, row, models, quick).result()
        if out:
            out.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found


def run(row: str, models: Path, quick: bool) -> Any:
    """One row, in its own process."""
    import torch

    torch.set_num_threads(1)
    return ROWS[row](models, quick)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", choices=[*ROWS, []], help="what to measure, all by default")
    parser.add_argument("--quick", action="store_true", help="small models, few messages: no figures to keep")
    parser.add_argument("--models", type=Path, default=Path("var/engine"), help="where the random models are kept")
    parser.add_argument("--out", type=Path, help="JSON with the figures; rows that are in it already stay")
    parser.add_argument("--picture", type=Path, help="write a PNG")
    parser.add_argument("--show", action="store_true", help="measure nothing: tables and picture of what --out holds")
    asked = parser.parse_args()
    rows = list(ROWS) if asked.show or not asked.rows else asked.rows
    found: Figures = json.loads(asked.out.read_text(encoding="utf-8")) if asked.out and asked.out.exists() else {}
    if not asked.show:
        measure(rows, asked.models.resolve(), asked.quick, found, asked.out)
    print(tables({row: found[row] for row in rows if row in found}))
    if asked.picture:
        draw(found, asked.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
