"""Any causal model through transformers, in plain batches, CPU or GPU. A `backend.Backend`; called by `engine`.

For architectures that are not our GPT-2. A prompt is computed alone; the next tokens of all answers are one batch,
padded on the left. No drafts and no kept prefixes.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch  # noqa: TID253
from torch.nn.functional import pad  # noqa: TID253
from transformers import DynamicCache  # noqa: TID253

from workers.model.backend import Piece, Prefix

# Contexts that a config does not state, or states without bound (ALiBi models): what we are ready to pay for.
DEFAULT_CONTEXT = 2048
Layers = list[tuple[torch.Tensor, torch.Tensor]]  # keys and values, (1, heads, tokens, head size) each


@dataclass
class _Sequence:
    layers: Layers = field(default_factory=list)
    length: int = 0


class PlainBatches:
    """See the file's head. A sequence keeps its own keys and values, so each pass may be of any of them."""

    token_bytes = 0
    draft_rows = 0
    takes_several = False

    def __init__(self, model: Any, vocab_size: int | None = None, most_rows: int = 8) -> None:
        """`vocab_size`: tokens that the tokenizer knows, when the model's table has more rows than that."""
        self._model = model
        self._device: torch.device = model.device
        rows = int(model.get_output_embeddings().weight.shape[0])
        self.vocab_size = min(rows, vocab_size or rows)
        self.context_length = int(getattr(model.config, "max_position_embeddings", None) or DEFAULT_CONTEXT)
        self.most_rows, self.chunk = most_rows, self.context_length
        known = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in known
        # Without this the prompt's logits are (prompt, vocab): 50 MB for 256 tokens of a GPT-2.
        self._last_only: dict[str, int] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        self._sequences: dict[int, _Sequence] = {}

    def reserve(self, tokens: int) -> int | None:
        """See Backend. Memory is taken as a sequence grows."""
        slot = next(number for number in range(len(self._sequences) + 1) if number not in self._sequences)
        self._sequences[slot] = _Sequence()
        return slot

    def release(self, slot: int) -> None:
        """See Backend."""
        del self._sequences[slot]

    @torch.inference_mode()
    def advance(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """See Backend. A piece is a whole prompt or one token."""
        logits: dict[int, torch.Tensor] = {}
        answers = [piece for piece in pieces if not piece.prompt]
        if answers:
            logits |= dict(zip([piece.slot for piece in answers], self._step(answers), strict=True))
        for piece in pieces:
            if piece.prompt:
                logits[piece.slot] = self._prompt(piece)
        return torch.stack([logits[piece.slot] for piece in pieces if piece.wanted])

    def save(self, slot: int, length: int) -> Prefix:
        raise NotImplementedError("plain batches keep no prefixes")

    def restore(self, prefix: Prefix, slot: int, length: int) -> None:
        raise NotImplementedError("plain batches keep no prefixes")

    def _prompt(self, piece: Piece) -> torch.Tensor:
        tokens = torch.tensor([list(piece.ids)], device=self._device)  # (1, prompt)
        cache = DynamicCache()
        output = self._model(input_ids=tokens, past_key_values=cache, use_cache=True, **self._last_only)
        self._sequences[piece.slot] = _Sequence(_layers(cache), len(piece.ids))
        return self._logits(output)[0]

    def _step(self, pieces: Sequence[Piece]) -> torch.Tensor:
        lengths = torch.tensor([piece.start for piece in pieces], device=self._device)
        width = max(piece.start for piece in pieces)
        sequences = [self._sequences[piece.slot] for piece in pieces]
        cache = DynamicCache()
        for number in range(len(sequences[0].layers)):
            both: list[torch.Tensor] = []
            for kind in (0, 1):
                parts = [
                    (each.layers[number][kind], piece.start) for each, piece in zip(sequences, pieces, strict=True)
                ]
                both.append(torch.cat([pad(part[:, :, :used], (0, 0, width - used, 0)) for part, used in parts]))
            cache.update(both[0], both[1], layer_idx=number)
        inputs: dict[str, Any] = {"input_ids": torch.tensor([list(piece.ids) for piece in pieces], device=self._device)}
        if len({piece.start for piece in pieces}) > 1:
            columns = torch.arange(width + 1, device=self._device)
            # (rows, width + 1): 0 where a shorter row is padded on its left
            inputs["attention_mask"] = (columns >= (width - lengths)[:, None]).long()
        if self._takes_positions:
            inputs["position_ids"] = lengths[:, None]
        output = self._model(past_key_values=cache, use_cache=True, **inputs)
        layers = _layers(cache)
        for row, (each, piece) in enumerate(zip(sequences, pieces, strict=True)):
            first = width - piece.start
            each.layers = [
                (keys[row : row + 1, :, first:], values[row : row + 1, :, first:]) for keys, values in layers
            ]
            each.length = piece.start + 1
        return self._logits(output)

    def _logits(self, output: Any) -> torch.Tensor:
        last: torch.Tensor = output.logits[:, -1, : self.vocab_size]
        return last.float()


def _layers(cache: Any) -> Layers:
    return [(layer.keys, layer.values) for layer in cache.layers]
