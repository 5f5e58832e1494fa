"""The template families (lines of `training/data/`) and the split each belongs to. Called by `training.dataset`.

Two sources: composed templates, each good for thousands of messages (`data/*.yaml`), and voices, whole messages in the
words of many invented people (`data/voices/*.yaml`). A line of either is one family and belongs to one split.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import yaml

from shared.knowledge import Knowledge
from shared.prediction import Intent
from training.phrases import DATA, load

SPLITS = ("train", "val", "test")
_TEST_SHARE, _VAL_SHARE = 0.18, 0.11  # of the templates that may be held out
_VOICES_TEST_SHARE, _VOICES_VAL_SHARE = 0.08, 0.06
# The first lines of a list say what patients say all the time; the model must not miss them: never held out.
_CORE, _TOPIC_CORE = 10, 3
# intent[/topic or danger category][+second intent ...][@state]
_KEY = re.compile(
    r"(?P<intent>[a-z_]+)(?:/(?P<topic>[a-z_]+))?(?P<others>(?:\+[a-z_]+)*)(?:@(?P<state>[a-z]+:[a-z]+))?"
)
_GROUPS = {"urgent": "sign", "look_alikes": "look_alike"}  # how the names of such files begin
_LEAD_CHARS = 200


@dataclass(frozen=True)
class Family:
    """One line of the data files."""

    intent: Intent
    line: str
    replies: tuple[str, ...] = ()
    group: str = "plain"  # plain, sign (danger) or look_alike
    others: tuple[Intent, ...] = ()  # further requests in the same line
    state: str | None = None  # the flow in which alone it makes sense
    topic: str | None = None  # knowledge card that answers it
    voice: bool = False


@cache
def families() -> Mapping[str, tuple[Family, ...]]:
    """Every family by split. The split of a line depends on its own text and place in its list, never on the seed."""
    splits = _templates()
    composed = {(family.intent, family.line) for members in splits.values() for family in members}
    for family in voices():
        if (family.intent, family.line) in composed:
            continue
        place = _place(family)
        split = (
            "test"
            if place < _VOICES_TEST_SHARE
            else "val"
            if place < _VOICES_TEST_SHARE + _VOICES_VAL_SHARE
            else "train"
        )
        splits[split].append(family)
    return {split: tuple(members) for split, members in splits.items()}


def _templates() -> dict[str, list[Family]]:
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
        _family_list(name, lines, replies_of(Intent(name)), "look_alike")
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
    return splits


def voices() -> tuple[Family, ...]:
    """Every whole message of `data/voices/`, each text once.

    Raises:
        ValueError: naming the file and the key that cannot be read.
    """
    found: dict[str, Family] = {}
    for path in sorted((DATA / "voices").glob("*.yaml")):
        group = next((kind for start, kind in _GROUPS.items() if path.stem.startswith(start)), "plain")
        for key, lines in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            match = _KEY.fullmatch(key)
            if match is None:
                raise ValueError(f"{path.name}: {key!r} is no label")
            intent = Intent(match["intent"])
            others = tuple(Intent(name) for name in match["others"].split("+") if name)
            replies = _lead_of(match["topic"]) or replies_of(intent)
            for line in lines:
                family = Family(intent, line, replies, group, others, match["state"], match["topic"], voice=True)
                found.setdefault(line, family)
    return tuple(found.values())


def _family_list(name: str, lines: Sequence[str], replies: Sequence[str] = (), group: str = "plain") -> list[Family]:
    return [Family(Intent(name), line, tuple(replies), group) for line in lines]


def _place(family: Family) -> float:
    """A number between 0 and 1 that depends on the line alone, so that new lines move no old one to another split."""
    return int.from_bytes(hashlib.sha256(family.line.encode()).digest()[:6]) / 256**6


def replies_of(intent: Intent) -> tuple[str, ...]:
    """The general replies of an information intent or of what is off topic; none for the others."""
    if intent is Intent.FUERA_DE_TEMA:
        return tuple(load("off_topic")["replies"])
    topics = load("information").get(intent)
    return tuple(next(iter(topics.values()))["replies"]) if topics else ()


@cache
def _lead_of(topic: str | None) -> tuple[str, ...]:
    """The first sentences of the topic's reviewed card: what the model learns to say about it."""
    card = _cards().get(topic or "")
    if card is None:
        return ()
    lead = ""
    for sentence in re.split(r"(?<=[.?!]) ", card):
        if lead and len(lead) + len(sentence) > _LEAD_CHARS:
            break
        lead = f"{lead} {sentence}".strip()
    return (lead,)


@cache
def _cards() -> Mapping[str, str]:
    return {topic: " ".join(card.text.split()) for topic, card in Knowledge.load().cards.items()}


def fingerprint() -> str:
    """Return a hash of every family with its split and of the words put into them; their mixture is code."""
    digest = hashlib.sha256()
    for split, members in families().items():
        for family in members:
            digest.update(f"{split}\t{family}\n".encode())
    for name in ("macros", "noise", "replies"):
        digest.update(repr(load(name)).encode())
    return digest.hexdigest()[:16]
