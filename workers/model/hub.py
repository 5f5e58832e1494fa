"""A model's name -> a folder on this machine: given, cached, or downloaded from the Hub. Called by `loader`.

Only files of the repository's top folder are taken, never code. Finished files stay in the cache volume, so a broken
download goes on with the next file; inside one call the library resumes a file too. Every file is checked against its
checksum at each start, and only what is wrong is fetched again.
"""

from __future__ import annotations

import errno
import logging
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, ModelInfo, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from shared.errors import ModelUnavailable
from workers.model import snapshots
from workers.model.errors import DiskFull, HubUnreachable, ModelConfigError
from workers.model.progress import LoggedProgress

log = logging.getLogger(__name__)

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
PLAIN_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")  # the second only for repositories without the first
HUB_TIMEOUT_S = 10


@dataclass(frozen=True)
class Located:
    folder: Path
    revision: str | None  # commit on the Hub; None for a folder


def check_name(name: str) -> None:
    """Refuse at once what is neither a folder nor can be a Hub id.

    Raises:
        ModelConfigError: naming the folder that is not there.
    """
    if not Path(name).expanduser().is_dir() and (not _HUB_ID.fullmatch(name) or name.startswith(".")):
        raise ModelConfigError(f"MODEL_NAME: there is no folder {name}")


def locate(
    name: str,
    revision: str | None,
    token: str | None,
    cache_dir: Path,
    endpoint: str | None = None,
) -> Located:
    """Find the model's files, downloading what is missing or damaged.

    Args:
        name: a folder, or a Hub id such as `user/gpt2-spanish-tb-structured`.
        revision: branch, tag or commit; None is the default branch.
        endpoint: address of the Hub; None is the library's own.

    Raises:
        ModelConfigError: no such folder, repository or revision, or no access to it.
        HubUnreachable: the Hub does not answer and the cache does not hold this revision whole.
        DiskFull: there is no room for what is missing.
        ModelUnavailable: the cache cannot be written, or the Hub sends files that are not what it says.
    """
    check_name(name)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Located(folder, None)
    source: dict[str, Any] = {"repo_id": name, "revision": revision, "cache_dir": cache_dir, "endpoint": endpoint}
    if revision and _COMMIT.fullmatch(revision) and (pinned := _cached(source)):
        return pinned  # a commit never changes: nothing to ask
    try:
        api = HfApi(endpoint=endpoint, token=token)
        info = api.model_info(name, revision=revision, timeout=HUB_TIMEOUT_S, files_metadata=True)
        found = _download({**source, "token": token, "tqdm_class": _progress()}, info)
    except Exception as error:
        problem = error if isinstance(error, ModelUnavailable) else problem_of(error, name, revision)
        cached = (_cached(source) or _last_used(source)) if problem.retry else None
        if cached is None and isinstance(problem, HubUnreachable):
            raise HubUnreachable(f"{problem} and {name} is not in the cache, or not whole") from error
        if cached is None:
            raise problem from error
        log.warning(f"using the cached revision: {problem}", extra={"model": name, "revision": cached.revision})
        return cached
    snapshots.note_use(found.folder)
    return found


def has_weights(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in _WEIGHTS)


def has_safetensors(folder: Path) -> bool:
    return next(folder.glob(_WEIGHTS[0]), None) is not None


def _progress() -> type[LoggedProgress] | None:
    return None if sys.stderr.isatty() else LoggedProgress  # None: the library draws its own bars


def _download(source: dict[str, Any], info: ModelInfo) -> Located:
    """Fetch what is missing, check all of it, and fetch once more what is not what the Hub said."""
    repo = snapshots.repository(source["cache_dir"], source["repo_id"])
    snapshots.remove_leftovers(repo)
    check_room(source["cache_dir"], repo, info)
    found = _fetch(source)
    if wrong := snapshots.damaged(found.folder):
        names = [file.name for file in wrong]
        log.warning("damaged files in the cache are fetched again", extra={"model": source["repo_id"], "files": names})
        snapshots.discard(wrong)
        found = _fetch(source)
        if snapshots.damaged(found.folder):
            raise ModelUnavailable(f"the Hub sends files of {source['repo_id']} that do not match their checksums")
    return found


