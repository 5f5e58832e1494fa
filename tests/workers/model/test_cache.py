"""The cache by hand: what is listed, what prune removes, and what it never does."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import redis

from shared.state import health
from tests.workers.model.conftest import FILES, NAME
from tests.workers.model.hub_server import HubServer
from workers.model import cache, snapshots
from workers.model.hub import locate
from workers.sweeper import CacheSize

Cached = list[str]


@pytest.fixture
def commits(hub: HubServer, tmp_path: Path) -> Cached:
    """Four revisions, v0 to v3, loaded in this order; three of their files are the same."""
    made = []
    for number in range(4):
        files = {**FILES, "model.safetensors": bytes([number]) * 100_000}
        made.append(hub.repos[NAME].commit(files, f"v{number}"))
        found = locate(NAME, f"v{number}", None, tmp_path, hub.address)
        when = time.time() - 1000 + number
        os.utime(found.folder, (when, when))
    return made


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, redis_url: str) -> None:
    monkeypatch.chdir(tmp_path)  # no .env there
    for name, value in {"MODEL_NAME": NAME, "MODEL_CACHE_DIR": str(tmp_path), "REDIS_URL": redis_url}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def redis_url(client: redis.Redis) -> str:
    where = client.connection_pool.connection_kwargs
    return f"redis://{where['host']}:{where['port']}/0"


def left(tmp_path: Path) -> set[str]:
    return {one.commit for one in snapshots.revisions(tmp_path, NAME)}


def test_list_shows_revisions_sizes_and_what_is_in_use(
    commits: Cached, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_REVISION", "v1")
    assert cache.main(["list"]) == 0
    *rows, whole = capsys.readouterr().out.splitlines()
    assert [row.split()[0] for row in rows] == commits[::-1]
    assert all("0.1 MB" in row for row in rows)
    assert [row.endswith("in use") for row in rows] == [False, False, True, False]
    assert "v1" in rows[2]
    assert whole.startswith(f"{NAME}: 4 revisions, 0.4 MB")


def test_list_names_a_damaged_revision(commits: Cached, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = snapshots.repository(tmp_path, NAME) / "snapshots" / commits[0] / "model.safetensors"
    os.truncate(weights, 10)
    cache.main(["list"])
    rows = capsys.readouterr().out.splitlines()
    assert [row for row in rows if "damaged" in row] == [row for row in rows if row.startswith(commits[0])]


@pytest.mark.parametrize(("keep", "stays"), [(1, {3}), (2, {2, 3}), (9, {0, 1, 2, 3})])
def test_prune_keeps_the_last_used(commits: Cached, tmp_path: Path, keep: int, stays: set[int]) -> None:
    assert cache.main(["prune", "--keep", str(keep)]) == 0
    assert left(tmp_path) == {commits[number] for number in stays}
    assert all(one.whole for one in snapshots.revisions(tmp_path, NAME))


def test_prune_frees_the_disk_and_says_how_much(
    commits: Cached, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = snapshots.size_bytes(tmp_path)
    cache.main(["prune"])
    assert before - snapshots.size_bytes(tmp_path) > 190_000
    assert f"0.2 MB freed, 2 revisions of {NAME} left" in capsys.readouterr().out


@pytest.mark.parametrize("pin", ["v0", "commit"])
def test_prune_never_removes_the_pinned_one(
    commits: Cached, tmp_path: Path, pin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODEL_REVISION", commits[0] if pin == "commit" else pin)
    cache.main(["prune", "--keep", "0"])
    assert left(tmp_path) == {commits[0]}


def test_prune_never_removes_what_a_worker_holds(commits: Cached, tmp_path: Path, client: redis.Redis) -> None:
    health.publish_heartbeat(client, "w1", {"name": "w1", "model": {"name": NAME, "revision": commits[1]}})
    cache.main(["prune", "--keep", "1"])
    assert left(tmp_path) == {commits[1], commits[3]}


def test_what_was_loaded_last_is_kept_and_not_what_was_downloaded_last(
    hub: HubServer, commits: Cached, tmp_path: Path
) -> None:
    locate(NAME, commits[0], None, tmp_path, hub.address)  # rolled back
    cache.main(["prune", "--keep", "1"])
    assert left(tmp_path) == {commits[0]}


def test_prune_works_without_redis_and_says_what_it_does_not_know(
    commits: Cached, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:9/0")
    assert cache.main(["prune"]) == 0
    assert left(tmp_path) == set(commits[2:])
    assert "which revisions workers hold is not known" in capsys.readouterr().err


def test_prune_copes_with_what_a_kill_left_behind(commits: Cached, tmp_path: Path) -> None:
    repo = snapshots.repository(tmp_path, NAME)
    (repo / "refs" / "v9").write_text("f" * 40)  # asked for, never downloaded
    (repo / "snapshots" / commits[0] / "model.safetensors").resolve().unlink()
    leftover = repo / "blobs" / "abc.12345678.incomplete"
    leftover.write_bytes(b"x" * 1000)
    os.utime(leftover, (0, 0))
    assert cache.main(["prune"]) == 0
    assert left(tmp_path) == set(commits[2:])
    assert not leftover.exists()


def test_a_folder_needs_no_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_NAME", str(tmp_path))
    assert cache.main(["prune"]) == 0
    assert "needs no cache" in capsys.readouterr().out


def test_an_empty_cache_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    assert cache.main(["list"]) == cache.main(["prune"]) == 0
    assert f"{NAME}: 0 revisions" in capsys.readouterr().out


@pytest.mark.usefixtures("commits")
def test_the_size_is_measured_once_a_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = CacheSize(tmp_path)
    first = size.bytes()
    assert first > 400_000
    (tmp_path / "more").write_bytes(b"x" * 1000)
    assert size.bytes() == first
    monkeypatch.setattr(CacheSize, "EVERY_S", 0.0)
    assert CacheSize(tmp_path / "nowhere").bytes() == 0
    assert CacheSize(tmp_path).bytes() == first + 1000


@pytest.mark.parametrize("wrong", [["prune", "--keep", "-1"], ["prune", "--keep", "x"], []])
def test_a_wrong_call_is_refused(wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        cache.main(wrong)
    assert stopped.value.code == 2
