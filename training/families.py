"""The template families (lines of `training/data/`) and the split each belongs to. Called by `training.dataset`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from shared.prediction import Intent
from training.phrases import load

SPLITS = ("train", "val", "test")
_TEST_SHARE, _VAL_SHARE = 0.18, 0.11  # of the lines that may be held out
# The first lines of a list say what patients say all the time; the model must not miss them: never held out.
_CORE, _TOPIC_CORE = 10, 3


@dataclass(frozen=True)
class Family:
    """One line of the data files."""

    intent: Intent
    line: str
    replies: tuple[str, ...] = ()
    group: str = "plain"  # plain, sign (danger) or look_alike


@cache
def families() -> Mapping[str, tuple[Family, ...]]:
    """Every family by split. The split of a line depends on its own text and place in its list, never on the seed."""
    groups: list[tuple[int, list[list[Family]]]] = []  # core lines per list, and the lists that are held out together
    for file in ("appointments", "social"):
        for name, lines in load(file).items():
            groups.append((_CORE, [_family_list(name, lines)]))
    for name, topics in load("information").items():
        groups.append(
            (_TOPIC_CORE, [_family_list(name, topic["lines"], topic["replies"]) for topic in topics.values()])
        )
    off_topic = load("off_topic")
    groups.append((_CORE, [_family_list(Intent.FUERA_DE_TEMA, off_topic["lines"], off_topic["replies"])]))
    urgent = load("urgent")
    signs = [_family_list(Intent.URGENCIA, lines, (), "sign") for lines in urgent["signs"].values()]
    look_alikes = [
        _family_list(name, lines, _replies_of(Intent(name)), "look_alike")
        for name, lines in urgent["look_alikes"].items()
    ]
    groups += [(_TOPIC_CORE, signs), (_TOPIC_CORE, look_alikes)]
    splits: dict[str, list[Family]] = {split: [] for split in SPLITS}
    for core, lists in groups:
        splits["train"] += [family for members in lists for family in members[:core]]
        ranked = sorted((family for members in lists for family in members[core:]), key=_place)
        tests = max(2, sum(_place(family) < _TEST_SHARE for family in ranked))
        vals = max(1, sum(_place(family) < _TEST_SHARE + _VAL_SHARE for family in ranked) - tests)
        splits["test"] += ranked[:tests]
        splits["val"] += ranked[tests : tests + vals]
        splits["train"] += ranked[tests + vals :]
    return {split: tuple(members) for split, members in splits.items()}


def _family_list(name: str, lines: Sequence[str], replies: Sequence[str] = (), group: str = "plain") -> list[Family]:
    return [Family(Intent(name), line, tuple(replies), group) for line in lines]


def _place(family: Family) -> float:
    """A number between 0 and 1 that depends on the line alone, so that new lines move no old one to another split."""
    return int.from_bytes(hashlib.sha256(family.line.encode()).digest()[:6]) / 256**6


def _replies_of(intent: Intent) -> tuple[str, ...]:
    if intent is Intent.FUERA_DE_TEMA:
        return tuple(load("off_topic")["replies"])
    topics = load("information").get(intent)
    return tuple(next(iter(topics.values()))["replies"]) if topics else ()


def fingerprint() -> str:
    """Return a hash of every family with its split and of the words put into them; their mixture is code."""
    digest = hashlib.sha256()
    for split, members in families().items():
        for family in members:
            digest.update(f"{split}\t{family.intent}\t{family.line}\t{family.replies}\n".encode())
    for name in ("macros", "noise", "replies"):
        digest.update(repr(load(name)).encode())
    return digest.hexdigest()[:16]
