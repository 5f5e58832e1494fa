"""MODEL_NAME -> a model that has shown that it works, with its tokenizer. Called by `holder` in its loading thread.

A GPT-2 is computed by our own arithmetic (`gpt2`), in int8 on a CPU; any other causal model by transformers.
Runs no code from a repository: `trust_remote_code` is off, and old `.bin` weights are read with `weights_only=True`
and kept as safetensors (`conversion`).
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import pickle
import sys
import time
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch  # noqa: TID253
import transformers  # noqa: TID253
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.errors import ModelUnavailable
from shared.settings import BUNDLED_MODEL, Settings
from shared.tags import SPECIAL_TOKENS
from workers.model import self_test
from workers.model.backend import Backend
from workers.model.calibration import Calibration, load_calibration
from workers.model.checkpoint import Checkpoint, shape_of
from workers.model.conversion import convert, refusal
from workers.model.errors import ModelConfigError
from workers.model.gpt2 import Gpt2
from workers.model.graphs import GraphedGpt2, rows_for
from workers.model.hub import Located, has_safetensors, has_weights, locate
from workers.model.info import ModelInfo
from workers.model.memory import kv_bytes, memory_limit, resident_mb
from workers.model.packing import int8_model
from workers.model.plain_batches import PlainBatches
from workers.model.threads import cpu_flags, set_threads
from workers.model.weights import dense, half

log = logging.getLogger(__name__)

SMALLEST_VOCABULARY = 32
# Parameters. Up to here 16 bits a weight stay in the cache of the CPU: they cost what int8 costs and err far less.
LARGEST_HALF = 8_000_000
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class LoadedModel:
    backend: Backend
    tokenizer: Any  # transformers.PreTrainedTokenizerBase
    end_ids: frozenset[int]  # every end-of-text that the model's files name
    calibration: Calibration
    info: ModelInfo
    folder: Path
    model: Any = None  # transformers.PreTrainedModel in evaluation mode; None for a GPT-2 of our own arithmetic


@dataclass(frozen=True)
class _Built:
    backend: Backend
    precision: str
    parameters: int
    model: Any = None


def load(settings: Settings) -> LoadedModel:
    """Find, load and try the model that the settings name; log one line that says what it is.

    Blocks for seconds to minutes. Sets torch's threads for the whole process.

    Raises:
        ModelConfigError: a setting must change (see `errors`).
        HubUnreachable, DiskFull: worth another try later.
        ModelUnavailable: the files are damaged or the model fails its self-test.
    """
    begun, memory_before = time.monotonic(), resident_mb()
    _quieten_transformers()
    device = choose_device(settings.MODEL_DEVICE)
    token = settings.HF_TOKEN.get_secret_value() if settings.HF_TOKEN else None
    name, revision = settings.MODEL_NAME, settings.MODEL_REVISION
    located = locate(name, revision, token, settings.MODEL_CACHE_DIR, settings.HF_ENDPOINT)
    name = "bundled" if located.folder == BUNDLED_MODEL else settings.MODEL_NAME
    tokenizer = _load_tokenizer(located, name)
    if not has_safetensors(located.folder) and located.revision:  # a folder that somebody gave is read as it is
        convert(located.folder, name)
    built = _build_own(located, tokenizer, device, settings) or _build_other(located, name, tokenizer, device, settings)
    self_test.run(built.backend, tokenizer)
    threads = set_threads(settings.MODEL_THREADS, self_test.step_of(built.backend, tokenizer))
    info = ModelInfo(
        name=name,
        revision=located.revision,
        device=device,
        precision=built.precision,
        threads=threads,
        parameters=built.parameters,
        context_length=built.backend.context_length,
        load_s=round(time.monotonic() - begun, 2),
        memory_mb=round(resident_mb()),
        tagged=is_tagged(tokenizer),
        chat_template=bool(getattr(tokenizer, "chat_template", None)),
        since=dt.datetime.now(dt.UTC),
    )
    facts = info.model_dump(mode="json", exclude={"name"})  # "name" is a log record's own field
    facts |= {"cpu": cpu_flags(), "memory_before_mb": round(memory_before)}
    log.info("model loaded", extra={**facts, "model": name})
    calibration = load_calibration(located.folder)
    ends = _end_ids(located.folder, tokenizer)
    return LoadedModel(built.backend, tokenizer, ends, calibration, info, located.folder, built.model)


def _build_own(located: Located, tokenizer: Any, device: str, settings: Settings) -> _Built | None:
    """Our GPT-2, or None when the model is none, or one with parts that ours does not compute."""
    shape = shape_of(located.folder, len(tokenizer))
    if shape is None:
        return None
    budget = kv_bytes(memory_limit())
    with Checkpoint(located.folder) as checkpoint:
        parameters = checkpoint.parameters()
        best = ("fp16" if parameters <= LARGEST_HALF else "int8") if device == "cpu" else "bf16"
        precision = choose_precision(settings.MODEL_PRECISION, device, best, others={"int8", "fp16"})
        if precision == "int8":
            prompts = [tokenizer(text)["input_ids"] for text in self_test.CHECKED_PROMPTS]
            if max(map(max, prompts)) >= shape.vocab:
                raise ModelUnavailable(self_test.UNRELATED)
            model = int8_model(checkpoint, shape, prompts, settings.MODEL_CACHE_DIR, budget)
            if model:
                return _Built(model, precision, parameters)
            precision = "fp32"
        if precision == "fp16" and device == "cpu":
            return _Built(Gpt2(shape, half(checkpoint, shape), budget, kv_dtype=torch.float16), precision, parameters)
        weights = dense(checkpoint, shape, device, _DTYPES[precision])
    if device == "cuda":
        rows = rows_for(shape, torch.cuda.mem_get_info()[0], _DTYPES[precision].itemsize)
        return _Built(GraphedGpt2(shape, weights, rows), precision, parameters)
    return _Built(Gpt2(shape, weights, budget), precision, parameters)


def _build_other(located: Located, name: str, tokenizer: Any, device: str, settings: Settings) -> _Built:
    precision = choose_precision(settings.MODEL_PRECISION, device, "fp32" if device == "cpu" else "bf16")
    model = _load_weights(located, name, _DTYPES[precision]).to(device).eval()
    parameters = sum(weights.numel() for weights in model.parameters())
    return _Built(PlainBatches(model, len(tokenizer)), precision, parameters, model)


def choose_device(asked: str) -> str:
    """Return "cpu" or "cuda".

    Raises:
        ModelConfigError: if "cuda" was asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if asked == "cuda" and not has_cuda:
        raise ModelConfigError("MODEL_DEVICE: cuda was asked for and torch sees no GPU")
    return "cuda" if asked in ("auto", "cuda") and has_cuda else "cpu"


