"""MODEL_NAME -> a model that has shown that it works, with its tokenizer. Called by `holder` in its loading thread.

Runs no code from a repository: `trust_remote_code` is off, and old `.bin` weights are read with `weights_only=True`
and kept as safetensors (`conversion`).
"""

from __future__ import annotations

import datetime as dt
import logging
import pickle
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch  # noqa: TID253
import transformers  # noqa: TID253
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: TID253

from shared.errors import ModelUnavailable
from shared.settings import BUNDLED_MODEL, Settings
from shared.tags import SPECIAL_TOKENS
from workers.model.calibration import Calibration, load_calibration
from workers.model.conversion import convert, refusal
from workers.model.errors import ModelConfigError
from workers.model.forward import TransformersForward
from workers.model.hub import Located, has_safetensors, has_weights, locate
from workers.model.info import ModelInfo
from workers.model.memory import resident_mb
from workers.model.threads import set_threads

log = logging.getLogger(__name__)

SELF_TEST_PROMPT = "<SYS>\n</SYS>\n\n<USER>: ¿Cuándo es mi cita?\n<ASSISTANT>:"
SELF_TEST_TOKENS = 8
SMALLEST_VOCABULARY = 32
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class LoadedModel:
    model: Any  # transformers.PreTrainedModel in evaluation mode
    tokenizer: Any  # transformers.PreTrainedTokenizerBase
    forward: TransformersForward
    calibration: Calibration
    info: ModelInfo


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
    precision = choose_precision(settings.MODEL_PRECISION, device)
    token = settings.HF_TOKEN.get_secret_value() if settings.HF_TOKEN else None
    name, revision = settings.MODEL_NAME, settings.MODEL_REVISION
    located = locate(name, revision, token, settings.MODEL_CACHE_DIR, settings.HF_ENDPOINT)
    name = "bundled" if located.folder == BUNDLED_MODEL else settings.MODEL_NAME
    tokenizer = _load_tokenizer(located, name)
    model = _load_weights(located, name, _DTYPES[precision]).to(device).eval()
    forward = TransformersForward(model, len(tokenizer))
    self_test(forward, tokenizer)
    ids = tokenizer(SELF_TEST_PROMPT)["input_ids"]
    threads = set_threads(settings.MODEL_THREADS, lambda: _two_tokens(forward, ids))
    info = ModelInfo(
        name=name,
        revision=located.revision,
        device=device,
        precision=precision,
        threads=threads,
        parameters=sum(weights.numel() for weights in model.parameters()),
        context_length=forward.context_length,
        load_s=round(time.monotonic() - begun, 2),
        memory_mb=round(resident_mb()),
        tagged=is_tagged(tokenizer),
        chat_template=bool(getattr(tokenizer, "chat_template", None)),
        since=dt.datetime.now(dt.UTC),
    )
    facts = info.model_dump(mode="json", exclude={"name"})  # "name" is a log record's own field
    log.info("model loaded", extra={**facts, "model": name, "memory_before_mb": round(memory_before)})
    return LoadedModel(model, tokenizer, forward, load_calibration(located.folder), info)


def choose_device(asked: str) -> str:
    """Return "cpu" or "cuda".

    Raises:
        ModelConfigError: if "cuda" was asked for and there is none.
    """
    has_cuda = torch.cuda.is_available()
    if asked == "cuda" and not has_cuda:
        raise ModelConfigError("MODEL_DEVICE: cuda was asked for and torch sees no GPU")
    return "cuda" if asked in ("auto", "cuda") and has_cuda else "cpu"


def choose_precision(asked: str, device: str) -> str:
    """Return fp32, bf16 or fp16; what would be slower or is not there yet becomes the default, with a warning."""
    default = "bf16" if device == "cuda" else "fp32"
    if asked == "auto":
        return default
    if asked == "int8" or (device == "cpu" and asked != "fp32"):
        # Without AVX512-BF16 or AMX a CPU needed 13 times as long in bf16 as in fp32.
        log.warning(f"MODEL_PRECISION: {asked} does not pay on {device}; using {default}")
        return default
    return asked


def is_tagged(tokenizer: Any) -> bool:
    """True when the tokenizer knows every token of the tagged format."""
    known = tokenizer.get_vocab()
    return all(token in known for token in SPECIAL_TOKENS)


def self_test(forward: TransformersForward, tokenizer: Any) -> None:
    """Let the model write a few tokens.

    Raises:
        ModelUnavailable: if the numbers are not finite or the tokens cannot be read back.
    """
    ids = tokenizer(SELF_TEST_PROMPT)["input_ids"]
    if not ids or max(ids) >= forward.vocab_size:
        raise ModelUnavailable("the model failed its self-test: tokenizer and weights do not belong together")
    written: list[int] = []
    try:
        logits = forward.prefill(ids)
        for _ in range(SELF_TEST_TOKENS):
            if not torch.isfinite(logits).all():
                raise ModelUnavailable("the model failed its self-test: it computes numbers that are not finite")
            written.append(int(logits[0].argmax()))
            logits = forward.step(written[-1:])
    except (RuntimeError, IndexError, TypeError, AttributeError) as error:
        raise ModelUnavailable(f"the model failed its self-test: {type(error).__name__}") from error
    finally:
        forward.keep([])
    if not tokenizer.decode(written):
        raise ModelUnavailable("the model failed its self-test: its tokens cannot be read back")


def _two_tokens(forward: TransformersForward, ids: list[int]) -> None:
    forward.prefill(ids)
    forward.step(ids[-1:])
    forward.keep([])


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
    safetensors = has_safetensors(located.folder)
    if not safetensors and located.revision:  # a folder that somebody gave is read as it is
        safetensors = convert(located.folder, name)
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            located.folder,
            dtype=dtype,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=safetensors,
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
