"""The model as a folder, in the cache and on the Hub: nothing is downloaded to find out."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from shared.settings import BUNDLED_MODEL, Settings
from tests.workers.doctor.conftest import one, plain, told
from tests.workers.http_server import closed_port
from tests.workers.model.hub_server import HubServer, Repo
from workers.doctor.check import State
from workers.doctor.model_checks import CACHE, HUB, MODEL, check
from workers.model.hub import locate

NAME = "clinic/gpt2"
FILES = {"config.json": b"{}", "model.safetensors": b"weights" * 1000, "tokenizer.json": b'{"a": 1}'}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubServer() as server:
        server.repos[NAME] = Repo()
        server.repos[NAME].commit(FILES, "v1")
        yield server


def of(hub: HubServer, cache: Path, **more: Any) -> Settings:
    wanted = {"MODEL_NAME": NAME, "MODEL_REVISION": "v1", "MODEL_CACHE_DIR": cache, "HF_ENDPOINT": hub.address}
    return plain(**(wanted | more))


def test_the_bundled_model_needs_nobody() -> None:
    checks = check(plain())
    told(one(checks, MODEL), State.OK, "the bundled model, 8 MB")
    told(one(checks, CACHE), State.OFF, "MODEL_NAME is a folder")
    told(one(checks, HUB), State.OFF, "MODEL_NAME is a folder")


def test_a_folder_that_lacks_something(tmp_path: Path) -> None:
    shutil.copy(BUNDLED_MODEL / "config.json", tmp_path)
    found = one(check(plain(MODEL_NAME=str(tmp_path))), MODEL)
    told(found, State.FAILED, "lacks tokenizer.json, weights", "put the files back")
    [missing] = check(plain(MODEL_NAME=str(tmp_path / "nowhere")))
    told(missing, State.FAILED, "there is no folder", "leave it empty for the bundled model")


def test_a_pinned_revision_in_the_cache(hub: HubServer, tmp_path: Path) -> None:
    locate(NAME, "v1", None, tmp_path, hub.address)
    fetched = len(hub.fetched())
    checks = check(of(hub, tmp_path))
    told(one(checks, MODEL), State.OK, f"{NAME} at v1, in the cache")
    told(one(checks, CACHE), State.OK, "can be written")
    told(one(checks, HUB), State.OK, f"has {NAME} at v1")
    assert len(hub.fetched()) == fetched  # looked, not downloaded


def test_a_revision_still_to_come_and_one_that_is_not_pinned(hub: HubServer, tmp_path: Path) -> None:
    told(one(check(of(hub, tmp_path)), MODEL), State.WARNING, "v1 is not in the cache", "start a worker")
    loose = one(check(of(hub, tmp_path, MODEL_REVISION=None)), MODEL)
    told(loose, State.WARNING, "no revision pinned", "set MODEL_REVISION to a tag or commit")
    assert not list(tmp_path.iterdir())


def test_what_the_hub_does_not_have(hub: HubServer, tmp_path: Path) -> None:
    unknown = one(check(of(hub, tmp_path, MODEL_REVISION="v9")), HUB)
    told(unknown, State.FAILED, "has no revision v9", "correct MODEL_NAME, MODEL_REVISION or HF_TOKEN")
    hub.repos[NAME].token = "hf_right"
    private = one(check(of(hub, tmp_path, HF_TOKEN="hf_wrong")), HUB)
    told(private, State.FAILED, "HF_TOKEN does not open it", "correct MODEL_NAME, MODEL_REVISION or HF_TOKEN")
    told(one(check(of(hub, tmp_path, HF_TOKEN="hf_right")), HUB), State.OK, "v1")


def test_the_hub_is_down(hub: HubServer, tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{closed_port()}"
    nothing = one(check(of(hub, tmp_path, HF_ENDPOINT=gone)), HUB)
    told(nothing, State.FAILED, "the cache does not hold the model", "set MODEL_NAME to a folder")
    locate(NAME, "v1", None, tmp_path, hub.address)
    checks = check(of(hub, tmp_path, HF_ENDPOINT=gone))
    told(one(checks, HUB), State.WARNING, "the cached revision is loaded", "in the day")
    told(one(checks, MODEL), State.OK, "in the cache")
    told(one(check(of(hub, tmp_path, HF_ENDPOINT=gone, MODEL_REVISION=None)), HUB), State.WARNING, "cached")


def test_a_damaged_cache_counts_as_none(hub: HubServer, tmp_path: Path) -> None:
    weights = locate(NAME, "v1", None, tmp_path, hub.address).folder / "model.safetensors"
    weights.resolve().write_bytes(b"garbled")
    told(one(check(of(hub, tmp_path)), MODEL), State.WARNING, "not in the cache", "start a worker")


def test_a_cache_that_cannot_be_written(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = one(check(of(hub, tmp_path / "file" / "models")), CACHE)
    told(found, State.FAILED, "cannot be written", "set MODEL_CACHE_DIR")
    told(one(check(of(hub, tmp_path / "file")), CACHE), State.FAILED, "cannot be written", "set MODEL_CACHE_DIR")
    told(one(check(of(hub, tmp_path / "new" / "models")), CACHE), State.OK, "can be written")


def test_a_model_larger_than_the_disk(hub: HubServer, tmp_path: Path) -> None:
    hub.claimed_sizes["model.safetensors"] = 10**16
    found = one(check(of(hub, tmp_path)), CACHE)
    told(found, State.FAILED, "the disk is full: the model needs", "python -m workers.model.cache prune")
