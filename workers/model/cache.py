"""The model's cache by hand: what revisions of MODEL_NAME stand in MODEL_CACHE_DIR, and away with the old ones.

Run: python -m workers.model.cache list
     python -m workers.model.cache prune [--keep N]

`prune` keeps the N revisions used last (2: the present one and the one to roll back to), the one that MODEL_REVISION
pins, and those that living workers hold. It imports no torch and asks the Hub nothing.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
from pathlib import Path

import redis
from huggingface_hub import scan_cache_dir

from shared.settings import BUNDLED_MODEL, ProcessRole, Settings, load
from shared.state import health, store
from workers.model import packed_files, snapshots
from workers.model.snapshots import Revision

KEEP = 2


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m workers.model.cache", description="Look after the model's cache.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the cached revisions of MODEL_NAME")
    prune_parser = commands.add_parser("prune", help="remove old revisions, never one in use")
    prune_parser.add_argument("--keep", type=_count, default=KEEP, help=f"how many to keep, the last used ({KEEP})")
    options = parser.parse_args(arguments)
    settings = load(ProcessRole.TOOL)
    if Path(settings.MODEL_NAME).expanduser().is_dir():
        print(f"MODEL_NAME is the folder {settings.MODEL_NAME}: it needs no cache.")
        return 0
    if options.command == "list":
        return show(settings)
    return prune(settings, options.keep)


def show(settings: Settings) -> int:
    """Print one line per revision, last used first."""
    found = snapshots.revisions(settings.MODEL_CACHE_DIR, settings.MODEL_NAME)
    held = in_use(settings, found)
    for one in found:
        marks = ["in use"] * (one.commit in held) + ["damaged: mended at its next load"] * (not one.whole)
        when = dt.datetime.fromtimestamp(one.used_at, settings.timezone)
        refs = ", ".join(one.refs) or "-"
        print(f"{one.commit}  {megabytes(one.size):>10}  {when:%Y-%m-%d %H:%M}  {refs}  {', '.join(marks)}".rstrip())
    of_model = snapshots.size_bytes(snapshots.repository(settings.MODEL_CACHE_DIR, settings.MODEL_NAME))
    whole = snapshots.size_bytes(settings.MODEL_CACHE_DIR)
    print(f"{settings.MODEL_NAME}: {len(found)} revisions, {megabytes(of_model)}; whole cache {megabytes(whole)}")
    return 0


def prune(settings: Settings, keep: int) -> int:
    """Remove what is neither among the last used, nor pinned, nor held by a worker; print what became free."""
    cache, name = settings.MODEL_CACHE_DIR, settings.MODEL_NAME
    before = snapshots.size_bytes(cache)
    snapshots.tidy(snapshots.repository(cache, name))
    found = snapshots.revisions(cache, name)
    kept = in_use(settings, found) | {one.commit for one in found[:keep]}
    old = [one.commit for one in found if one.commit not in kept]
    if old:
        scan_cache_dir(cache).delete_revisions(*old).execute()
    held_folders = [folder for folder in cache.glob("models--*/snapshots/*") if (folder / "config.json").exists()]
    packed_files.remove_unused(cache, [*held_folders, BUNDLED_MODEL])
    left = {one.commit for one in snapshots.revisions(cache, name)}
    for commit in old:
        print(f"{commit}  {'removed' if commit not in left else 'could not be removed'}")
    print(f"{megabytes(before - snapshots.size_bytes(cache))} freed, {len(left)} revisions of {name} left")
    return 1 if left & set(old) else 0


def in_use(settings: Settings, found: list[Revision]) -> set[str]:
    """Return the commits that must stay: pinned, what an unpinned worker would load, and what workers hold now."""
    wanted = settings.MODEL_REVISION or "main"
    pinned = {one.commit for one in found if wanted in (one.commit, *one.refs)}
    return pinned | _held(settings)


def _held(settings: Settings) -> set[str]:
    """What living workers published; with Redis away only the pinned and the last used are known."""
    client = store.connect(settings)
    try:
        models = [worker.get("model") or {} for worker in health.look(client).workers]
    except redis.RedisError:
        print("Redis is unreachable: which revisions workers hold is not known.", file=sys.stderr)
        return set()
    finally:
        client.close()
    return {str(model["revision"]) for model in models if model.get("revision")}


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _count(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise argparse.ArgumentTypeError("must be 0 or more")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
