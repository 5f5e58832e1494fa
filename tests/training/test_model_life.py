"""The life of a model: published, pinned, pulled, updated, rolled back, pruned; each step as an operator does it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.settings import BUNDLED_MODEL, Settings
from tests.training.conftest import REPO, TOKEN
from tests.workers.model.hub_server import HubServer
from training import publish
from workers.model import cache, snapshots
from workers.model.errors import ModelConfigError
from workers.model.holder import ModelHolder
from workers.model.info import ModelInfo

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

WAIT_S = 60
Start = Callable[..., ModelInfo]


@pytest.fixture
def start(hub: HubServer, tmp_path: Path) -> Start:
    """What a worker does with the model at its start; returns what it would show in GET /model."""

    def run(revision: str, token: str | None = TOKEN) -> ModelInfo:
        settings = Settings(
            _env_file=None,
            MODEL_NAME=REPO,
            MODEL_REVISION=revision,
            MODEL_CACHE_DIR=tmp_path / "cache",
            HF_ENDPOINT=hub.address,
            HF_TOKEN=token,
            MODEL_DEVICE="cpu",
            MODEL_THREADS=1,
        )
        holder = ModelHolder(settings)
        holder.start()
        try:
            holder.wait(WAIT_S)
            assert holder.info is not None
            return holder.info
        finally:
            holder.close()
            if holder.failure:
                raise holder.failure

    return run


def test_publish_pin_pull_update_roll_back(
    hub: HubServer, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(BUNDLED_MODEL, tmp_path / "model"))

    def release(tag: str) -> int:
        return publish.main(["--repo", REPO, "--revision", tag, "--folder", str(folder), "--private"])

    # Published, pinned, pulled; nobody without the token sees it.
    assert release("v1") == 0
    first = start("v1")
    assert first.revision == hub.repos[REPO].refs["v1"]
    assert first.gate is not None
    assert first.gate.endswith("of 25 right")
    hub.readers.add("hf_other")
    with pytest.raises(ModelConfigError, match="or it is private and HF_TOKEN does not open it"):
        start("v1", token="hf_other")

    # A new release changes nothing for who is pinned; only changed files travel when the pin moves.
    facts = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    (folder / "training.json").write_text(json.dumps(facts | {"seconds": 1}), encoding="utf-8")
    assert release("v2") == 0
    assert start("v1").revision == first.revision
    hub.requests.clear()
    second = start("v2")
    assert second.revision == hub.repos[REPO].refs["v2"] != first.revision
    assert hub.fetched() == ["training.json"]  # weights are stored once; README.md stays on the Hub

    # Back, even while the Hub is down.
    hub.down = True
    assert start("v1").revision == first.revision
    with pytest.raises(Exception, match="the Hub cannot be reached"):
        start("v3")
    hub.down = False

    # Old revisions go; the one in use stays and still loads.
    monkeypatch.setenv("MODEL_NAME", REPO)
    monkeypatch.setenv("MODEL_REVISION", "v1")
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    assert cache.main(["prune", "--keep", "1"]) == 0
    assert [one.commit for one in snapshots.revisions(tmp_path / "cache", REPO)] == [first.revision]
    assert start("v1").revision == first.revision
