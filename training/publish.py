"""Publishes a model folder on the Hugging Face Hub as a tagged revision, with a model card.

Run: python -m training.publish --repo user/name --revision v3 [--folder workers/model/bundled] [--private | --public]
     [--data-has-real-chats]

Asks before it writes: nothing is uploaded unless the folder is complete, passes the release gate, and the tag is free.
A run that broke off may simply be repeated. HF_TOKEN must be able to write; HF_ENDPOINT chooses a mirror.

Ends with 0 when the tag holds this folder, 2 for wrong arguments, 65 for a model that must not be published, 66 without
a folder, 69 when the Hub cannot be reached, 73 when it will not take it (tag taken, no repository), 77 for the token.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path

from shared.settings import BUNDLED_MODEL, ProcessRole, load
from training.hub_repository import HubRepository, missing
from training.release import Refused, Release, check_tag, pass_gate, read_folder, staged

_MUST_NOT, _CANNOT_CREATE = 65, 73  # of sysexits.h
_REPO = re.compile(r"[\w.-]+/[\w.-]+")


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    try:
        publish(options.repo, options.revision, options.folder, options.private, options.data_has_real_chats)
    except Refused as refused:
        print(refused, file=sys.stderr)
        return refused.code
    return 0


def publish(
    repo: str, tag: str, folder: Path, private: bool | None, real_chats: bool, say: Callable[[str], object] = print
) -> None:
    """Check, upload, tag, and read back what was tagged.

    Args:
        private: visibility that is wanted, needed to create a repository; None takes it as it is.
        real_chats: the training data hold chats of real people; also declared by `"real_chats": true` in training.json.
        say: told each step.

    Raises:
        Refused: with the sentence for the person who asked.
    """
    release = read_folder(folder)
    real_chats = real_chats or release.has_real_chats()
    _keep_chats_private(real_chats, private)
    settings = load(ProcessRole.TOOL, MODEL_NAME=str(folder), MODEL_REVISION=None)
    token = settings.HF_TOKEN.get_secret_value() if settings.HF_TOKEN else None
    hub = HubRepository(repo, token, settings.HF_ENDPOINT)
    say(f"{folder}: complete, {len(release.files)} files, {_megabytes(release)}")
    gate = pass_gate(release, settings)
    say(f"release gate: {gate}")
    _open_repository(hub, private, real_chats, say)
    with staged(release, repo, tag, gate, real_chats) as stage:
        if (taken := hub.tag_commit(tag)) is not None:
            if not hub.holds(stage, taken):
                raise Refused(f"{repo} has a revision {tag} with other content: choose another name.", _CANNOT_CREATE)
            say(f"{repo} {tag} is there already with this content: nothing to do")
            return
        say(f"uploading {_megabytes(release)} to {repo} ...")
        commit = hub.upload(stage, f"Release {tag}")
        if not hub.holds(stage, commit):
            raise Refused(f"{repo} was changed by somebody else while it was uploaded: try again.", _CANNOT_CREATE)
        hub.tag(tag, commit, f"Release {tag}; release gate: {gate}")
    say(f"published {repo} {tag} (commit {commit})")
    say(f"pin it: MODEL_NAME={repo} MODEL_REVISION={tag}")


def _open_repository(hub: HubRepository, private: bool | None, real_chats: bool, say: Callable[[str], object]) -> None:
    """See that the repository is there and as visible as it may be."""
    is_private = hub.is_private()
    if is_private is None:
        if private is None:
            raise missing(hub.name)
        hub.create(private)
        is_private = hub.is_private()
        say(f"created {hub.name}, {'private' if is_private else 'public'}")
    _keep_chats_private(real_chats, is_private)
    if private is not None and private != is_private:
        stands = "private" if is_private else "public"
        raise Refused(
            f"{hub.name} is {stands}; change that on its page first, or leave the option out.", _CANNOT_CREATE
        )


def _keep_chats_private(real_chats: bool, private: bool | None) -> None:
    if real_chats and private is False:
        raise Refused(
            "The training data hold chats of real people: Meta's terms and the patients' privacy forbid a public "
            "repository; use a private one.",
            _MUST_NOT,
        )


def _megabytes(release: Release) -> str:
    return f"{release.size / 1e6:,.1f} MB"


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.publish", description="Publish a model on the Hub.")
    parser.add_argument("--repo", required=True, type=_repo, help="user/name on the Hub")
    parser.add_argument("--revision", required=True, type=_tag, help="tag of this release, such as v3")
    parser.add_argument("--folder", type=Path, default=BUNDLED_MODEL, help="the model (default: the bundled one)")
    visibility = parser.add_mutually_exclusive_group()
    visibility.add_argument("--private", dest="private", action="store_true", default=None, help="create it private")
    visibility.add_argument("--public", dest="private", action="store_false", help="create it public")
    parser.add_argument("--data-has-real-chats", action="store_true", help="the data hold chats of real people")
    return parser.parse_args(arguments)


def _repo(text: str) -> str:
    if not _REPO.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not like user/name")
    return text


def _tag(text: str) -> str:
    try:
        return check_tag(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


if __name__ == "__main__":
    raise SystemExit(main())
