"""int8 weights of a GPT-2, made once and kept on disk: later starts read a quarter of the bytes. Called by `loader`.

What is kept does not depend on the CPU: each start lays it out for the kernels of its own. `packed_files` says where.
Making it needs little memory, since the checkpoint is mapped and one matrix is read at a time.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch  # noqa: TID253
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from tqdm import tqdm

from workers.model import packed_files, self_check, weights
from workers.model.checkpoint import Checkpoint
from workers.model.gpt2 import Gpt2, Shape
from workers.model.linears import activation_levels
from workers.model.memory import give_back

log = logging.getLogger(__name__)

Tensors = dict[str, torch.Tensor]


def int8_model(
    checkpoint: Checkpoint, shape: Shape, prompts: Sequence[Sequence[int]], cache_dir: Path, kv_bytes: int
) -> Gpt2 | None:
    """Build the int8 model, from the kept weights where they are.

    Args:
        prompts: what is compared with float32, at least 2 tokens each; only asked when the weights are packed.

    Returns:
        None, with a warning in the log, when int8 does not say what float32 says.

    Raises:
        ModelUnavailable: the checkpoint is not complete or cannot be read.
    """
    path = packed_files.path_of(cache_dir, checkpoint.folder)
    for kept in (_read(path, shape), None):
        fresh = kept is None
        tensors = _made(checkpoint, shape, prompts, kv_bytes, path) if kept is None else kept
        model = Gpt2(shape, weights.packed(checkpoint, shape, tensors), kv_bytes, kv_dtype=torch.float16)
        give_back()
        found = self_check.compare(model, tensors)
        facts = {"mean": round(found.mean, 6), "largest": round(found.largest, 4), "levels": activation_levels()}
        if found.acceptable:
            log.info("int8 agrees with float32", extra=facts)
            return model
        log.warning("int8 differs from float32", extra={**facts, "changed": found.changed, "fresh": fresh})
        if fresh:
            break
    return None


def _made(
    checkpoint: Checkpoint, shape: Shape, prompts: Sequence[Sequence[int]], kv_bytes: int, path: Path
) -> Mapping[str, torch.Tensor]:
    """Quantise the weights, note what float32 says, and keep both."""
    begun = time.monotonic()
    float32 = Gpt2(shape, weights.dense(checkpoint, shape), kv_bytes)
    tensors = self_check.reference(float32, prompts)
    del float32
    for name in tqdm(weights.names(shape), desc="Packing the weights", unit="matrix", disable=None, leave=False):
        tensors |= weights.quantised(checkpoint, name)
    log.info("weights packed as int8", extra={"took_s": round(time.monotonic() - begun, 1)})
    kept = _read(path, shape) if _keep(tensors, path) else None
    if kept is None:
        return tensors
    tensors.clear()
    give_back()
    return kept


def _keep(tensors: Tensors, path: Path) -> bool:
    """Write the file whole or not at all; a cache that takes no new file costs the next start some time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".packing-", delete=False) as file:
            being_written = Path(file.name)
        try:
            save_file(tensors, being_written)
            os.replace(being_written, path)
        finally:
            being_written.unlink(missing_ok=True)
        packed_files.remove_former(path)
    except (OSError, SafetensorError) as error:
        log.warning("the packed weights could not be kept", extra={"cause": type(error).__name__})
        return False
    return True


def _read(path: Path, shape: Shape) -> Tensors | None:
    """Map the kept weights; None when there are none, or when they are not whole."""
    if not path.exists():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (OSError, SafetensorError) as error:
        log.warning("the packed weights cannot be read and are made again", extra={"cause": type(error).__name__})
        return None
    wanted = {f"{name}.{part}" for name in weights.names(shape) for part in ("weight", "scales")} | {"check.ids"}
    return tensors if wanted <= tensors.keys() else None