def _fetch(source: dict[str, Any]) -> Located:
    for weights in _WEIGHTS:
        # "*" matches across folders here: ignoring "*/*" leaves the top folder (no onnx/, no coreml/).
        wanted = {"allow_patterns": [*PLAIN_FILES, weights], "ignore_patterns": ["*/*"]}
        folder = Path(str(snapshot_download(**{**source, **wanted})))
        if has_weights(folder):
            break
    return Located(folder, folder.name)


def check_room(cache_dir: Path, repo: Path, info: ModelInfo) -> None:
    """Refuse a download that cannot end well, before it fills the disk that Redis may write to."""
    files = [file for file in info.siblings or [] if "/" not in file.rfilename]
    safe = any(fnmatch(file.rfilename, _WEIGHTS[0]) for file in files)
    patterns = [*PLAIN_FILES, _WEIGHTS[0] if safe else _WEIGHTS[1]]
    lacking = sum(
        file.size or 0
        for file in files
        if any(fnmatch(file.rfilename, pattern) for pattern in patterns)
        and not (repo / "blobs" / str(file.lfs.sha256 if file.lfs else file.blob_id)).exists()
        and not (repo / "snapshots" / str(info.sha) / file.rfilename).exists()
    )
    standing = next(path for path in (cache_dir, *cache_dir.absolute().parents) if path.exists())
    free = shutil.disk_usage(standing).free
    if lacking > free:
        needed, room = f"{lacking / 1e6:,.0f} MB", f"{free / 1e6:,.0f} MB"
        raise DiskFull(f"MODEL_CACHE_DIR: the disk is full: the model needs {needed} more and {room} are free")


def _cached(source: dict[str, Any]) -> Located | None:
    """The revision as the cache has it, if it is whole."""
    try:
        found = _fetch({**source, "local_files_only": True})
    except (LocalEntryNotFoundError, HFValidationError):  # also raised for a snapshot that lacks files
        return None
    if not has_weights(found.folder) or snapshots.damaged(found.folder):
        return None
    snapshots.note_use(found.folder)
    return found


def _last_used(source: dict[str, Any]) -> Located | None:
    """The revision used before, where none was asked for: an update that broke off must not end the service."""
    if source["revision"] is not None:
        return None
    known = snapshots.revisions(source["cache_dir"], source["repo_id"])
    return next(filter(None, (_cached({**source, "revision": one.commit}) for one in known)), None)


def problem_of(error: Exception, name: str, revision: str | None) -> ModelUnavailable:
    """Put what went wrong into one sentence of the right kind."""
    for cause in _causes(error):
        if isinstance(cause, HFValidationError):
            return ModelConfigError(f"MODEL_NAME: {name} is neither a folder nor a Hub id")
        if isinstance(cause, RevisionNotFoundError):
            return ModelConfigError(f"MODEL_REVISION: {name} has no revision {revision}")
        if isinstance(cause, GatedRepoError):
            return ModelConfigError(f"MODEL_NAME: access to {name} must be requested on the Hub; then set HF_TOKEN")
        if isinstance(cause, RepositoryNotFoundError) or _status(cause) in (401, 403):
            return ModelConfigError(
                f"MODEL_NAME: the Hub has no {name}, or it is private and HF_TOKEN does not open it"
            )
        if isinstance(cause, OSError) and cause.errno in (errno.ENOSPC, errno.EDQUOT):
            return DiskFull("MODEL_CACHE_DIR: the disk is full; free space for the model")
        if isinstance(cause, PermissionError | NotADirectoryError):
            return ModelUnavailable("MODEL_CACHE_DIR: this folder cannot be written")
    return HubUnreachable(f"the Hub cannot be reached ({type(error).__name__})")


def _status(error: BaseException) -> int | None:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what caused it: the library wraps the interesting one."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
