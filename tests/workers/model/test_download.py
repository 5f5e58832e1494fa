"""Downloads that go wrong: cut, killed, damaged, garbled, too large for the disk, given up half way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import ModelUnavailable
from tests.workers.model.conftest import FILES, NAME
from tests.workers.model.hub_server import HubServer
from workers.model import snapshots
from workers.model.errors import DiskFull, HubUnreachable
from workers.model.hub import Located, locate

ROOT = Path(__file__).parents[3]
BIG = {**FILES, "model.safetensors": os.urandom(2_000_000)}
# What a worker does at its start, in a process of its own.
LOCATE = """
import sys
from pathlib import Path
from shared.errors import ModelUnavailable
from workers.model.hub import locate
try:
    print(locate(sys.argv[1], sys.argv[2], None, Path(sys.argv[3]), sys.argv[4]).folder)
except ModelUnavailable as error:
    sys.exit(f"{type(error).__name__}: {error}")
"""


def find(hub: HubServer, cache: Path, revision: str | None = None) -> Located:
    return locate(NAME, revision, None, cache, hub.address)


def command(hub: HubServer, cache: Path, revision: str) -> list[str]:
    return [sys.executable, "-c", LOCATE, NAME, revision, str(cache), hub.address]


def wait_for(condition: Callable[[], object], timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def repo_of(cache: Path) -> Path:
    return snapshots.repository(cache, NAME)


def test_a_cut_download_resumes_where_it_broke_off(hub: HubServer, tmp_path: Path) -> None:
    weights = os.urandom(12_000_000)
    hub.repos[NAME].commit({**FILES, "model.safetensors": weights})
    hub.cut_after = 11_000_000
    assert (find(hub, tmp_path).folder / "model.safetensors").read_bytes() == weights
    assert hub.ranges == ["bytes=10485760-"]  # the library writes in pieces of 10 MiB


def test_a_killed_download_goes_on_with_the_files_it_had_not_finished(hub: HubServer, tmp_path: Path) -> None:
    sha = hub.repos[NAME].commit(BIG, "v1")
    hub.stall_after = 1_000_000
    doomed = subprocess.Popen(command(hub, tmp_path, "v1"), cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        assert hub.stalled.wait(60)
        small = [repo_of(tmp_path) / "snapshots" / sha / name for name in ("config.json", "tokenizer.json")]
        wait_for(lambda: all(file.exists() for file in small))
    finally:
        doomed.kill()
    assert doomed.wait(30) == -signal.SIGKILL
    (leftover,) = repo_of(tmp_path).glob("blobs/*.incomplete")
    long_ago = time.time() - snapshots.LEFTOVER_AGE_S - 60
    os.utime(leftover, (long_ago, long_ago))
    hub.requests.clear()

    again = subprocess.run(
        command(hub, tmp_path, "v1"), cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert Path(again.stdout.strip()).name == sha
    assert hub.fetched() == ["model.safetensors"]
    assert {file.name: file.read_bytes() for file in Path(again.stdout.strip()).iterdir()} == BIG
    assert not leftover.exists()


def test_a_download_under_way_in_another_worker_keeps_its_file(tmp_path: Path) -> None:
    blobs = repo_of(tmp_path) / "blobs"
    blobs.mkdir(parents=True)
    fresh = blobs / "abc.12345678.incomplete"
    fresh.write_bytes(b"x" * 10)
    assert snapshots.remove_leftovers(repo_of(tmp_path)) == 0
    assert fresh.exists()
    assert snapshots.remove_leftovers(repo_of(tmp_path), older_than_s=-1) == 10


def test_half_a_snapshot_is_not_taken_for_the_model(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES)
    found = find(hub, tmp_path)
    (found.folder / "tokenizer.json").unlink()
    hub.down = True
    with pytest.raises(HubUnreachable):
        find(hub, tmp_path)
    hub.down = False
    assert (find(hub, tmp_path).folder / "tokenizer.json").exists()


def flip(file: Path) -> None:
    """One bit changes, the length stays."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.resolve().write_bytes(content)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("pinned", [True, False], ids=["commit", "branch"])
def test_only_a_damaged_file_is_fetched_again(
    hub: HubServer, tmp_path: Path, name: str, pinned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    sha = hub.repos[NAME].commit(FILES)
    found = find(hub, tmp_path)
    flip(found.folder / name)
    assert [file.name for file in snapshots.damaged(found.folder)] == [name]
    hub.requests.clear()
    assert find(hub, tmp_path, sha if pinned else None) == found
    assert hub.fetched() == [name]
    assert snapshots.damaged(found.folder) == []
    assert "damaged files in the cache are fetched again" in caplog.text


@pytest.mark.parametrize("lost", ["blob", "truncated", "dangling"])
def test_a_file_that_is_short_or_gone_is_damaged_too(hub: HubServer, tmp_path: Path, lost: str) -> None:
    hub.repos[NAME].commit(FILES)
    weights = find(hub, tmp_path).folder / "model.safetensors"
    if lost == "truncated":
        os.truncate(weights, 100)
    else:
        weights.resolve().unlink()
    assert snapshots.damaged(weights.parent) == [weights]
    assert (find(hub, tmp_path).folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_damaged_file_is_not_served_while_the_hub_is_down(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES, "v1")
    flip(find(hub, tmp_path, "v1").folder / "model.safetensors")
    hub.down = True
    with pytest.raises(HubUnreachable, match="or not whole"):
        find(hub, tmp_path, "v1")


def test_a_hub_that_sends_wrong_bytes_is_not_believed(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES)
    hub.garbled.add("model.safetensors")
    with pytest.raises(ModelUnavailable, match="do not match their checksums"):
        find(hub, tmp_path)


def test_what_another_worker_has_mended_is_left_alone(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES)
    weights = find(hub, tmp_path).folder / "model.safetensors"
    snapshots.discard([weights])
    assert weights.exists()


def test_an_update_that_broke_off_leaves_the_revision_before_in_service(
    hub: HubServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = hub.repos[NAME].commit(FILES)
    find(hub, tmp_path)
    second = hub.repos[NAME].commit({**FILES, "model.safetensors": b"better" * 1000})
    half = find(hub, tmp_path)
    assert half.revision == second
    (half.folder / "model.safetensors").unlink()  # as if killed before it was there
    hub.down = True
    assert find(hub, tmp_path).revision == first
    assert "using the cached revision" in caplog.text
    with pytest.raises(HubUnreachable):
        find(hub, tmp_path, "v2")  # what is pinned is never replaced by something else


def test_a_model_that_has_no_room_is_refused_before_it_fills_the_disk(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(FILES)
    hub.claimed_sizes["model.safetensors"] = 10**15
    with pytest.raises(
        DiskFull, match=r"the disk is full: the model needs 1,000,000,000 MB more and [\d,]+ MB are free"
    ):
        find(hub, tmp_path)
    assert hub.fetched() == []


def test_a_disk_that_fills_up_on_the_way_is_said_in_a_sentence(hub: HubServer, tmp_path: Path) -> None:
    hub.repos[NAME].commit(BIG, "v1")
    hub.claimed_sizes["model.safetensors"] = 10  # somebody else takes the room after we looked
    script = 'mount -t tmpfs -o size=900k tmpfs "$1" && shift && exec "$@"'
    namespace = ["unshare", "-rm", "sh", "-c", script, "sh", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run([*namespace, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no mount namespaces here")
    whole = [*namespace, *command(hub, tmp_path, "v1")]
    told = subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert told.returncode == 1
    assert "DiskFull: MODEL_CACHE_DIR: the disk is full" in told.stderr
