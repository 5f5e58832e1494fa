"""Old `pytorch_model.bin` weights of a cached revision -> safetensors beside them, once. Called by `loader`.

A `.bin` file is a pickle, which can hold code. It is read with `weights_only=True`, which refuses everything but
numbers, and from then on the converted file is loaded: no pickle is opened again, and loading is quicker.
"""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import tempfile
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from huggingface_hub import save_torch_state_dict

from shared.errors import ModelUnavailable
from workers.model.snapshots import CONVERSION_FILE, CONVERTING_PREFIX

log = logging.getLogger(__name__)

WEIGHTS_FILE = "model.safetensors"


def convert(snapshot: Path, name: str) -> bool:
    """Write `model.safetensors` into a snapshot that has only `.bin` weights; False when the cache takes no new file.

    Its checksum goes into `conversion.json`, so a damaged copy is noticed at the next start and made again.

    Raises:
        ModelUnavailable: the weights hold something else than numbers, or are damaged.
    """
    weights = _read(snapshot, name)
    try:
        # Beside the snapshots, on the same disk: what appears inside one appears whole.
        with tempfile.TemporaryDirectory(dir=snapshot.parent.parent, prefix=CONVERTING_PREFIX) as folder:
            save_torch_state_dict(weights, folder, max_shard_size="1TB")  # one file
            written = Path(folder) / WEIGHTS_FILE
            with written.open("rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
            note = Path(folder) / CONVERSION_FILE
            note.write_text(json.dumps({"sha256": {WEIGHTS_FILE: digest}}))
            note.replace(snapshot / CONVERSION_FILE)
            written.replace(snapshot / WEIGHTS_FILE)
    except OSError as error:
        log.warning("the weights could not be converted", extra={"model": name, "cause": type(error).__name__})
        return False
    log.info("weights converted to safetensors", extra={"model": name, "revision": snapshot.name})
    return True


def _read(snapshot: Path, name: str) -> dict[str, Any]:
    """Load all `.bin` files of a snapshot into one table of tensors."""
    weights: dict[str, Any] = {}
    try:
        for file in sorted(snapshot.glob("pytorch_model*.bin")):
            weights |= torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ModelUnavailable(refusal(name)) from error
    except Exception as error:  # the reader raises its own types for each kind of damage
        raise ModelUnavailable(f"the weights of {name} cannot be read ({type(error).__name__})") from error
    return weights


def refusal(name: str) -> str:
    """The sentence about weights that would run code."""
    return f"the weights of {name} hold something else than numbers: refused, and nothing of it was run"
