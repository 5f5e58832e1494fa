"""Fills the corpus of drafts: `drafts.json` beside the model when it is there, the cards, the fixed texts.

Called once by whoever builds the engine, with the model's own tokenizer. Reads files, imports no torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from shared.knowledge import KNOWLEDGE_FILE
from shared.messages import Frozen
from shared.prompt import END_OF_TEXT
from shared.tags import REPLY_TOKEN, SPECIAL_TOKENS
from shared.texts import TEXTS_FILE
from workers.model.drafts import WORD, Corpus
from workers.model.errors import ModelConfigError

FILE_NAME = "drafts.json"
WORD_SIGN = "?"  # in the file: one token of the patient's words inside a slot
_HEAD_PART = re.compile(r"<[^<>]+>|" + re.escape(WORD_SIGN))

Encode = Callable[[str], list[int]]


class SaidBefore(Frozen):
    """The file: what the model said to invented messages, and how often; most often first.

    A line is `<i:agendar_cita><d:0><s:fecha> ??<rsp> Con gusto. (...)<|endoftext|>`.
    """

    said: Mapping[str, int] = Field(default_factory=dict)


def corpus_of(encode: Encode, folder: Path | None, end: int | None = None) -> Corpus:
    """Build the corpus for a model.

    Args:
        encode: text to ids, nothing added at either end.
        folder: where the model lies; its `drafts.json` is read if there is one.
        end: the id that ends an answer, for a model that does not know our special tokens.

    Raises:
        ModelConfigError: when `drafts.json` is there and cannot be read.
    """
    special = encode("".join(SPECIAL_TOKENS))
    if len(special) != len(SPECIAL_TOKENS):
        ending = [] if end is None else [end]
        return Corpus(((encode(f" {text}") + ending, 1) for text in _fixed_texts()), end=end)
    by_token = dict(zip(SPECIAL_TOKENS, special, strict=True))

    def sequences() -> Iterator[tuple[list[int], int]]:
        for line, times in _read(folder).said.items():
            head, _, reply = line.partition(REPLY_TOKEN)
            tags = [by_token.get(part, WORD) for part in _HEAD_PART.findall(head)]
            yield [*tags, *encode(REPLY_TOKEN + reply)], times
        for text in _fixed_texts():
            yield encode(f"{REPLY_TOKEN} {text}{END_OF_TEXT}"), 1

    return Corpus(sequences(), special, by_token[REPLY_TOKEN], by_token[END_OF_TEXT])


def _read(folder: Path | None) -> SaidBefore:
    path = folder / FILE_NAME if folder else None
    if path is None or not path.exists():
        return SaidBefore()
    try:
        return SaidBefore.from_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise ModelConfigError(f"{FILE_NAME} beside the model cannot be read") from error


def _fixed_texts() -> list[str]:
    """The cards and the fixed texts as a model may write them: placeholders unfilled."""
    cards = yaml.safe_load(KNOWLEDGE_FILE.read_text(encoding="utf-8"))["cards"]
    texts = yaml.safe_load(TEXTS_FILE.read_text(encoding="utf-8"))["texts"]
    return [" ".join(text.split()) for text in [*(card["text"] for card in cards), *texts.values()]]
