"""A two-layer random GPT-2 and a byte-level tokenizer with the format's special tokens, built here: no download."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch  # noqa: TID253
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast  # noqa: TID253

from shared.prompt import END_OF_TEXT, PROMPT_TOKENS
from shared.settings import Settings
from shared.tags import SPECIAL_TOKENS
from tests.workers.model.hub_server import HubServer, Repo
from workers.model.checkpoint import Checkpoint, shape_of
from workers.model.gpt2 import Gpt2
from workers.model.weights import dense, half, names, packed, quantised

CONTEXT = 1024
NAME = "clinic/gpt2"
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000, "tokenizer.json": b'{"a": 1}'}


def build_tokenizer(special_tokens: tuple[str, ...] = SPECIAL_TOKENS) -> Any:
    """Every byte is a token; behind them stand the special tokens."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={sign: i for i, sign in enumerate(alphabet)}, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    wrap: Any = PreTrainedTokenizerFast  # transformers' constructors carry no types
    tokenizer = wrap(tokenizer_object=inner, eos_token=END_OF_TEXT)
    tokenizer.add_special_tokens({"additional_special_tokens": list(special_tokens)})
    return tokenizer


def build_model(vocab_size: int, seed: int = 0) -> Any:
    """Weights larger than usual, so that the logits of a random model are far enough apart."""
    torch.manual_seed(seed)
    end_of_text = min(256, vocab_size - 1)  # the first token behind the bytes
    config = GPT2Config(
        vocab_size=vocab_size,
        n_positions=CONTEXT,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.3,
        bos_token_id=end_of_text,
        eos_token_id=end_of_text,
    )
    model: Any = GPT2LMHeadModel(config)
    return model.eval()


def save_model(folder: Path, tokenizer: Any = None, seed: int = 0, silent: bool = False) -> Path:
    """Write a model that loads from its folder; a silent one ends every answer before it begins."""
    tokenizer = tokenizer or build_tokenizer()
    model = build_model(len(tokenizer), seed)
    if silent:
        # All positions look alike to the last layer, and what they look like is end-of-text.
        model.transformer.ln_f.weight.data.zero_()
        model.transformer.ln_f.bias.data = 100 * model.transformer.wte.weight.data[tokenizer.eos_token_id].clone()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def own_gpt2(model: Any, vocab: int, precision: str, **others: Any) -> Gpt2:
    """Our arithmetic with the weights of a model of transformers."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        shape = shape_of(Path(folder), vocab)
        assert shape
        with Checkpoint(Path(folder)) as checkpoint:
            if precision == "int8":
                made = {key: part for name in names(shape) for key, part in quantised(checkpoint, name).items()}
                return Gpt2(shape, packed(checkpoint, shape, made), 1 << 28, kv_dtype=torch.float16, **others)
            if precision == "fp16":
                return Gpt2(shape, half(checkpoint, shape), 1 << 28, kv_dtype=torch.float16, **others)
            return Gpt2(shape, dense(checkpoint, shape), 1 << 28, **others)


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return build_tokenizer()


@pytest.fixture(scope="session")
def model(tokenizer: Any) -> Any:
    return build_model(len(tokenizer))


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("tagged"))


@pytest.fixture(scope="session")
def plain_tokenizer() -> Any:
    """The clinic's model: the prompt's tokens only."""
    return build_tokenizer((END_OF_TEXT, *PROMPT_TOKENS))


@pytest.fixture
def settings_for(tmp_path: Path) -> Any:
    """Build settings without looking at the environment or an .env file."""

    def build(name: Path | str, **others: Any) -> Settings:
        given = {"MODEL_CACHE_DIR": tmp_path / "cache", "MODEL_DEVICE": "cpu", "MODEL_THREADS": 1, **others}
        return Settings(_env_file=None, MODEL_NAME=str(name), **given)

    return build


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub on loopback with one empty repository, NAME."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubServer() as server:
        server.repos[NAME] = Repo()
        yield server
