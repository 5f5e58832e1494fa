"""A repository of the test Hub: files by commit, a branch, tags, and the checksums that the real Hub gives to files."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

LARGE_FILES = (".safetensors", ".bin")  # kept beside git on the Hub, named by sha256


class Repo:
    """Files by commit; `main` and the tags point at commits."""

    def __init__(self, token: str | None = None) -> None:
        """`token`: the one that opens a private repository; None is a public one."""
        self.token = token
        self.commits: dict[str, dict[str, bytes]] = {}
        self.refs: dict[str, str] = {}

    @property
    def tags(self) -> dict[str, str]:
        return {name: sha for name, sha in self.refs.items() if name != "main"}

    def commit(self, files: dict[str, bytes], *tags: str) -> str:
        """Make these the repository's files; returns the commit."""
        content = b"".join(name.encode() + data for name, data in sorted(files.items()))
        sha = hashlib.sha1(b"%d" % len(self.commits) + content, usedforsecurity=False).hexdigest()
        self.commits[sha] = dict(files)
        for ref in ("main", *tags):
            self.refs[ref] = sha
        return sha

    def commit_folder(self, folder: Path, *tags: str, **extra: bytes) -> str:
        return self.commit({file.name: file.read_bytes() for file in folder.iterdir()} | extra, *tags)

    def files(self, revision: str) -> dict[str, bytes] | None:
        return self.commits.get(self.refs.get(revision, revision))


def is_large(name: str) -> bool:
    return name.endswith(LARGE_FILES)


def checksum(name: str, data: bytes) -> str:
    """Return what the Hub names a file by: sha256 of a large one, git's hash of any other."""
    return sha256(data) if is_large(name) else git_hash(data)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def git_hash(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def tree_entry(name: str, data: bytes, size: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"type": "file", "path": name, "size": size, "oid": git_hash(data)}
    return entry | ({"lfs": {"oid": sha256(data), "size": size, "pointerSize": 134}} if is_large(name) else {})


def sibling(name: str, data: bytes, size: int) -> dict[str, Any]:
    entry: dict[str, Any] = {"rfilename": name, "size": size, "blobId": git_hash(data)}
    return entry | ({"lfs": {"sha256": sha256(data), "size": size, "pointerSize": 134}} if is_large(name) else {})
