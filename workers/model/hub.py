"""A model's name -> a folder on this machine: given, cached, or downloaded from the Hub. Called by `loader`.

Only files of the repository's top folder are taken, never code. Finished files stay in the cache volume, so a broken
download goes on with the next file; inside one call the library resumes a file too.
"""

from __future__ import annotations

import errno
import logging
import re
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm.auto import tqdm

from shared.errors import ModelUnavailable
from workers.model.errors import HubUnreachable, ModelConfigError

if TYPE_CHECKING:
    Bar = tqdm[Any]
else:
    Bar = tqdm  # at run time it takes no type argument

log = logging.getLogger(__name__)

_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PLAIN_FILES = ["*.json", "*.txt", "*.model", "*.jinja"]
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
    """Find the model's files, downloading what is missing.

    Args:
        name: a folder, or a Hub id such as `user/gpt2-spanish-tb-structured`.
        revision: branch, tag or commit; None is the default branch.
        endpoint: address of the Hub; None is the library's own (HF_ENDPOINT).

    Raises:
        ModelConfigError: no such folder, repository or revision, or no access to it.
        HubUnreachable: the Hub does not answer and the cache does not hold this revision.
        ModelUnavailable: the disk is full or cannot be written.
    """
    check_name(name)
    folder = Path(name).expanduser()
    if folder.is_dir():
        return Located(folder, None)
    source: dict[str, Any] = {"repo_id": name, "revision": revision, "cache_dir": cache_dir, "endpoint": endpoint}
    if revision and _COMMIT.fullmatch(revision) and (pinned := _cached(source)):
        return pinned  # a commit never changes: nothing to ask
    try:
        HfApi(endpoint=endpoint, token=token).model_info(name, revision=revision, timeout=HUB_TIMEOUT_S)
        return _fetch({**source, "token": token, "tqdm_class": None if sys.stderr.isatty() else LoggedProgress})
    except Exception as error:
        problem = _problem(error, name, revision)
        if problem.retry and (cached := _cached(source)):
            log.warning(
                "the Hub cannot be reached: using the cached revision",
                extra={"model": name, "revision": cached.revision, "cause": type(error).__name__},
            )
            return cached
        raise problem from error


def has_weights(folder: Path) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in _WEIGHTS)


def _fetch(source: dict[str, Any]) -> Located:
    for weights in _WEIGHTS:
        # "*" matches across folders here: ignoring "*/*" leaves the top folder (no onnx/, no coreml/).
        wanted = {"allow_patterns": [*_PLAIN_FILES, weights], "ignore_patterns": ["*/*"]}
        folder = Path(str(snapshot_download(**{**source, **wanted})))
        if has_weights(folder):
            break
    return Located(folder, folder.name)


def _cached(source: dict[str, Any]) -> Located | None:
    try:
        found = _fetch({**source, "local_files_only": True})
    except (LocalEntryNotFoundError, HFValidationError):  # also raised for a snapshot that lacks files
        return None
    return found if has_weights(found.folder) else None


def _problem(error: Exception, name: str, revision: str | None) -> ModelUnavailable:
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
            return ModelUnavailable("MODEL_CACHE_DIR: the disk is full; free space and restart the worker")
        if isinstance(cause, PermissionError | NotADirectoryError):
            return ModelUnavailable("MODEL_CACHE_DIR: this folder cannot be written")
    return HubUnreachable(f"the Hub cannot be reached and {name} is not in the cache ({type(error).__name__})")


def _status(error: BaseException) -> int | None:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what caused it: the library wraps the interesting one."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class LoggedProgress(Bar):
    """Progress of a download as log lines, where there is no terminal to draw a bar on."""

    EVERY_S = 5.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._logged_at = time.monotonic()
        # The library shows three bars; the bytes that arrive are the one worth a line.
        self._speaks = kwargs.get("unit") == "B" and str(kwargs.get("desc")).startswith("Downloading")
        super().__init__(*args, **{**kwargs, "disable": False, "mininterval": 1.0})

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Called by tqdm to draw; writes a line every few seconds and one at the end."""
        total = self.total or 0
        done = 0 < total <= self.n
        now = time.monotonic()
        if self._speaks and (done or now - self._logged_at >= self.EVERY_S):
            self._logged_at = now
            megabytes = {"done_mb": round(self.n / 1e6, 1), "total_mb": round(total / 1e6, 1)}
            log.info("downloading the model", extra=megabytes)

    def clear(self, nolock: bool = False) -> None:
        """There is nothing on the screen to clear."""
