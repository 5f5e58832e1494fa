"""Text -> token ids: trains the byte-level BPE tokenizer, encodes samples, gathers batches of like length."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch  # noqa: TID253 - training is one of the two places for it
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast  # noqa: TID253

from shared.prompt import END_OF_TEXT
from shared.tagged import DANGER_TOKENS, INTENT_TOKENS, REPLY_TOKEN, SPECIAL_TOKENS
from training.dataset import Sample

# How much each kind of target counts. The tags decide everything and are few; the reply is long and easy.
INTENT_WEIGHT, TAG_WEIGHT, REPLY_WEIGHT = 8.0, 4.0, 0.5
REPLY_KEPT = 0.12  # share of training samples that keep their reply: shorter sequences, more messages per minute
# In half of the training messages some words are cut in two before they are encoded, so that the model learns a word
# from its pieces too and reads misspelt ones: the idea of BPE dropout (Provilkov et al., arXiv 1910.13267).
CUT_MESSAGES, CUT_WORDS, SHORTEST_CUT = 0.5, 0.15, 4
_WORD = re.compile(r"[^\W\d_]+")


@dataclass(frozen=True)
class Pack:
    """Several answers that share one head: most of a prompt is rules and data, which are then computed once.

    `owners` says for each token whose it is (0 the head, 1.. the branches); a branch sees the head and itself, and its
    positions go on from the head, so the model meets exactly what it meets in service.
    """

    ids: tuple[int, ...]
    weights: tuple[float, ...]  # of each token as a target; 0 before the completion
    owners: tuple[int, ...]
    positions: tuple[int, ...]


@dataclass(frozen=True)
class Batch:
    ids: torch.Tensor  # (B, T) int64, padded on the right
    weights: torch.Tensor  # (B, T) float32, 0 where nothing is to be predicted
    positions: torch.Tensor  # (B, T) int64
    mask: torch.Tensor  # (B, 1, T, T) bool, True where a row may look

    def to(self, device: torch.device) -> Batch:
        return Batch(*(getattr(self, each.name).to(device) for each in fields(self)))


def train_tokenizer(samples: Iterable[Sample], vocab_size: int, context: int) -> Any:
    """Train a byte-level BPE: any text in any script can be written, Spanish of patients is written shortly.

    Args:
        vocab_size: with the special tokens.
        context: positions of the model, kept in the tokenizer's configuration.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    specials = [AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=specials,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator((sample.prompt + sample.completion for sample in samples), trainer)
    wrap: Any = PreTrainedTokenizerFast  # transformers' constructors carry no types
    return wrap(
        tokenizer_object=tokenizer,
        eos_token=END_OF_TEXT,
        bos_token=END_OF_TEXT,
        pad_token=END_OF_TEXT,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def packs(
    samples: Iterable[Sample], tokenizer: Any, context: int, size: int, rng: random.Random | None
) -> Iterator[Pack]:
    """Gather samples of one setting under the head of the first of them, `size` at a time; leftovers come last.

    With `rng` some samples lose their reply and some messages are cut into smaller pieces (training); without it all
    stay as they are (evaluation).
    """
    reply_id = tokenizer.convert_tokens_to_ids(REPLY_TOKEN)
    waiting: dict[str, list[Sample]] = {}

    def pack(group: Sequence[Sample]) -> Pack:
        head = tokenizer(group[0].head).input_ids
        encoded = [
            (
                encode_question(sample, tokenizer, rng if rng and rng.random() < CUT_MESSAGES else None),
                tokenizer(sample.completion).input_ids,
            )
            for sample in group
        ]
        return _pack(head, encoded, context, reply_id, rng)

    for sample in samples:
        group = waiting.setdefault(sample.setting, [])
        group.append(sample)
        if len(group) == size:
            yield pack(group)
            group.clear()
    for group in waiting.values():
        if group:
            yield pack(group)


def encode_question(sample: Sample, tokenizer: Any, rng: random.Random | None) -> list[int]:
    """Encode the patient's line; with `rng` some words are cut.

    Words of a slot always stay as the tokenizer writes them: they will be copied.
    """
    if rng is None:
        return list(tokenizer(sample.question).input_ids)
    spans = [(at, at + len(span)) for span in sample.answer.spans.values() if (at := sample.question.find(span)) >= 0]
    cuts = [0]
    for word in _WORD.finditer(sample.question):
        inside = any(begin < word.end() and word.start() < end for begin, end in spans)
        if not inside and len(word[0]) >= SHORTEST_CUT and rng.random() < CUT_WORDS:
            cuts.append(word.start() + rng.randrange(1, len(word[0])))
    cuts.append(len(sample.question))
    parts = [sample.question[begin:end] for begin, end in itertools.pairwise(cuts)]
    return [token for ids in tokenizer(parts).input_ids for token in ids]


def _pack(
    head: Sequence[int],
    encoded: Sequence[tuple[list[int], list[int]]],
    context: int,
    reply_id: int,
    rng: random.Random | None,
) -> Pack:
    ids, weights = list(head), [0.0] * len(head)
    owners, positions = [0] * len(head), list(range(len(head)))
    for owner, (question, answer) in enumerate(encoded, start=1):
        tags = answer.index(reply_id) + 1
        if rng is not None and rng.random() >= REPLY_KEPT:
            answer = answer[:tags]
        question = question[: context - len(head) - tags]
        answer = answer[: context - len(head) - len(question)]
        ids += [*question, *answer]
        weights += [0.0] * len(question) + [INTENT_WEIGHT] + [TAG_WEIGHT] * (tags - 1)
        weights += [REPLY_WEIGHT] * (len(answer) - tags)
        length = len(question) + len(answer)
        owners += [owner] * length
        positions += range(len(head), len(head) + length)
    return Pack(tuple(ids), tuple(weights), tuple(owners), tuple(positions))


def batches(packed: Sequence[Pack], size: int, pad: int, seed: int, pool: int = 512) -> Iterator[Batch]:
    """Yield batches; inside each pool neighbours in length go together, the pools keep their order."""
    rng = random.Random(seed)
    for start in range(0, len(packed), pool):
        ranked = sorted(packed[start : start + pool], key=lambda pack: len(pack.ids))
        groups = [ranked[at : at + size] for at in range(0, len(ranked), size)]
        rng.shuffle(groups)
        for group in groups:
            yield _stack(group, pad)


def _stack(group: Sequence[Pack], pad: int) -> Batch:
    width = max(len(pack.ids) for pack in group)

    def padded(rows: Iterable[Sequence[float]], filler: float) -> torch.Tensor:
        return torch.tensor([[*row, *[filler] * (width - len(row))] for row in rows])

    owners = padded((pack.owners for pack in group), -1)  # (B, T)
    row, column = owners[:, :, None], owners[:, None, :]
    mask = (column == 0) | (row == column)  # (B, T, T): the head, or one's own branch
    return Batch(
        ids=padded((pack.ids for pack in group), pad),
        weights=padded((pack.weights for pack in group), 0.0),
        positions=padded((pack.positions for pack in group), 0),
        mask=(mask & torch.ones(width, width, dtype=torch.bool).tril())[:, None],
    )


def tag_ids(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Return the ids of the 22 intents (in the order of `Intent`) and of no danger, danger."""
    return (
        tokenizer.convert_tokens_to_ids(list(INTENT_TOKENS.values())),
        tokenizer.convert_tokens_to_ids([DANGER_TOKENS[False], DANGER_TOKENS[True]]),
    )
