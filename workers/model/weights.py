"""Checkpoint -> the weights of our GPT-2: int8 or half on a CPU, or dense. Called by `loader` and `packing`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import torch  # noqa: TID253

from workers.model.checkpoint import Checkpoint
from workers.model.gpt2 import Layer, Norm, Shape, Weights
from workers.model.linears import DenseLinear, HalfLinear, Int8Linear, Linear, quantise
from workers.model.threads import usable_cores

# The matrices of a layer by their name in GPT-2, and the head.
MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
HEAD = "lm_head"


def dense(checkpoint: Checkpoint, shape: Shape, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Weights:
    """Weights as they are. On a CPU they stay maps of the file, where the file holds this type."""

    def place(name: str) -> torch.Tensor:
        return checkpoint.tensor(name).to(device, dtype)

    def linear(name: str) -> Linear:
        if name == HEAD:
            return DenseLinear(place(_head_table(checkpoint)).T, None)
        return DenseLinear(place(f"{name}.weight"), place(f"{name}.bias"))

    return _assembled(shape, place, linear, place("wte.weight"))


def half(checkpoint: Checkpoint, shape: Shape) -> Weights:
    """Weights of 16 bits for arithmetic in float32; the table of tokens stays a map of the checkpoint."""

    def place(name: str) -> torch.Tensor:
        return checkpoint.tensor(name).float()

    def linear(name: str) -> Linear:
        if name == HEAD:
            return HalfLinear(place(_head_table(checkpoint)).T, None)
        return HalfLinear(place(f"{name}.weight"), place(f"{name}.bias"))

    return _assembled(shape, place, linear, checkpoint.tensor("wte.weight"))


def packed(checkpoint: Checkpoint, shape: Shape, tensors: Mapping[str, torch.Tensor]) -> Weights:
    """Weights in int8, from what `quantised` made; the table of tokens stays a map of the checkpoint."""

    def place(name: str) -> torch.Tensor:
        return checkpoint.tensor(name).float()

    def linear(name: str) -> Linear:
        bias = None if name == HEAD else place(f"{name}.bias")
        return Int8Linear(tensors[f"{name}.weight"], tensors[f"{name}.scales"], bias)

    wanted = names(shape)
    with ThreadPoolExecutor(usable_cores()) as pool:  # laying them out for the kernels is most of a start
        ready = dict(zip(wanted, pool.map(linear, wanted), strict=True))
    return _assembled(shape, place, ready.__getitem__, checkpoint.tensor("wte.weight"))


def names(shape: Shape) -> list[str]:
    """The matrices, in the order in which a pass uses them."""
    return [f"h.{layer}.{matrix}" for layer in range(shape.layers) for matrix in MATRICES] + [HEAD]


def quantised(checkpoint: Checkpoint, name: str) -> dict[str, torch.Tensor]:
    """One matrix in int8, by the names under which `packed` looks for it."""
    if name == HEAD:
        weight = checkpoint.tensor(_head_table(checkpoint)).float()
    else:
        weight = checkpoint.tensor(f"{name}.weight").float().T.contiguous()
    values, scales = quantise(weight)
    return {f"{name}.weight": values, f"{name}.scales": scales}


def _head_table(checkpoint: Checkpoint) -> str:
    return "lm_head.weight" if "lm_head.weight" in checkpoint else "wte.weight"


def _assembled(
    shape: Shape, place: Callable[[str], torch.Tensor], linear: Callable[[str], Linear], tokens: torch.Tensor
) -> Weights:
    def norm(name: str) -> Norm:
        return place(f"{name}.weight"), place(f"{name}.bias")

    layers = []
    for number in range(shape.layers):
        qkv, out, up, down = (linear(f"h.{number}.{matrix}") for matrix in MATRICES)
        layers.append(Layer(norm(f"h.{number}.ln_1"), qkv, out, norm(f"h.{number}.ln_2"), up, down))
    return Weights(tokens, place("wpe.weight"), layers, norm("ln_f"), linear(HEAD))
