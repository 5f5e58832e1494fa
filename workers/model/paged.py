"""transformers' continuous batching, with a key/value cache of known size. Called by `continuous` from its thread.

Left to its defaults transformers takes 60 % of the free memory of a CPU machine, or 90 % of a GPU, for the cache: 12 GB
for a model of 20 MB. Here the cache follows from a byte budget. Runs on transformers 5.17 and later: page and attention
were named otherwise before 5.23.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from transformers import GenerationConfig  # noqa: TID253
from transformers.generation.configuration_utils import ContinuousBatchingConfig  # noqa: TID253

PAGE_TOKENS = 32  # the grain in which rows take memory and prefixes are shared
STEP_TOKENS = 256  # tokens computed in one step at most: a long prompt is cut, so that running rows do not stand still
DEFAULT_CONTEXT = 2048  # for a config that states none, or none with an end
FLASH = "flash_attention"


@dataclass(frozen=True)
class CachePlan:
    """How the budget is spent. `pages` of PAGE_TOKENS tokens, shared by at most `max_batch` rows."""

    pages: int
    max_batch: int
    context_length: int  # tokens of prompt and answer: what the model knows, or less where the cache is too small

    @staticmethod
    def pages_for(tokens: int) -> int:
        return -(-tokens // PAGE_TOKENS)


def plan_cache(model: Any, max_batch: int, cache_bytes: int) -> CachePlan:
    """Turn a byte budget into pages: keys and values, and the attention mask that grows with them.

    Raises:
        ValueError: if the budget does not hold even a short answer.
    """
    config = model.config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    key_and_value = 2 * config.num_hidden_layers * heads * head_size
    per_page = PAGE_TOKENS * (key_and_value + STEP_TOKENS) * model.dtype.itemsize
    context = int(getattr(config, "max_position_embeddings", None) or DEFAULT_CONTEXT)
    # Two more are the library's own, which it writes padding to.
    affordable = cache_bytes // per_page - 2
    pages = min(affordable, max_batch * CachePlan.pages_for(context))  # more could never be used
    if pages < 2:
        raise ValueError(f"a cache of {cache_bytes} bytes is too small: {per_page} bytes hold {PAGE_TOKENS} tokens")
    return CachePlan(pages, max_batch, min(context, pages * PAGE_TOKENS))


class PagedModel:
    """One life of transformers' batching thread. Whatever the model raises ends it; then a new one is made."""

    def __init__(self, model: Any, plan: CachePlan) -> None:
        """Start the thread. Call this in a daemon thread: the new one inherits that, and may hang for ever.

        The model belongs to it until `stop`: meanwhile its attention reads the pages.
        """
        # Its warnings quote token ids, which are patients' words; its errors are logged by `continuous`.
        logging.getLogger("ContinuousBatchingLogger").setLevel(logging.CRITICAL)
        self._model = model
        self._attention = model.config._attn_implementation
        known = {field.name for field in fields(ContinuousBatchingConfig)}
        only_here: dict[str, Any] = {"page_size" if "page_size" in known else "block_size": PAGE_TOKENS}
        # Never let it fetch a flash kernel from the Hub: that is code of others.
        if "auto_switch_to_flash" in known:
            only_here["auto_switch_to_flash"] = False
        elif FLASH not in self._attention:
            model.set_attn_implementation(f"paged|{self._attention}")
        config = ContinuousBatchingConfig(
            num_blocks=plan.pages,
            max_batch_tokens=STEP_TOKENS,
            max_requests_per_batch=plan.max_batch,
            safety_margin=0.0,  # `continuous` lets a row in only when its whole answer has room
            return_logprobs=True,
            **only_here,
        )
        settle: Any = GenerationConfig  # its constructor carries no types
        greedy = settle(do_sample=False, eos_token_id=-1)
        try:
            self._manager = model.init_continuous_batching(greedy, config)
            self._manager.start()
        except BaseException:
            self._restore_attention()
            raise

    @property
    def is_alive(self) -> bool:
        """False from the moment in which the model raised something, a little before the thread has ended."""
        refuses = self._manager.background_thread_status.can_accept_new_requests()
        return bool(self._manager.is_running()) and refuses is None

    @property
    def error(self) -> Exception | None:
        """What ended the thread."""
        fatal: Exception | None = self._manager.background_thread_status.fatal_error
        return fatal

    @property
    def passes(self) -> int:
        """Forward passes so far, those of cut prompts too."""
        return int(getattr(self._manager, "current_batch", 0))

    @property
    def is_idle(self) -> bool:
        """True when nothing is in hand, cancelled rows neither."""
        processor = self._manager.batch_processor
        waits = not (self._manager.input_queue.empty() and self._manager.cancel_queue.empty())
        return not waits and (processor is None or not processor.has_pending_requests())

    def add(self, name: str, ids: Sequence[int], max_new_tokens: int, stop_ids: frozenset[int]) -> None:
        """Let a row join at the next step; of no effect when the thread has ended."""
        self._manager.add_request(
            list(ids), request_id=name, max_new_tokens=max_new_tokens, streaming=True, eos_token_id=sorted(stop_ids)
        )

    def cancel(self, name: str) -> None:
        self._manager.cancel_request(name)

    def next_output(self, timeout_s: float) -> Any:
        """Return a row as it is after its newest token (a transformers GenerationOutput), or None."""
        if not timeout_s and self._manager.output_router.output_queue.empty():
            return None
        return self._manager.get_result(timeout=timeout_s or None)

    def stop(self, timeout_s: float) -> bool:
        """End the thread, free the cache, give the model back; False when it hangs."""
        self._manager.stop(block=True, timeout=timeout_s, hard_stop=True)
        self._restore_attention()
        return not self._manager.is_running()

    def _restore_attention(self) -> None:
        if self._model.config._attn_implementation != self._attention:
            self._model.set_attn_implementation(self._attention)
