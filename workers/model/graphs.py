"""Our GPT-2 on a GPU: the next token of all answers by one recorded CUDA graph. A `Backend`; called by `engine`.

A graph wants its memory to stay where it is, so slots are rows of one table. Rows below the highest slot in use are
computed along, whoever has them, and write to a place behind the context that nobody reads. One graph is recorded for
each size of batch and of context that was met, in steps of two. Prompts are read as on a CPU, without blocks: there
the card's own kernels decide how a sum is ordered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch  # noqa: TID253
from torch import layer_norm  # noqa: TID253
from torch.nn.functional import scaled_dot_product_attention  # noqa: TID253

from workers.model.backend import Piece
from workers.model.gpt2 import Gpt2, Shape, Weights

MOST_ROWS = 256
MEMORY_SHARE = 0.5  # of what is free after the weights
SMALLEST_WIDTH = 64
CHUNK = 2048


class GraphedGpt2(Gpt2):
    """See the file's head. On a CPU, for tests, the same steps run without a graph."""

    def __init__(self, shape: Shape, weights: Weights, most_rows: int) -> None:
        super().__init__(shape, weights, 0, most_rows)
        self.draft_rows, self.chunk, self._block = 0, CHUNK, shape.context
        device = self._device
        size = (shape.layers, 2, most_rows, shape.heads, shape.context + 1, shape.head_size)
        self._table = torch.zeros(size, device=device, dtype=self._dtype)
        self._inputs = torch.zeros(2, most_rows, dtype=torch.long, device=device)  # ids, places
        self._host = torch.zeros(2, most_rows, dtype=torch.long, pin_memory=device.type == "cuda")
        self._heads = torch.arange(shape.heads, device=device)
        self._graphs: dict[tuple[int, int], Callable[[], torch.Tensor]] = {}

    def reserve(self, tokens: int) -> int | None:
        """See Backend. The lowest free row: the fewer rows, the smaller the graph."""
        slots = self._memory.slots
        slot = next((number for number in range(self.most_rows) if number not in slots), None)
        if slot is not None:
            slots[slot] = self._table[:, :, slot]
        return slot

    def release(self, slot: int) -> None:
        """See Backend."""
        del self._memory.slots[slot]

    @torch.inference_mode()
    def advance(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """See Backend."""
        steps = [number for number, piece in enumerate(pieces) if not piece.prompt and len(piece.ids) == 1]
        if not steps:
            return super().advance(pieces)
        logits = self._step([pieces[number] for number in steps])
        if len(steps) == len(pieces):
            return logits
        others = [number for number in range(len(pieces)) if number not in set(steps)]
        rest = super().advance([pieces[number] for number in others])
        parts = {number: logits[row : row + 1] for row, number in enumerate(steps)}
        place = 0
        for number in others:
            parts[number] = rest[place : place + pieces[number].wanted]
            place += pieces[number].wanted
        return torch.cat([parts[number] for number in range(len(pieces))])

    def _step(self, pieces: Sequence[Piece]) -> torch.Tensor:
        """One token for each piece; (pieces, vocab)."""
        slots = [piece.slot for piece in pieces]
        rows = min(self.most_rows, _bucket(max(slots) + 1))
        width = min(self.context_length, max(SMALLEST_WIDTH, _bucket(max(piece.start for piece in pieces) + 1)))
        ids, places = [0] * rows, [self.context_length] * rows
        for piece in pieces:
            ids[piece.slot], places[piece.slot] = piece.ids[0], piece.start
        self._host[:, :rows] = torch.tensor([ids, places])
        self._inputs[:, :rows].copy_(self._host[:, :rows], non_blocking=True)
        if (rows, width) not in self._graphs:
            self._graphs[rows, width] = self._recorded(rows, width)
        logits = self._graphs[rows, width]()
        return logits if slots == list(range(rows)) else logits[slots]

    def _recorded(self, rows: int, width: int) -> Callable[[], torch.Tensor]:
        def step() -> torch.Tensor:
            return self._computed(rows, width)

        if self._device.type != "cuda":
            return step
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            step()  # lets libraries take their workspaces before the recording
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            logits = step()

        def replay() -> torch.Tensor:
            graph.replay()
            return logits

        return replay

    def _computed(self, rows: int, width: int) -> torch.Tensor:
        """The arithmetic of one token for the first `rows` slots, on the static inputs; (rows, vocab) float32."""
        weights, shape = self._weights, self._shape
        size, eps = (shape.width,), shape.epsilon
        ids, places = self._inputs[:, :rows]
        x = weights.tokens[ids].to(self._dtype) + weights.positions[places.clamp(max=shape.context - 1)]
        seen = torch.arange(width, device=self._device) <= places[:, None]
        # As numbers to be added, (rows, 1, 1, width): True and False would be turned into them in each layer.
        mask = torch.zeros_like(seen, dtype=self._dtype).masked_fill_(~seen, float("-inf"))[:, None, None]
        both, numbers = torch.arange(2, device=self._device), torch.arange(rows, device=self._device)
        where = (both[:, None, None], numbers[:, None], self._heads, places[:, None])  # each to (2, rows, heads)
        for layer, table in zip(weights.layers, self._table, strict=True):
            qkv = layer.qkv(layer_norm(x, size, *layer.attention_norm, eps))
            split = qkv.view(rows, 3, shape.heads, shape.head_size)
            table.index_put_(where, split[:, 1:].transpose(0, 1))
            query = split[:, 0]
            keys, values = table[:, :rows, :, :width]
            mixed = scaled_dot_product_attention(query[:, :, None], keys, values, attn_mask=mask)
            x = x + layer.out(mixed.reshape(rows, shape.width))
            x = x + layer.down(self._act(layer.up(layer_norm(x, size, *layer.norm, eps))))
        return weights.head(layer_norm(x, size, *weights.norm, eps))[:, : shape.vocab].float()


def rows_for(shape: Shape, free_bytes: int, itemsize: int) -> int:
    """Return how many sequences of full length the card's free memory holds, within its share and MOST_ROWS."""
    per_row = shape.layers * 2 * (shape.context + 1) * shape.width * itemsize
    return max(1, min(MOST_ROWS, int(free_bytes * MEMORY_SHARE) // per_row))


def _bucket(count: int) -> int:
    """The next power of two."""
    return 1 << (count - 1).bit_length()
