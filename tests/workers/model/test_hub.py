"""Finding a model: folders, downloads, pinned revisions, access, and a Hub that is down."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import pytest

from shared.errors import ModelUnavailable
from tests.workers.model.conftest import FILES, NAME
from tests.workers.model.hub_server import HubServer, Repo
from workers.model.errors import HubUnreachable, ModelConfigError
from workers.model.hub import Located, locate
from workers.model.progress import LoggedProgress


def find(hub: HubServer, cache: Path, revision: str | None = None, token: str | None = None) -> Located:
    return locate(NAME, revision, token, cache, hub.address)


def test_a_folder_is_taken_as_it_is(tmp_path: Path) -> None:
    assert locate(str(tmp_path), None, None, tmp_path / "cache") == Located(tmp_path, None)


@pytest.mark.parametrize("name", ["/nowhere/model", "./model", "~nobody/model", "a/b/c", "models\\x"])
def test_a_missing_folder_is_said_to_be_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelConfigError, match="there is no folder"):
        locate(name, None, None, tmp_path)


def test_a_model_is_downloaded_once(hub: HubServer, tmp_path: Path) -> None:
    extra = {"onnx/model.safetensors": b"x", "modeling_evil.py": b"x", "pytorch_model.bin": b"x"}
    sha = hub.repos[NAME].commit({**FILES, **extra})
    found = find(hub, tmp_path)
    assert found.revision == sha
    assert {path.name: path.read_bytes() for path in found.folder.iterdir()} == FILES
    hub.requests.clear()
    assert find(hub, tmp_path) == found
    assert hub.fetched() == []


def test_old_weights_are_fetched_only_where_there_are_no_others(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit({"config.json": b"{}", "pytorch_model.bin": b"x"})
    assert (find(hub, tmp_path).folder / "pytorch_model.bin").exists()


def test_a_pinned_revision_stays_when_the_branch_moves_on(hub: HubServer, tmp_path: Path) -> None:
    first = hub.repos[NAME].commit(FILES, "v1")
    second = hub.repos[NAME].commit({**FILES, "model.safetensors": b"better"})
    assert find(hub, tmp_path, "v1").revision == first
    assert find(hub, tmp_path).revision == second
    assert find(hub, tmp_path, first).revision == first


def test_a_cached_commit_needs_no_hub(hub: HubServer, tmp_path: Path) -> None:
    sha = hub.repos[NAME].commit(FILES)
    find(hub, tmp_path, sha)
    hub.requests.clear()
    hub.down = True
    assert find(hub, tmp_path, sha).revision == sha
    assert hub.requests == []


@pytest.mark.parametrize("revision", [None, "v1"])
def test_with_the_hub_down_the_cached_revision_serves(
    hub: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, revision: str | None
) -> None:
    hub.repos[NAME].commit(FILES, "v1")
    found = find(hub, tmp_path, revision)
    hub.down = True
    with caplog.at_level(logging.WARNING):
        assert find(hub, tmp_path, revision) == found
    assert "using the cached revision" in caplog.text


def test_a_hub_that_is_gone_altogether_is_a_hub_that_is_down(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES)
    found = find(hub, tmp_path)
    assert locate(NAME, None, None, tmp_path, "http://127.0.0.1:9") == found


def test_with_the_hub_down_and_nothing_cached_it_is_worth_another_try(hub: HubServer, tmp_path: Path) -> None:
    hub.down = True
    with pytest.raises(HubUnreachable, match="not in the cache") as caught:
        find(hub, tmp_path)
    assert caught.value.retry


def test_a_private_model_needs_the_token(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME] = Repo(token="hf_secret")
    hub.repos[NAME].commit(FILES)
    for token in (None, "hf_wrong"):
        with pytest.raises(ModelConfigError, match="HF_TOKEN") as caught:
            find(hub, tmp_path, token=token)
        assert "hf_" not in str(caught.value)
    assert find(hub, tmp_path, token="hf_secret").revision
    assert not hub.leaked_token  # the large file comes from another host


def test_an_unknown_repository_or_revision_is_named(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES)
    with pytest.raises(ModelConfigError, match="no revision v9"):
        find(hub, tmp_path, "v9")
    with pytest.raises(ModelConfigError, match="no clinic/other"):
        locate("clinic/other", None, None, tmp_path, hub.address)


def test_a_cache_folder_that_cannot_be_made_is_said_in_a_sentence(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES)
    (tmp_path / "file").touch()
    with pytest.raises(ModelUnavailable, match="MODEL_CACHE_DIR"):
        find(hub, tmp_path / "file")


def test_progress_becomes_log_lines_where_there_is_no_terminal(
    hub: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoggedProgress, "EVERY_S", 0.0)
    hub.repos[NAME].commit({**FILES, "model.safetensors": b"x" * 2_000_000})
    with caplog.at_level(logging.INFO):
        find(hub, tmp_path)
    lines = [record for record in caplog.records if record.message == "downloading the model"]
    assert lines[-1].__dict__["done_mb"] == pytest.approx(2.0)
    shutil.rmtree(tmp_path)
