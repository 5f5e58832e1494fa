"""The kinds of matrix product of our GPT-2: int8, half and dense. Called by `gpt2`, built by `weights`.

int8: weights are quantised per output channel and packed for fbgemm once. Each row of the input is scaled by its own
largest value, so the scale that the kernel is given is always the same one: a row's result is the same to the last bit
whoever shares the batch, and no pass over the batch in search of its range is needed.

half: weights of 16 bits, everything else in float32. Where they stay in the CPU's cache that costs what int8 costs.
"""

from __future__ import annotations

import math
import warnings
from functools import cache
from typing import Any, Protocol

import torch  # noqa: TID253

# Deprecated since torch 2.13, and still the quickest on a CPU: the version is pinned.
warnings.filterwarnings("ignore", message=".*quantized tensor creation functions")
_SMALLEST = 1e-12  # scale of a channel of zeros


class Linear(Protocol):
    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """(rows, in) float -> (rows, out) float."""


class DenseLinear:
    """`weight` is (in, out), as GPT-2 keeps it: a checkpoint that is mapped into memory is used as it lies."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        self._weight, self._bias = weight, bias

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        if self._bias is None:
            return rows @ self._weight
        return torch.addmm(self._bias, rows, self._weight)


class Int8Linear:
    """`quantised` is (out, in) int8 with `scales` (out,) float; the bias stays in float."""

    def __init__(self, quantised: torch.Tensor, scales: torch.Tensor, bias: torch.Tensor | None) -> None:
        levels = activation_levels()
        self._scale, self._zero = 1.0 / levels, levels + 1
        self._packed = _pack(quantised, scales)
        self._bias = bias

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        # (rows, 1). A row of zeros needs no care: whatever integers become of 0 / 0 are multiplied by 0 again.
        largest = torch.linalg.vector_norm(rows, math.inf, 1, True)
        scaled = _multiply(rows / largest, self._scale, self._zero, self._packed)
        if self._bias is None:
            return scaled.mul_(largest)
        return torch.addcmul(self._bias, scaled, largest)


class HalfLinear:
    """`weight` is (in, out). A row's result is the same to the last bit whoever shares the batch."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        torch.backends.quantized.engine = "fbgemm"
        self._packed = torch.ops.quantized.linear_prepack_fp16(weight.T.contiguous(), bias)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = torch.ops.quantized.linear_dynamic_fp16(rows, self._packed)
        return product


def quantise(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (out, in) float weights as int8 of the same shape, and the float scale of each output channel."""
    scales = weight.abs().amax(1).clamp_min(_SMALLEST) / 127
    return (weight / scales[:, None]).round_().to(torch.int8), scales


@cache
def activation_levels() -> int:
    """Return how many steps from 0 to its largest value a row is quantised in: 127, or 63 where 127 would saturate.

    Without VNNI instructions kernels add two products in 16 bits. Whether these do is tried, not looked up.
    """
    packed = _pack(torch.full((32, 64), 127, dtype=torch.int8), torch.ones(32))
    rows = torch.full((1, 64), 127.0)
    return 127 if float(_multiply(rows, 1.0, 128, packed)[0, 0]) == 127 * 127 * 64 else 63


def _pack(quantised: torch.Tensor, scales: torch.Tensor) -> Any:
    """Lay weights out for fbgemm; a copy in its own format."""
    torch.backends.quantized.engine = "fbgemm"
    zeros = torch.zeros(len(scales), dtype=torch.long)
    weight = torch._make_per_channel_quantized_tensor(quantised, scales.double(), zeros, 0)
    return torch.ops.quantized.linear_prepack(weight, None)


def _multiply(rows: torch.Tensor, scale: float, zero: int, packed: Any) -> torch.Tensor:
    """Quantise the input with a known scale, multiply in integers, return floats."""
    product: torch.Tensor = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(rows, scale, zero, packed)
    return product
