"""Text -> token ids: trains the byte-level BPE tokenizer, encodes samples, gathers batches of like length."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch  # noqa: TID253 - training is one of the two places for it
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast  # noqa: TID253

from shared.prompt import END_OF_TEXT
from shared.tagged import DANGER_TOKENS, INTENT_TOKENS, REPLY_TOKEN, SPECIAL_TOKENS
from training.dataset import Sample

# How much each kind of target counts. The tags decide everything and are few; the reply is long and easy.
INTENT_WEIGHT, TAG_WEIGHT, REPLY_WEIGHT = 6.0, 4.0, 1.0
REPLY_KEPT = 0.4  # share of training samples that keep their reply: shorter sequences, more messages per minute


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

    With `rng` some samples lose their reply (training); without it all stay whole (evaluation).
    """
    reply_id = tokenizer.convert_tokens_to_ids(REPLY_TOKEN)
    waiting: dict[str, list[Sample]] = {}
    for sample in samples:
        group = waiting.setdefault(sample.setting, [])
        group.append(sample)
        if len(group) == size:
            yield _pack(group, tokenizer, context, reply_id, rng)
            group.clear()
    for group in waiting.values():
        if group:
            yield _pack(group, tokenizer, context, reply_id, rng)


def _pack(
    group: Sequence[Sample],
    tokenizer: Any,
    context: int,
    reply_id: int,
    rng: random.Random | None,
) -> Pack:
    head, *texts = tokenizer(
        [group[0].head, *(text for sample in group for text in (sample.question, sample.completion))]
    ).input_ids
    ids, weights = list(head), [0.0] * len(head)
    owners, positions = [0] * len(head), list(range(len(head)))
    for owner, (question, answer) in enumerate(zip(texts[::2], texts[1::2], strict=True), start=1):
        tags = answer.index(reply_id) + 1
        if rng is not None and rng.random() >= REPLY_KEPT:
            answer = answer[:tags]
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
