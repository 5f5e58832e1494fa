"""How well the model writes: perplexity, bits per character, BLEU and chrF of its replies. Called by `evaluate`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sacrebleu
import torch  # noqa: TID253 - training is one of the two places for it
from torch.nn import functional  # noqa: TID253
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.errors import AssistantError
from training.dataset import Sample
from training.encoding import REPLY_WEIGHT, batches, packs
from training.gold import Gold
from training.metrics import Figures
from training.systems import Bench, answers


@torch.inference_mode()
def perplexity(folder: Path, samples: Sequence[Sample]) -> Figures:
    """Exp of the mean loss per token after the cue, of everything and of the reply alone."""
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder)
    model.eval()
    context = int(model.config.max_position_embeddings)
    every: list[torch.Tensor] = []
    of_reply: list[torch.Tensor] = []
    for batch in batches(list(packs(samples, tokenizer, context, 4, None)), 4, int(tokenizer.pad_token_id), 0):
        logits = model(batch.ids, attention_mask=batch.mask, position_ids=batch.positions).logits
        wanted = batch.weights[:, 1:] > 0
        losses = functional.cross_entropy(logits[:, :-1][wanted], batch.ids[:, 1:][wanted], reduction="none")
        every.append(losses)
        of_reply.append(losses[batch.weights[:, 1:][wanted] == REPLY_WEIGHT])
    characters = sum(len(sample.completion) for sample in samples)
    return {
        "perplexity": round(torch.cat(every).mean().exp().item(), 3),
        "perplexity_reply": round(torch.cat(of_reply).mean().exp().item(), 3),
        "bits_per_character": round(torch.cat(every).sum().item() / math.log(2) / characters, 4),
        "vocabulary": len(tokenizer),
    }


def reply_scores(bench: Bench, golds: Sequence[Gold]) -> Figures:
    """BLEU (13a) and chrF of the model's own replies against the generated ones, placeholders unfilled."""
    generated = [gold for gold in golds if gold.sample is not None]

    def reply(gold: Gold) -> str:
        try:
            return bench.read(gold, needs_reply=True).reply or ""
        except AssistantError:
            return ""

    said = answers(reply, generated, "replies")
    wanted = [gold.sample.answer.reply or "" for gold in generated if gold.sample]
    return {
        "bleu": round(sacrebleu.corpus_bleu(said, [wanted]).score, 2),
        "chrf": round(sacrebleu.corpus_chrf(said, [wanted]).score, 2),
        "replies": len(said),
    }