def choose_precision(asked: str, device: str, default: str, others: Set[str] = frozenset()) -> str:
    """Return int8, fp32, bf16 or fp16; what is slower or is not there for this model becomes the default, and is told.

    Args:
        default: what "auto" means for this kind of model on this device.
        others: what may be asked for besides on a CPU.
    """
    there = {"fp32", "bf16", "fp16"} if device == "cuda" else {"fp32", default, *others}
    if asked == "auto":
        return default
    if asked not in there:
        # Without AVX512-BF16 or AMX a CPU needed 13 times as long in bf16 as in fp32.
        log.warning(f"MODEL_PRECISION: {asked} does not pay for this model on {device}; using {default}")
        return default
    return asked


def is_tagged(tokenizer: Any) -> bool:
    """True when the tokenizer knows every token of the tagged format."""
    known = tokenizer.get_vocab()
    return all(token in known for token in SPECIAL_TOKENS)


def _end_ids(folder: Path, tokenizer: Any) -> frozenset[int]:
    """Every end-of-text that tokenizer and model name; chat models often have several."""
    named: list[Any] = [tokenizer.eos_token_id]
    for file in (folder / "config.json", folder / "generation_config.json"):
        if file.exists():
            found = json.loads(file.read_text(encoding="utf-8")).get("eos_token_id")
            named += found if isinstance(found, list) else [found]
    return frozenset(one for one in named if isinstance(one, int))


def _load_tokenizer(located: Located, name: str) -> Any:
    if not (located.folder / "config.json").exists() or not has_weights(located.folder):
        raise ModelConfigError(f"MODEL_NAME: {name} holds no model (config.json and weights)")
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(located.folder, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelConfigError(f"MODEL_NAME: the tokenizer of {name} cannot be read or needs own code") from error
    if len(tokenizer) < SMALLEST_VOCABULARY:  # without files transformers makes an empty one and says nothing
        raise ModelConfigError(f"MODEL_NAME: {name} holds no tokenizer")
    return tokenizer


def _load_weights(located: Located, name: str, dtype: torch.dtype) -> Any:
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            located.folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=has_safetensors(located.folder),
            weights_only=True,
            output_loading_info=True,
        )
    except ValueError as error:
        raise ModelConfigError(f"MODEL_NAME: {name} is no causal language model that runs without own code") from error
    except pickle.UnpicklingError as error:
        raise ModelUnavailable(refusal(name)) from error
    except Exception as error:  # the readers of weights raise their own types for each kind of damage
        raise ModelUnavailable(f"the weights of {name} cannot be read ({type(error).__name__})") from error
    model, found = loaded
    if lacking := found["missing_keys"]:
        # transformers would fill them with random numbers and only warn
        raise ModelUnavailable(f"the weights of {name} are not complete: {len(lacking)} tensors are missing")
    return model


def _quieten_transformers() -> None:
    """Its bars and notes belong on a terminal; our one line says what was loaded."""
    notes: Any = transformers.utils.logging
    notes.set_verbosity_error()
    if not sys.stderr.isatty():
        notes.disable_progress_bar()
