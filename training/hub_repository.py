"""One model repository on the Hub, as its owner sees it: visibility, tags, upload. Called by `publish`.

Every failure of the Hub becomes one sentence and an exit code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from huggingface_hub import HfApi, RepoFile
from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

from training.release import Refused, is_published
from workers.model.snapshots import checksum

_UNREACHABLE, _CANNOT_CREATE, _NO_PERMISSION = 69, 73, 77  # of sysexits.h


class HubRepository:
    """Asks before it writes; nothing here is done twice by being called twice."""

    def __init__(self, name: str, token: str | None, endpoint: str | None) -> None:
        """Contact nothing yet.

        Raises:
            Refused: there is no token.
        """
        if not token:
            raise Refused("Set HF_TOKEN to a token that may write: publishing needs one.", _NO_PERMISSION)
        self.name = name
        self._api = HfApi(endpoint=endpoint, token=token)

    def is_private(self) -> bool | None:
        """Return the visibility; None when there is no such repository, or the token does not open it."""
        with self._sentences():
            self._api.whoami()  # tells a wrong token from a missing repository
            try:
                return bool(self._api.model_info(self.name).private)
            except RepositoryNotFoundError:
                return None

    def create(self, private: bool) -> None:
        with self._sentences():
            self._api.create_repo(self.name, private=private, exist_ok=True)

    def tag_commit(self, tag: str) -> str | None:
        """Return the commit that a tag points to."""
        with self._sentences():
            tags = self._api.list_repo_refs(self.name).tags
        return next((one.target_commit for one in tags if one.name == tag), None)

    def holds(self, folder: Path, revision: str) -> bool:
        """True when a revision's published files are those of this folder, by checksum."""
        known = self._checksums(revision)
        local = {file.name: file for file in folder.iterdir()}
        return set(known) == set(local) and all(checksum(local[name], like) == like for name, like in known.items())

    def upload(self, folder: Path, message: str) -> str:
        """Make the repository's published files those of this folder, in one commit; returns the commit.

        Files of an earlier release that this one does not have are removed; what others put beside them stays.
        """
        stale = sorted(set(self._checksums("main")) - {file.name for file in folder.iterdir()})
        with self._sentences():
            done = self._api.upload_folder(
                repo_id=self.name, folder_path=folder, commit_message=message, delete_patterns=stale or None
            )
        return str(done.oid)

    def tag(self, tag: str, commit: str, message: str) -> None:
        with self._sentences():
            self._api.create_tag(self.name, tag=tag, revision=commit, tag_message=message)

    def _checksums(self, revision: str) -> dict[str, str]:
        """Published files of a revision with the checksums that the Hub keeps."""
        with self._sentences():
            files = list(self._api.list_repo_tree(self.name, revision=revision))
        found = [file for file in files if isinstance(file, RepoFile) and is_published(file.path)]
        return {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in found}

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if refused := self._refusal(error):
                raise refused from error
            raise

    def _refusal(self, error: BaseException) -> Refused | None:
        """Put what the Hub said into one sentence; None for a fault that is not the Hub's."""
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        if isinstance(error, RepositoryNotFoundError):
            return missing(self.name)
        if status == 401:
            return Refused("HF_TOKEN is not valid: make a new one that may write.", _NO_PERMISSION)
        if status == 403:
            return Refused(f"HF_TOKEN may not write to {self.name}.", _NO_PERMISSION)
        if status == 409:
            return Refused(f"Somebody else is publishing to {self.name} at this moment: try again.", _CANNOT_CREATE)
        if isinstance(error, ValueError) and status is None:
            return Refused(f"The Hub refuses the files: {' '.join(str(error).split())}", _CANNOT_CREATE)
        if status is not None and status < 500 and status != 429:
            return Refused(f"The Hub refuses: HTTP {status}.", _CANNOT_CREATE)
        if status is not None or isinstance(error, OSError) or type(error).__module__.startswith("httpx"):
            return Refused(f"The Hub cannot be reached ({type(error).__name__}): try again later.", _UNREACHABLE)
        cause = error.__cause__
        return self._refusal(cause) if cause is not None else None  # the library wraps the failure of one file


def missing(name: str) -> Refused:
    """The sentence about a repository that is not there."""
    told = f"The Hub has no {name} that HF_TOKEN opens: add --private or --public to create it."
    return Refused(told, _CANNOT_CREATE)
