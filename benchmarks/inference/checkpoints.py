"""GPT-2s with random weights, as a folder that a worker could be given. Made once, kept for the next run.

Speed and memory do not depend on what the weights are. The tokenizer is the bundled one, with entries that no text
holds up to the size of the table, since CTranslate2 wants a name for every row of it. Called by the rows of
`benchmarks.engine`.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
from transformers import GPT2Config, GPT2LMHeadModel  # noqa: TID253

from shared.settings import BUNDLED_MODEL
from workers.model.checkpoint import Checkpoint, shape_of
from workers.model.gpt2 import Gpt2
from workers.model.packing import int8_model

VOCABULARY, CONTEXT = 50257, 1024
WEIGHTS = "model.safetensors"
KV_BYTES = 2 << 30
CONVERSION = 2.2  # times the checkpoint that CTranslate2 takes in memory to convert it


@dataclass(frozen=True)
class Size:
    name: str
    layers: int
    heads: int
    width: int


GPT2, LARGE = Size("gpt2", 12, 12, 768), Size("gpt2-large", 36, 20, 1280)
# For a look whether everything runs.
SMALL, SMALL_LARGE = Size("quick-gpt2", 2, 4, 128), Size("quick-gpt2-large", 4, 4, 256)


def random_checkpoint(models: Path, size: Size) -> Path:
    """Return the folder of a checkpoint of this size, making what is missing in it."""
    folder = models / size.name
    if not (folder / WEIGHTS).exists():
        print(f"making {folder} with random weights ...", flush=True)
        shutil.rmtree(being_made := models / f"{size.name}.part", ignore_errors=True)
        torch.manual_seed(0)
        shape: Any = {"n_layer": size.layers, "n_head": size.heads, "n_embd": size.width}
        shape |= {"bos_token_id": 0, "eos_token_id": 0}  # as in the bundled tokenizer
        GPT2LMHeadModel(GPT2Config(**shape)).save_pretrained(being_made, max_shard_size="10GB")
        being_made.rename(folder)
    if not (folder / "tokenizer.json").exists():
        _write_tokenizer(folder)
    return folder


def our_int8(folder: Path, cache_dir: Path) -> Gpt2:
    """Our model in int8, with the whole table of tokens; packed weights are kept in `cache_dir`.

    Raises:
        SystemExit: int8 does not say what float32 says; then nothing here is worth a figure.
    """
    shape = shape_of(folder, VOCABULARY)
    prompts = [torch.randint(0, VOCABULARY, (32,), generator=torch.Generator().manual_seed(0)).tolist()]
    if shape:
        with Checkpoint(folder) as checkpoint:
            if model := int8_model(checkpoint, shape, prompts, cache_dir, KV_BYTES):
                return model
    raise SystemExit(f"{folder} is no GPT-2 that our engine computes in int8 on this machine")


def ctranslate2_checkpoint(folder: Path) -> Path | str:
    """Return the folder of the model that CTranslate2 has converted to int8, or why there is none."""
    if not find_spec("ctranslate2"):
        return "CTranslate2 is not installed (pip install '.[bench]'): left out"
    converted = folder / "ctranslate2"
    if not (converted / "model.bin").exists():
        needed = CONVERSION * (folder / WEIGHTS).stat().st_size
        if available_bytes() < needed:
            return f"CTranslate2 needs {needed / 1e9:.1f} GB of memory to convert {folder.name}: left out"
        print(f"converting {folder} for CTranslate2 ...", flush=True)
        words = f"-m ctranslate2.converters.transformers --model {folder} --output_dir {converted} --quantization int8"
        done = subprocess.run([sys.executable, *words.split()], capture_output=True, text=True, check=False)
        if done.returncode:
            reason = done.stderr.strip().splitlines()[-1:] or [""]
            return f"CTranslate2 could not convert {folder.name} ({reason[0]}): left out"
    return converted


def available_bytes() -> int:
    """Memory that a new process may take, as the kernel sees it."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))


def _write_tokenizer(folder: Path) -> None:
    tokenizer = json.loads((BUNDLED_MODEL / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary |= {f"<|unused{number}|>": number for number in range(len(vocabulary), VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    facts = json.loads((BUNDLED_MODEL / "tokenizer_config.json").read_text(encoding="utf-8"))
    facts |= {"model_max_length": CONTEXT, "unk_token": facts["eos_token"]}  # CTranslate2 does not start without one
    (folder / "tokenizer_config.json").write_text(json.dumps(facts, indent=2), encoding="utf-8")
