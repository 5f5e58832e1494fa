"""A GPT-2 checkpoint on disk, read tensor by tensor: what it is, and whether our own arithmetic computes it.

Weights stay where they lie: a tensor is a map of its file until somebody changes it, so reading costs no memory of the
process. Called by `loader`, `packing` and `weights`.
"""

from __future__ import annotations

import json
import math
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from safetensors import safe_open

from shared.errors import ModelUnavailable
from workers.model.gpt2 import ACTIVATIONS, Shape

_PREFIX = "transformer."


class Checkpoint:
    """Use as a context: `with Checkpoint(folder) as checkpoint`. Maps stay valid after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = sorted(folder.glob("*.safetensors"))
        self._stack = ExitStack()
        self._where: dict[str, Any] = {}

    def __enter__(self) -> Checkpoint:
        try:
            for file in self.files:
                opened: Any = self._stack.enter_context(safe_open(file, framework="pt"))
                self._where |= dict.fromkeys(opened.keys(), opened)
        except Exception as error:  # the reader raises its own types for each kind of damage
            self._stack.close()
            raise ModelUnavailable(f"the weights cannot be read ({type(error).__name__})") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __contains__(self, name: str) -> bool:
        return self._name(name) is not None

    def tensor(self, name: str) -> torch.Tensor:
        """Return a tensor by its name in GPT-2, such as "h.0.attn.c_attn.weight".

        Raises:
            ModelUnavailable: if there is none.
        """
        found = self._name(name)
        if found is None:
            raise ModelUnavailable(f"the weights are not complete: {name} is missing")
        tensor: torch.Tensor = self._where[found].get_tensor(found)
        return tensor

    def parameters(self) -> int:
        """How many numbers the weights hold; masks that old files keep beside them are none."""
        masks = (".attn.bias", ".attn.masked_bias")
        sizes = [self._where[name].get_slice(name).get_shape() for name in self._where if not name.endswith(masks)]
        return sum(math.prod(size) for size in sizes)

    def _name(self, name: str) -> str | None:
        # Files that were converted from torch's own keep a table that is used twice under its other name only.
        others = ["lm_head.weight"] if name == "wte.weight" else []
        return next((one for one in (_PREFIX + name, name, *others) if one in self._where), None)


def shape_of(folder: Path, vocab: int) -> Shape | None:
    """Return the shape of a model that our GPT-2 computes exactly, or None: then transformers must.

    Args:
        vocab: tokens that the tokenizer knows.
    """
    if not list(folder.glob("*.safetensors")):
        return None
    config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    layers, heads, width = (config.get(key) for key in ("n_layer", "n_head", "n_embd"))
    activation = config.get("activation_function", "gelu_new")
    unusual = ("add_cross_attention", "scale_attn_by_inverse_layer_idx", "quantization_config", "auto_map")
    if (
        config.get("model_type") != "gpt2"
        or not (layers and heads and width)
        or width % heads
        or activation not in ACTIVATIONS
        or any(config.get(key) for key in unusual)
        or not config.get("scale_attn_weights", True)
    ):
        return None
    return Shape(
        layers=layers,
        heads=heads,
        width=width,
        context=config.get("n_positions", 1024),
        vocab=min(vocab, config.get("vocab_size", vocab)),
        epsilon=config.get("layer_norm_epsilon", 1e-5),
        activation=activation,
    )
