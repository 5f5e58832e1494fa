"""The model: its folder, or the cache and the Hub that it comes from. Nothing is downloaded and no torch imported."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from huggingface_hub import HfApi, ModelInfo

from shared.errors import ModelUnavailable
from shared.settings import BUNDLED_MODEL, Settings
from workers.doctor.check import Check, failed, off, ok, warning
from workers.doctor.redis_checks import megabytes
from workers.doctor.runner import TIMEOUT_S
from workers.model import hub, snapshots
from workers.model.errors import DiskFull, HubUnreachable
from workers.model.snapshots import Revision

MODEL, CACHE, HUB = "model", "model cache", "model hub"
_NEEDED = ("config.json", "tokenizer.json")
_ROOM = 200e6  # bytes; below this even a small revision may not fit


def check(settings: Settings) -> list[Check]:
    name = settings.MODEL_NAME
    folder = Path(name).expanduser()
    if folder.is_dir():
        needless = [off(part, "not needed: MODEL_NAME is a folder") for part in (CACHE, HUB)]
        return [judge_folder(folder), *needless]
    try:
        hub.check_name(name)
    except ModelUnavailable as error:
        return [failed(MODEL, str(error), "correct MODEL_NAME, or leave it empty for the bundled model")]
    cached = wanted(snapshots.revisions(settings.MODEL_CACHE_DIR, name), settings.MODEL_REVISION)
    answer = ask_hub(settings)
    return [judge_cached(settings, cached), judge_cache(settings, answer), judge_hub(settings, answer, cached)]


def judge_folder(folder: Path) -> Check:
    """A folder, the bundled one or another, must hold all that a model needs."""
    what = "the bundled model" if folder == BUNDLED_MODEL else f"the folder {folder}"
    lacking = [file for file in _NEEDED if not (folder / file).is_file()]
    lacking += [] if hub.has_weights(folder) else ["weights"]
    if lacking:
        advice = "put the files back (git checkout workers/model/bundled), or choose another MODEL_NAME"
        return failed(MODEL, f"{what} lacks {', '.join(lacking)}", advice)
    return ok(MODEL, f"{what}, {megabytes(snapshots.size_bytes(folder))}")


def wanted(found: list[Revision], revision: str | None) -> Revision | None:
    """The cached revision that a worker would take without the Hub, if it is whole."""
    usable = [one for one in found if one.whole and hub.has_weights(one.folder)]
    if revision is None:
        return usable[0] if usable else None  # the one used last
    return next((one for one in usable if revision in (one.commit, *one.refs)), None)


def ask_hub(settings: Settings) -> ModelInfo | ModelUnavailable:
    """What the Hub says of the revision; or why it says nothing."""
    token = settings.HF_TOKEN.get_secret_value() if settings.HF_TOKEN else None
    try:
        return HfApi(endpoint=settings.HF_ENDPOINT, token=token).model_info(
            settings.MODEL_NAME, revision=settings.MODEL_REVISION, timeout=TIMEOUT_S, files_metadata=True
        )
    except Exception as error:  # the loader, too, turns whatever the library raises into a sentence
        return hub.problem_of(error, settings.MODEL_NAME, settings.MODEL_REVISION)


def judge_cached(settings: Settings, cached: Revision | None) -> Check:
    """Is it here, and is it pinned?"""
    name = settings.MODEL_NAME
    if settings.MODEL_REVISION is None:
        advice = "set MODEL_REVISION to a tag or commit: the next start may load another model than the last"
        return warning(MODEL, f"{name}, no revision pinned", advice)
    if cached is None:
        return warning(
            MODEL,
            f"{name} at {settings.MODEL_REVISION} is not in the cache",
            "start a worker: it downloads it, and rules and cards answer meanwhile",
        )
    return ok(MODEL, f"{name} at {settings.MODEL_REVISION}, in the cache, {megabytes(cached.size)}")


def judge_cache(settings: Settings, answer: ModelInfo | ModelUnavailable) -> Check:
    """The folder must be writable and have room for what is lacking."""
    folder = settings.MODEL_CACHE_DIR.expanduser()
    if not _is_writable(folder):
        advice = "give the user of the worker the right to write there, or set MODEL_CACHE_DIR to another folder"
        return failed(CACHE, f"{folder} cannot be written", advice)
    standing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(standing).free
    if isinstance(answer, ModelInfo):
        try:
            hub.check_room(folder, snapshots.repository(folder, settings.MODEL_NAME), answer)
        except DiskFull as error:
            advice = "free space, or remove old revisions: python -m workers.model.cache prune"
            return failed(CACHE, str(error), advice)
    if free < _ROOM:
        return warning(CACHE, f"{folder} has {megabytes(free)} free", "free space before the next revision")
    return ok(CACHE, f"{folder} can be written, {megabytes(free)} free")


def judge_hub(settings: Settings, answer: ModelInfo | ModelUnavailable, cached: Revision | None) -> Check:
    if isinstance(answer, ModelInfo):
        return ok(HUB, f"has {settings.MODEL_NAME} at {settings.MODEL_REVISION or 'main'} ({str(answer.sha)[:12]})")
    if not isinstance(answer, HubUnreachable):
        return failed(HUB, str(answer), "correct MODEL_NAME, MODEL_REVISION or HF_TOKEN")
    if cached is not None:
        return warning(HUB, f"{answer}; the cached revision is loaded", "nothing now; look at the network in the day")
    advice = "see whether this machine reaches the Hub (HF_ENDPOINT, a proxy), or set MODEL_NAME to a folder"
    return failed(HUB, f"{answer}, and the cache does not hold the model: rules and cards answer", advice)


def _is_writable(folder: Path) -> bool:
    try:
        if folder.is_dir():
            with tempfile.TemporaryFile(dir=folder):
                return True
        standing = next(path for path in folder.absolute().parents if path.exists())
        return standing.is_dir() and not folder.exists() and os.access(standing, os.W_OK | os.X_OK)
    except OSError:
        return False
