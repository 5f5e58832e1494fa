"""What publishing refuses, each in one sentence and with an exit code, before anything is uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.conftest import REPO, TOKEN, Publish
from tests.workers.model.conftest import save_model
from tests.workers.model.hub_server import HubServer, Repo
from training import publish

# The library's upload without Xet uses an argument that its own HTTP client deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")


def refused(capsys: pytest.CaptureFixture[str]) -> str:
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    return told.strip()


def test_without_a_token_nothing_is_tried(
    hub: HubServer, release: Publish, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert release("--private") == 77
    assert refused(capsys) == "Set HF_TOKEN to a token that may write: publishing needs one."
    assert hub.requests == []


@pytest.mark.parametrize(
    ("token", "repo", "says"),
    [
        ("hf_unknown", REPO, "HF_TOKEN is not valid"),
        ("hf_read", REPO, f"HF_TOKEN may not write to {REPO}."),
        (TOKEN, "other/gpt2", "HF_TOKEN may not write to other/gpt2."),
    ],
)
def test_a_token_that_may_not_write_is_said_to_be_that(
    hub: HubServer,
    release: Publish,
    token: str,
    repo: str,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hub.readers.add("hf_read")
    hub.repos[REPO] = Repo()
    hub.repos[REPO].commit({"README.md": b"x"})
    monkeypatch.setenv("HF_TOKEN", token)
    assert release(*(["--private"] if repo != REPO else []), repo=repo) == 77
    assert says in refused(capsys)
    assert "hf_" not in says


def test_a_missing_repository_is_not_made_by_a_slip_of_the_pen(
    hub: HubServer, release: Publish, capsys: pytest.CaptureFixture[str]
) -> None:
    assert release(repo="clinic/gtp2") == 73
    assert refused(capsys) == (
        "The Hub has no clinic/gtp2 that HF_TOKEN opens: add --private or --public to create it."
    )
    assert hub.repos == {}


@pytest.mark.parametrize(("option", "stands"), [("--private", None), ("--public", TOKEN)])
def test_a_visibility_that_differs_is_not_taken_for_granted(
    hub: HubServer, release: Publish, option: str, stands: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.repos[REPO] = Repo(stands)
    assert release(option) == 73
    assert "change that on its page first" in refused(capsys)


def test_a_hub_that_is_down_is_said_to_be_down(
    hub: HubServer, release: Publish, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.down = True
    assert release("--private") == 69
    assert "The Hub cannot be reached" in refused(capsys)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert release("--private") == 69
    assert "The Hub cannot be reached" in refused(capsys)


@pytest.mark.parametrize("lost", ["config.json", "tokenizer.json", "training.json", "model.safetensors"])
def test_a_folder_that_lacks_something_is_refused(
    hub: HubServer, release: Publish, folder: Path, lost: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / lost).unlink()
    assert release("--private") == 65
    assert "is not complete: it lacks" in refused(capsys)
    assert hub.requests == []


@pytest.mark.parametrize(("content", "says"), [('{"metrics": {}}', "holds no metrics"), ("{", "cannot be read")])
def test_a_model_that_was_never_measured_is_refused(
    hub: HubServer, release: Publish, folder: Path, content: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "training.json").write_text(content)
    assert release("--private") == 65
    assert says in refused(capsys)


def test_a_model_that_fails_the_gate_is_not_published(
    hub: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = save_model(tmp_path / "random")
    (folder / "training.json").write_text('{"metrics": {"accuracy": 1.0}}')
    arguments = ["--repo", REPO, "--revision", "v1", "--folder", str(folder), "--private"]
    assert publish.main(arguments) == 65
    assert "it lacks calibration.json" in refused(capsys)
    (folder / "calibration.json").write_text('{"temperature": 1.0}')
    assert publish.main(arguments) == 65
    assert "Not published: the model is refused by the release gate" in refused(capsys)
    assert hub.requests == []


@pytest.mark.parametrize("wrong", [["--revision", "main"], ["--revision", "a1b2c3d"], ["--repo", "gpt2"], ["--public"]])
def test_wrong_arguments_are_told(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        publish.main(["--repo", REPO, "--revision", "v1", "--private", *wrong])
    assert stopped.value.code == 2
