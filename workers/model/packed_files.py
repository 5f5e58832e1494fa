"""Where packed int8 weights lie, and what names them. Used by `packing` and `cache`; imports no torch.

A file is named by the fingerprint of the weights it was made of and by VERSION, so another revision or another way of
packing never finds it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

VERSION = 1
FOLDER = "packed"
_EDGE = 1 << 20  # bytes at either end of a file that name it, where the Hub has not named it
_HUB_NAME_LENGTH = 64  # of a blob named by its sha256


def path_of(cache_dir: Path, model: Path) -> Path:
    return cache_dir / FOLDER / f"{fingerprint(model)}-{VERSION}.safetensors"


def remove_former(path: Path) -> None:
    """Remove files of the same weights that another version packed."""
    for old in path.parent.glob(f"{path.name.split('-')[0]}-*.safetensors"):
        if old != path:
            old.unlink(missing_ok=True)


def remove_unused(cache_dir: Path, models: Iterable[Path]) -> int:
    """Remove what was packed of other models than these folders; returns the bytes freed."""
    wanted = {path_of(cache_dir, model) for model in models}
    freed = 0
    for path in (cache_dir / FOLDER).glob("*.safetensors"):
        if path not in wanted:
            freed += path.stat().st_size
            path.unlink(missing_ok=True)
    return freed


def fingerprint(folder: Path) -> str:
    """Name the weights and the config: equal for equal files, and another after any change of them.

    The Hub's cache names a file by its checksum; of others, length, time of change and both ends are taken, since
    reading gigabytes at each start would cost what it is to save.
    """
    digest = hashlib.sha256()
    for file in [folder / "config.json", *sorted(folder.glob("*.safetensors"))]:
        for part in _marks(file):
            digest.update(part)
    return digest.hexdigest()[:16]


def _marks(file: Path) -> Iterator[bytes]:
    target = file.resolve()
    yield file.name.encode()
    if file.is_symlink() and len(target.name) == _HUB_NAME_LENGTH:
        yield target.name.encode()
        return
    facts = target.stat()
    yield f"{facts.st_size} {facts.st_mtime_ns}".encode()
    with target.open("rb") as stream:
        yield stream.read(_EDGE)
        stream.seek(max(0, facts.st_size - _EDGE))
        yield stream.read(_EDGE)
