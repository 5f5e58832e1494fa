"""Publishing: what is uploaded, what may be repeated, and that chats of real people never become public."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.settings import BUNDLED_MODEL
from tests.training.conftest import REPO, TOKEN, Publish
from tests.workers.model.hub_server import HubServer, Repo

# The library's upload without Xet uses an argument that its own HTTP client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")

ROOT = Path(__file__).parents[2]


def change(folder: Path, **facts: object) -> None:
    file = folder / "training.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | facts))


def test_a_folder_becomes_a_tagged_revision_with_a_card(
    hub: HubServer, release: Publish, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "checkpoint.pt").write_bytes(b"never uploaded")
    (folder / "chats.csv").write_bytes(b"never uploaded")
    assert release("--private") == 0
    repo = hub.repos[REPO]
    assert repo.token == TOKEN
    files = repo.files("v1") or {}
    uploaded = {file.name for file in folder.iterdir()} - {"checkpoint.pt", "chats.csv"}
    assert set(files) == uploaded | {"README.md", ".gitattributes"}
    assert all(files[name] == (folder / name).read_bytes() for name in uploaded)
    assert repo.refs["v1"] == repo.refs["main"]
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("files, 0.3 MB")
    assert told[1:3] == ["release gate: 4 of 4 answered", f"created {REPO}, private"]
    assert told[-2].startswith(f"published {REPO} v1 (commit ")
    assert told[-1] == f"pin it: MODEL_NAME={REPO} MODEL_REVISION=v1"


def test_the_same_again_is_no_fault_and_other_content_is_refused(
    hub: HubServer, release: Publish, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release("--private") == 0
    commits = dict(hub.repos[REPO].commits)
    assert release() == 0
    assert f"{REPO} v1 is there already with this content" in capsys.readouterr().out
    change(folder, seconds=7)
    assert release() == 73
    assert capsys.readouterr().err == f"{REPO} has a revision v1 with other content: choose another name.\n"
    assert hub.repos[REPO].commits == commits  # refused before anything was uploaded
    assert release(tag="v2") == 0
    assert hub.repos[REPO].refs["v2"] != hub.repos[REPO].refs["v1"]


def test_a_run_that_broke_off_before_the_tag_may_be_repeated(hub: HubServer, release: Publish) -> None:
    assert release("--private") == 0
    del hub.repos[REPO].refs["v1"]
    assert release() == 0
    assert len(hub.repos[REPO].commits) == 2  # the Hub's own first one, and ours


def test_files_of_an_earlier_release_go_and_what_others_put_beside_them_stays(
    hub: HubServer, release: Publish, folder: Path
) -> None:
    hub.repos[REPO] = Repo(TOKEN)
    hub.repos[REPO].commit({"model-00001-of-00002.safetensors": b"old", "LICENSE": b"x", "onnx/config.json": b"x"})
    assert release() == 0
    files = set(hub.repos[REPO].files("v1") or {})
    assert {"LICENSE", "onnx/config.json", "model.safetensors"} <= files
    assert "model-00001-of-00002.safetensors" not in files


@pytest.mark.parametrize("declared", ["option", "training.json"])
@pytest.mark.parametrize("public", ["option", "repository"])
def test_chats_of_real_people_never_become_public(
    hub: HubServer, release: Publish, folder: Path, declared: str, public: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--public"] if public == "option" else []
    if public == "repository":
        hub.repos[REPO] = Repo()  # it exists, and everybody can read it
    if declared == "option":
        options.append("--data-has-real-chats")
    else:
        change(folder, real_chats=True)
    assert release(*options) == 65
    assert "chats of real people: Meta's terms" in capsys.readouterr().err
    assert not hub.repos.get(REPO, Repo()).commits
    assert not [line for line in hub.requests if "/commit/" in line or "/repos/create" in line]


def test_chats_of_real_people_may_be_kept_in_private(hub: HubServer, release: Publish) -> None:
    assert release("--private", "--data-has-real-chats") == 0
    card = (hub.repos[REPO].files("v1") or {})["README.md"].decode()
    assert "must stay private" in card


def test_the_bundled_model_is_published_from_the_command_line(hub: HubServer) -> None:
    command = [sys.executable, "-m", "training.publish", "--repo", REPO, "--revision", "v1", "--public"]
    environment = os.environ | {"HF_HUB_DISABLE_XET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "release gate: 2" in done.stdout
    files = hub.repos[REPO].files("v1") or {}
    assert files["model.safetensors"] == (BUNDLED_MODEL / "model.safetensors").read_bytes()
    assert b"trained from scratch" in files["README.md"] or b"base_model" in files["README.md"]
