"""Writes `drafts.json` beside a model: what it says to invented messages, for the engine to guess from.

Run: python -m training.drafts [--folder workers/model/bundled] (five minutes on two cores). The messages are those of
the training split, so no patient's word can be in the file; the words inside slots are left out all the same. Read by
`workers.model.draft_corpus`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer  # noqa: TID253 - training is one of the two places for it

from shared.errors import AssistantError
from shared.settings import BUNDLED_MODEL
from shared.tagged import Tagged, write
from training.gold import Gold, generated
from training.systems import Bench, answers, open_bench
from workers.model.draft_corpus import FILE_NAME, WORD_SIGN, SaidBefore
from workers.model.reader import Reading

SEED, COUNT = 2026, 3_000


def collect(folder: Path, seed: int, count: int) -> SaidBefore:
    """Let the model answer `count` messages of the training split; count what it says."""
    load: Any = AutoTokenizer
    tokenizer = load.from_pretrained(folder)
    said: Counter[str] = Counter()
    golds = list(generated("train", seed, count))
    with open_bench(folder) as bench:
        readings = answers(lambda gold: _read(bench, gold), golds, "drafts")
    for reading in readings:
        if reading is not None and reading.intent is not None:
            lengths = {slot: len(tokenizer(f" {span}").input_ids) for slot, span in reading.spans.items()}
            spans = {slot: WORD_SIGN * length for slot, length in lengths.items()}
            tags = (reading.intent, reading.danger, reading.secondary)
            said[write(Tagged(*tags, spans, reading.reason, reading.reply))] += 1
    return SaidBefore(said=dict(said.most_common()))


def _read(bench: Bench, gold: Gold) -> Reading | None:
    try:
        return bench.read(gold, needs_reply=True)
    except AssistantError:  # an answer that cannot be read is none to expect
        return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=BUNDLED_MODEL)
    parser.add_argument("--count", type=int, default=COUNT, help="messages to answer")
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    found = collect(options.folder, options.seed, options.count)
    text = json.dumps(found.model_dump(), ensure_ascii=False, indent=0) + "\n"
    (options.folder / FILE_NAME).write_text(text, encoding="utf-8")
    print(f"{len(found.said)} different answers to {options.count} messages, {len(text) // 1024} kB")


if __name__ == "__main__":
    main()
