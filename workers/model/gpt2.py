"""GPT-2's arithmetic, ours: int8 or float32 on a CPU, bfloat16 and others on a GPU, one code. Called by `engine`.

The rows of all pieces lie one behind the other in the linears, so different lengths cost no padding; each sequence
attends alone. Chosen tokens are attended to one by one and prompts in blocks at fixed places: a row's result then
depends neither on the batch, nor on drafts, nor on how a prompt was cut, nor on where its prefix came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch  # noqa: TID253
from torch import layer_norm  # noqa: TID253
from torch.nn.functional import gelu, relu, scaled_dot_product_attention, silu  # noqa: TID253

from workers.model.backend import BLOCK, Piece, Prefix
from workers.model.linears import Linear

ACTIVATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "gelu_new": lambda rows: gelu(rows, approximate="tanh"),
    "gelu_pytorch_tanh": lambda rows: gelu(rows, approximate="tanh"),
    "gelu": gelu,
    "relu": relu,
    "silu": silu,
}
Norm = tuple[torch.Tensor, torch.Tensor]  # gain and shift, (width,)


@dataclass(frozen=True)
class Shape:
    """What a config says, of the parts that we compute. `vocab` is what the tokenizer knows of the table."""

    layers: int
    heads: int
    width: int
    context: int
    vocab: int
    epsilon: float = 1e-5
    activation: str = "gelu_new"

    @property
    def head_size(self) -> int:
        return self.width // self.heads


@dataclass(frozen=True)
class Layer:
    attention_norm: Norm
    qkv: Linear
    out: Linear
    norm: Norm
    up: Linear
    down: Linear


@dataclass(frozen=True)
class Weights:
    tokens: torch.Tensor  # (vocab, width), looked up
    positions: torch.Tensor  # (context, width)
    layers: Sequence[Layer]
    norm: Norm
    head: Linear


@dataclass
class Memory:
    """Bytes of keys and values: `budget` for all running sequences; one alone is always let in."""

    budget: int
    used: int = 0
    slots: dict[int, torch.Tensor] = field(default_factory=dict)  # (layers, 2, heads, tokens, head size)


class Gpt2:
    """A `Backend`. Slots are tensors of just the length that their request can reach."""

    takes_several = True

    def __init__(
        self, shape: Shape, weights: Weights, kv_bytes: int, most_rows: int = 8, kv_dtype: torch.dtype | None = None
    ) -> None:
        """`kv_dtype`: how keys and values are kept, where not as they are computed; half of the bytes, half of the way
        to the memory."""
        self._shape, self._weights = shape, weights
        self._act = ACTIVATIONS[shape.activation]
        self._memory = Memory(kv_bytes)
        self.context_length, self.vocab_size = shape.context, shape.vocab
        self.most_rows, self.chunk, self.draft_rows, self._block = most_rows, 64, 24, BLOCK
        table = weights.positions
        self._device, self._dtype = table.device, table.dtype
        self._kept = kv_dtype or table.dtype
        self.token_bytes = shape.layers * 2 * shape.width * self._kept.itemsize

    def reserve(self, tokens: int) -> int | None:
        """See Backend."""
        shape, memory = self._shape, self._memory
        size = (shape.layers, 2, shape.heads, -(-tokens // BLOCK) * BLOCK, shape.head_size)
        need = size[3] * self.token_bytes
        if memory.slots and memory.used + need > memory.budget:
            return None
        slot = next(number for number in range(len(memory.slots) + 1) if number not in memory.slots)
        memory.slots[slot] = torch.empty(size, device=self._device, dtype=self._kept)
        memory.used += need
        return slot

    def release(self, slot: int) -> None:
        """See Backend."""
        self._memory.used -= self._memory.slots.pop(slot).nbytes

    @torch.inference_mode()
    def advance(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """See Backend."""
        weights, shape = self._weights, self._shape
        size, eps = (shape.width,), shape.epsilon
        ids = torch.tensor([token for piece in pieces for token in piece.ids])
        places = torch.tensor([piece.start + place for piece in pieces for place in range(len(piece.ids))])
        x = weights.tokens[ids.to(weights.tokens.device)].to(self._device, self._dtype)
        x = x + weights.positions[places.to(self._device)]  # (rows, width)
        runs = self._runs(pieces)
        for number, layer in enumerate(weights.layers):
            qkv = layer.qkv(layer_norm(x, size, *layer.attention_norm, eps))
            x = x + layer.out(self._attend(number, qkv, runs))
            x = x + layer.down(self._act(layer.up(layer_norm(x, size, *layer.norm, eps))))
        kept = list(_wanted_rows(pieces))
        rows = x if len(kept) == len(x) else x[kept]
        return weights.head(layer_norm(rows, size, *weights.norm, eps))[:, : shape.vocab].float()

    def save(self, slot: int, length: int) -> Prefix:
        """See Backend."""
        return Prefix(self._memory.slots[slot][:, :, :, :length].clone(), length)

    def restore(self, prefix: Prefix, slot: int, length: int) -> None:
        """See Backend."""
        self._memory.slots[slot][:, :, :, :length] = prefix.kept[:, :, :, :length]

    def _runs(self, pieces: Sequence[Piece]) -> list[_Run]:
        """What each piece means for attention, in all layers."""
        runs, row = [], 0
        for piece in pieces:
            cached, start, end = self._memory.slots[piece.slot], piece.start, piece.start + len(piece.ids)
            cuts = []
            while start < end:
                stop = min(end, start - start % self._block + self._block) if piece.prompt else start + 1
                mask = None
                if stop - start > 1:
                    mask = torch.ones(stop - start, stop, dtype=torch.bool, device=self._device).tril(start)
                cuts.append(_Cut(start - piece.start, stop - piece.start, stop, mask))
                start = stop
            # Views for all layers at once: made one by one they would cost more than a small model's arithmetic.
            new = cached[:, :, :, piece.start : end].unbind(0)
            seen = cached[:, :, None, :, :end].unbind(0)
            runs.append(_Run(row, row + len(piece.ids), new, seen, cuts))
            row += len(piece.ids)
        return runs

    def _attend(self, number: int, qkv: torch.Tensor, runs: Sequence[_Run]) -> torch.Tensor:
        """Store the keys and values of all rows of a layer, and mix each row with what it may see.

        Args:
            qkv: (rows, 3 * width).
        """
        shape, mixed = self._shape, []
        split = qkv.view(len(qkv), 3, shape.heads, shape.head_size).permute(1, 2, 0, 3)  # (3, heads, rows, head size)
        for run in runs:
            part = split if len(runs) == 1 else split[:, :, run.row : run.end]
            run.new[number].copy_(part[1:])
            keys, values = run.seen[number].to(self._dtype).unbind(0)
            for cut in run.cuts:
                whole = len(run.cuts) == 1
                query = part[:1] if whole else part[:1, :, cut.first : cut.last]
                seen = (keys, values) if whole else (keys[:, :, : cut.stop], values[:, :, : cut.stop])
                found = scaled_dot_product_attention(query, *seen, attn_mask=cut.mask)  # (1, heads, n, head size)
                mixed.append(found.transpose(1, 2).reshape(-1, shape.width))
        return torch.cat(mixed) if len(mixed) > 1 else mixed[0]


@dataclass(frozen=True)
class _Cut:
    """Rows `first` to `last` of a piece, which attend in one call to all up to `stop`."""

    first: int
    last: int
    stop: int
    mask: torch.Tensor | None  # (last - first, stop): False for what comes after a row's own place


@dataclass(frozen=True)
class _Run:
    """A piece: rows `row` to `end` of the pass."""

    row: int
    end: int
    new: Sequence[torch.Tensor]  # for each layer: (2, heads, n, head size), where their keys and values go
    seen: Sequence[torch.Tensor]  # for each layer: (2, 1, heads, all up to the last of them, head size)
    cuts: Sequence[_Cut]


def _wanted_rows(pieces: Sequence[Piece]) -> Iterable[int]:
    end = 0
    for piece in pieces:
        end += len(piece.ids)
        yield from range(end - piece.wanted, end)
