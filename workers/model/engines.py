"""A loaded model -> the engine that serves it best. Called by `holder`."""

from __future__ import annotations

import logging

from workers.model.continuous import ContinuousEngine
from workers.model.draft_corpus import corpus_of
from workers.model.engine import Engine, Limits
from workers.model.engine_base import EngineBase
from workers.model.loader import LoadedModel
from workers.model.memory import kv_bytes, memory_limit
from workers.model.trial import can_serve, supports

log = logging.getLogger(__name__)
PREFIX_SHARE = 8  # the part of the memory for keys and values that kept prefixes may take besides


def engine_for(loaded: LoadedModel) -> EngineBase:
    """Our own scheduler for our GPT-2 and wherever answers have a grammar; else transformers' batching, if it can."""
    if loaded.model is not None and can_serve(loaded.info):
        if supports(loaded.model):
            log.info("the model is served by transformers' continuous batching: a temperature is not honoured")
            return ContinuousEngine(loaded.model, len(loaded.tokenizer))
        log.info("the model is served in plain batches")

    def encode(text: str) -> list[int]:
        ids: list[int] = loaded.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    limits = Limits(prefix_bytes=kv_bytes(memory_limit()) // PREFIX_SHARE)
    corpus = corpus_of(encode, loaded.folder, loaded.tokenizer.eos_token_id) if loaded.backend.draft_rows else None
    return Engine(loaded.backend, limits, corpus=corpus)
