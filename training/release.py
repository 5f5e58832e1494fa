"""A model folder before it leaves the machine: whole, safe, good enough, with its card. Called by `publish`."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from shared.errors import ModelUnavailable
from shared.settings import Settings
from training.model_card import build_card

# All that is ever uploaded: no checkpoints, no data, no code.
PUBLISHED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
CARD = "README.md"
_NEEDED = ("config.json", "tokenizer.json", "tokenizer_config.json", "training.json")
_BLOCKED, _NO_FOLDER = 65, 66  # EX_DATAERR, EX_NOINPUT of sysexits.h
_TAG = re.compile(r"[A-Za-z0-9][\w.-]{0,63}")


class Refused(Exception):
    """Publishing ends with this sentence and this exit code (sysexits.h)."""

    def __init__(self, sentence: str, code: int) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class Release:
    """A folder that was read and found whole."""

    folder: Path
    facts: dict[str, Any]  # training.json
    config: dict[str, Any]  # config.json
    files: tuple[Path, ...]  # what will be uploaded, without the card

    @property
    def size(self) -> int:
        return sum(file.stat().st_size for file in self.files)

    def has_real_chats(self) -> bool:
        return bool(self.facts.get("real_chats"))


def is_published(path: str) -> bool:
    """True for a path in a repository that this program writes."""
    return "/" not in path and (path == CARD or any(fnmatch(path, pattern) for pattern in PUBLISHED))


def check_tag(tag: str) -> str:
    """Return the tag.

    Raises:
        ValueError: it would be taken for a branch or a commit, or is no name at all.
    """
    if not _TAG.fullmatch(tag) or tag == "main" or re.fullmatch(r"[0-9a-f]{7,40}", tag):
        raise ValueError(f"{tag!r} is no name for a revision; write for example v3")
    return tag


def read_folder(folder: Path) -> Release:
    """Look whether everything is there.

    Raises:
        Refused: naming what is missing or cannot be read.
    """
    if not folder.is_dir():
        raise Refused(f"There is no folder {folder}.", _NO_FOLDER)
    lacking = [name for name in _NEEDED if not (folder / name).is_file()]
    if not any(folder.glob("*.safetensors")):
        lacking.append("weights as .safetensors")
    if lacking:
        raise Refused(f"{folder} is not complete: it lacks {', '.join(lacking)}.", _BLOCKED)
    facts, config = _read_json(folder / "training.json"), _read_json(folder / "config.json")
    if not isinstance(facts.get("metrics"), dict) or not facts["metrics"]:
        raise Refused(f"{folder}/training.json holds no metrics: evaluate the model first.", _BLOCKED)
    files = tuple(sorted(file for file in folder.iterdir() if file.is_file() and is_published(file.name)))
    return Release(folder, facts, config, tuple(file for file in files if file.name != CARD))


def pass_gate(release: Release, settings: Settings) -> str:
    """Load the folder as a worker would and let it pass the release gate; returns what the gate found.

    Raises:
        Refused: it cannot be loaded, or fails.
    """
    # Imported here: these bring torch, and a wrong argument should be told at once.
    from workers.model import gate, loader
    from workers.model.calibration import FILE_NAME
    from workers.model.engine import Engine
    from workers.model.reader import Reader

    try:
        loaded = loader.load(settings)
        if loaded.info.tagged and not (release.folder / FILE_NAME).is_file():
            raise Refused(f"{release.folder} is not complete: it lacks {FILE_NAME}.", _BLOCKED)
        engine = Engine(loaded.backend).start()
        try:
            return str(gate.check(Reader(loaded, engine, loaded.calibration), loaded.info.tagged))
        finally:
            engine.close(drain=False)
    except ModelUnavailable as error:
        raise Refused(f"Not published: {error}.", _BLOCKED) from error


@contextmanager
def staged(release: Release, repo: str, tag: str, gate: str, real_chats: bool) -> Iterator[Path]:
    """Yield a folder that holds exactly what is to be uploaded: links to the files, and the card."""
    with tempfile.TemporaryDirectory(prefix="publish-") as name:
        stage = Path(name)
        for file in release.files:
            (stage / file.name).symlink_to(file.resolve())
        card = build_card(repo, tag, release.facts, release.config, gate, real_chats)
        (stage / CARD).write_text(card, encoding="utf-8")
        yield stage


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Refused(f"{path} cannot be read.", _BLOCKED) from error
    if not isinstance(content, dict):
        raise Refused(f"{path} cannot be read.", _BLOCKED)
    return content
