"""What stands in the cache of the Hub, without network: checksums, leftovers of killed downloads, sizes, last use.

The library's layout: `models--user--name/` holds `snapshots/{commit}/{file}`, each a link into `blobs/`, where a file
is named by its checksum; `refs/{tag}` names a commit. Used by `hub`, `conversion` and `cache`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

CONVERSION_FILE = "conversion.json"  # checksums of weights that we wrote beside a repository's own: see `conversion`
CONVERTING_PREFIX = ".converting-"
LEFTOVER_AGE_S = 15 * 60  # a download that lives has written something since
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Revision:
    """One commit in the cache."""

    commit: str
    folder: Path
    refs: tuple[str, ...]  # tags and branches that pointed here when they were last asked for
    size: int  # bytes, files shared with other revisions too
    own_size: int  # bytes that no other revision uses
    used_at: float  # seconds since the epoch: last load, else the download
    whole: bool  # no file is missing or damaged


def repository(cache_dir: Path, name: str) -> Path:
    """Return the folder of a repository, which need not exist."""
    return cache_dir.expanduser() / f"models--{name.replace('/', '--')}"


def damaged(folder: Path) -> list[Path]:
    """Return the files of a snapshot whose content is not what their checksum says, or is not there.

    A cache on a file system without links keeps plain files, which carry no checksum: they are taken as they are.
    """
    return [file for file in sorted(folder.iterdir()) if (known := _known(file)) and checksum(file, known) != known]


def discard(files: list[Path]) -> None:
    """Remove damaged files so that they are fetched again; one that another worker has mended meanwhile stays."""
    for file in files:
        known = _known(file)
        if known and checksum(file, known) == known:
            continue
        blob = file.parent / os.readlink(file) if file.is_symlink() else file
        for path in (blob.resolve(), blob, file):
            path.unlink(missing_ok=True)


def remove_leftovers(repo: Path, older_than_s: float = LEFTOVER_AGE_S) -> int:
    """Remove what killed downloads and conversions left behind; returns the bytes freed.

    The library never goes on with such a file: each download writes to a name of its own.
    """
    oldest = time.time() - older_than_s
    freed = 0
    for path in [*repo.glob("blobs/*.incomplete"), *repo.glob(f"{CONVERTING_PREFIX}*")]:
        with contextlib.suppress(OSError):  # another worker was quicker
            if path.stat().st_mtime < oldest:
                freed += size_bytes(path)
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    return freed


def note_use(folder: Path) -> None:
    """Remember that this snapshot was loaded now: the order in which `cache prune` keeps them."""
    with contextlib.suppress(OSError):  # a cache that may only be read
        os.utime(folder)


def revisions(cache_dir: Path, name: str) -> list[Revision]:
    """List the cached revisions of a model, last used first."""
    repo = repository(cache_dir, name)
    refs = list(_refs(repo))
    blobs = {folder: _blobs(folder) for folder in repo.glob("snapshots/*") if folder.is_dir()}
    found = []
    for folder, own in blobs.items():
        others = set().union(*(files for other, files in blobs.items() if other != folder))
        found.append(
            Revision(
                commit=folder.name,
                folder=folder,
                refs=tuple(sorted(ref for ref, commit in refs if commit == folder.name)),
                size=sum(_size(file) for file in own),
                own_size=sum(_size(file) for file in own - others),
                used_at=folder.stat().st_mtime,
                whole=not damaged(folder),
            )
        )
    return sorted(found, key=lambda revision: revision.used_at, reverse=True)


def size_bytes(path: Path) -> int:
    """Return what a file or folder takes, links not followed; 0 when it is not there."""
    if not path.is_dir():
        return _size(path)
    inside = (Path(folder) / file for folder, _, files in os.walk(path) for file in files)
    return sum(_size(file) for file in inside if not file.is_symlink())


def tidy(repo: Path) -> int:
    """Remove leftovers, links to files that are gone and references to revisions that are gone; returns bytes freed.

    The library refuses to look after a repository that holds any of the last two.
    """
    freed = remove_leftovers(repo)
    for link in repo.glob("snapshots/*/*"):
        if link.is_symlink() and not link.exists():
            used = link.parent.stat()
            link.unlink(missing_ok=True)
            os.utime(link.parent, (used.st_atime, used.st_mtime))  # this was no use of it
    for ref, commit in list(_refs(repo)):
        if not (repo / "snapshots" / commit).is_dir():
            (repo / "refs" / ref).unlink(missing_ok=True)
    return freed


def checksum(file: Path, like: str) -> str | None:
    """Return a file's sha256, or git's hash where `like` is as short as that; None for a file that cannot be read."""
    try:
        with file.open("rb") as stream:
            length = os.fstat(stream.fileno()).st_size
            is_git = len(like) == 40
            digest = hashlib.sha1(b"blob %d\0" % length, usedforsecurity=False) if is_git else hashlib.sha256()
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
        return digest.hexdigest()
    except OSError:
        return None


def _refs(repo: Path) -> Iterator[tuple[str, str]]:
    folder = repo / "refs"
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path.read_text().strip()


def _blobs(folder: Path) -> set[Path]:
    return {file.resolve() for file in folder.iterdir() if file.exists()}


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _known(file: Path) -> str | None:
    """The checksum that a file must have: the name of its blob, or what `conversion` wrote down."""
    if file.is_symlink():
        name = Path(os.readlink(file)).name
        return name if len(name) in (40, 64) else None
    try:
        noted = json.loads((file.parent / CONVERSION_FILE).read_text()).get("sha256", {})
    except (OSError, ValueError, AttributeError):
        return None
    digest = noted.get(file.name) if isinstance(noted, dict) else None
    return digest if isinstance(digest, str) else None
