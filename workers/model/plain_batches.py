"""The model's arithmetic for a changing set of rows, by transformers: any causal model, CPU or GPU. Called by `engine`.

A row joins with `prefill`, all rows advance by one token with `step`, rows leave with `keep`. A prompt is computed
alone, so its first token and the confidence drawn from it are the same to the last bit whoever shares the batch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

import torch  # noqa: TID253
from transformers import DynamicCache  # noqa: TID253

# Contexts that a config does not state, or states without bound (ALiBi models): what we are ready to pay for.
DEFAULT_CONTEXT = 2048


class Forward(Protocol):
    """What the engine needs of a model. All logits are (rows, vocab) float32 on the CPU."""

    context_length: int  # tokens of prompt and answer together
    vocab_size: int

    def prefill(self, ids: Sequence[int]) -> torch.Tensor:
        """Add a row behind the others; return the logits after its last token, (1, vocab)."""

    def step(self, last_ids: Sequence[int]) -> torch.Tensor:
        """Append one token to every row; return the logits after it, (rows, vocab)."""

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all rows but these, in this order."""


class TransformersForward:
    """Rows of different lengths share one key/value cache, padded on the left."""

    def __init__(self, model: Any, vocab_size: int | None = None) -> None:
        """`vocab_size`: tokens that the tokenizer knows, when the model's table has more rows than that."""
        self._model = model
        self._device: torch.device = model.device
        rows = int(model.get_output_embeddings().weight.shape[0])
        self.vocab_size = min(rows, vocab_size or rows)
        self.context_length = int(getattr(model.config, "max_position_embeddings", None) or DEFAULT_CONTEXT)
        known = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in known
        # Without this the prompt's logits are (prompt, vocab): 50 MB for 256 tokens of a GPT-2.
        self._last_only: dict[str, int] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._lengths: list[int] = []  # tokens of each row; the cache is as wide as the longest
        self._cache: Any = None

    @torch.inference_mode()
    def prefill(self, ids: Sequence[int]) -> torch.Tensor:
        """See Forward. The running rows stay as they were if the model fails here."""
        tokens = torch.tensor([list(ids)], device=self._device)  # (1, prompt)
        cache = DynamicCache()
        output = self._model(input_ids=tokens, past_key_values=cache, use_cache=True, **self._last_only)
        logits = self._logits(output)
        self._merge(cache, len(ids))
        return logits

    @torch.inference_mode()
    def step(self, last_ids: Sequence[int]) -> torch.Tensor:
        """See Forward."""
        lengths = torch.tensor(self._lengths, device=self._device)
        width = max(self._lengths) + 1
        inputs: dict[str, Any] = {"input_ids": torch.tensor(last_ids, device=self._device)[:, None]}  # (rows, 1)
        if min(self._lengths) != max(self._lengths):
            columns = torch.arange(width, device=self._device)
            # (rows, width): 0 where a shorter row is padded on its left
            inputs["attention_mask"] = (columns >= (width - 1 - lengths)[:, None]).long()
        if self._takes_positions:
            inputs["position_ids"] = lengths[:, None]
        output = self._model(past_key_values=self._cache, use_cache=True, **inputs)
        self._lengths = [length + 1 for length in self._lengths]
        return self._logits(output)

    @torch.inference_mode()
    def keep(self, rows: Sequence[int]) -> None:
        """See Forward. Padding that no row needs any more goes too."""
        self._lengths = [self._lengths[row] for row in rows]
        if not self._lengths:
            self._cache = None
            return
        chosen = torch.tensor(list(rows), device=self._device)
        for layer in self._cache.layers:
            first = layer.keys.shape[-2] - max(self._lengths)
            layer.keys = layer.keys[chosen, :, first:]
            layer.values = layer.values[chosen, :, first:]

    def _merge(self, new: Any, length: int) -> None:
        if not self._lengths:
            self._cache, self._lengths = new, [length]
            return
        width = max([*self._lengths, length])
        merged = []
        for old_layer, new_layer in zip(self._cache.layers, new.layers, strict=True):
            keys = torch.cat([_widened(old_layer.keys, width), _widened(new_layer.keys, width)])
            values = torch.cat([_widened(old_layer.values, width), _widened(new_layer.values, width)])
            merged.append((keys, values))  # (rows, heads, width, head size)
        # Only now, when nothing can fail any more, do the running rows change.
        for layer, (keys, values) in zip(self._cache.layers, merged, strict=True):
            layer.keys, layer.values = keys, values
        self._lengths = [*self._lengths, length]

    def _logits(self, output: Any) -> torch.Tensor:
        last: torch.Tensor = output.logits[:, -1, : self.vocab_size]
        return last.float().cpu()


def _widened(cached: torch.Tensor, width: int) -> torch.Tensor:
    return torch.nn.functional.pad(cached, (0, 0, width - cached.shape[-2], 0))
