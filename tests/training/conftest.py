"""A folder to publish and a Hub on loopback to publish it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from shared.prompt import END_OF_TEXT, PROMPT_TOKENS
from tests.workers.model.conftest import build_tokenizer, save_model
from tests.workers.model.hub_server import HubServer
from training import publish

REPO = "clinic/gpt2"
TOKEN = "hf_write"

Publish = Callable[..., int]


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)  # the test Hub has no Xet storage
    monkeypatch.chdir(tmp_path)  # no .env there
    with HubServer() as server:
        server.writers[TOKEN] = "clinic"
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield server


@pytest.fixture(scope="session")
def plain_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of another format, which loads in no time and passes the gate because it answers."""
    folder = save_model(tmp_path_factory.mktemp("plain"), build_tokenizer((END_OF_TEXT, *PROMPT_TOKENS)))
    (folder / "training.json").write_text('{"metrics": {"messages": 10, "accuracy": 0.5}}')
    return folder


@pytest.fixture
def folder(plain_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    copy = tmp_path / "model"
    copy.mkdir()
    for file in plain_folder.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


@pytest.fixture
def release(folder: Path) -> Publish:
    def run(*options: str, tag: str = "v1", repo: str = REPO) -> int:
        return publish.main(["--repo", repo, "--revision", tag, "--folder", str(folder), *options])

    return run
