"""The danger rule file: its shape, its checks, and its compilation. Read once at start by `danger`.

The file is edited and signed by clinicians (`shared/assets/danger_signs.yaml`); anything unexpected in it is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field

from shared.prediction import DangerCategory, Level
from workers.safety.cues import Cue, alternatives, compile_cue
from workers.safety.scopes import Context, Reach


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _CategoryEntry(_Strict):
    level: Level
    source: str = Field(min_length=1)
    reviewed_by: str | None
    reviewed_on: str | None
    examples: tuple[str, ...] = Field(min_length=1)
    cues: tuple[str, ...] = ()
    raised: tuple[str, ...] = ()  # cues of this category that are emergencies although the category is not
    lowered: tuple[str, ...] = ()  # the other way round
    alone: tuple[str, ...] = ()  # cues that count only when the message says nothing else


class _ContextEntry(_Strict):
    reach: Reach
    words: int = Field(default=5, ge=1, le=40)
    markers: tuple[str, ...] = Field(min_length=1)
    cuts: str = ""
    linked: str = ""
    not_after: str = ""
    unless: str = ""
    negates: bool = False
    unless_message: tuple[str, ...] = ()


class _File(_Strict):
    version: int
    emoji: dict[str, str]
    courtesy: str
    negators: str
    fillers: str
    real_words: str
    ordinary_words: str
    words: dict[str, str]
    contexts: dict[str, _ContextEntry]
    categories: dict[DangerCategory, _CategoryEntry]


@dataclass(frozen=True, slots=True)
class Sign:
    """A category at one level: the cues that raise it."""

    category: DangerCategory
    level: Level
    cues: tuple[Cue, ...]
    alone: tuple[Cue, ...]
    examples: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RuleBook:
    """The compiled file. `by_urgency`: emergencies first, then the order of the file."""

    signs: tuple[Sign, ...]
    by_urgency: tuple[Sign, ...]
    contexts: tuple[Context, ...]
    words: frozenset[str]
    sign_words: frozenset[str]
    fillers: frozenset[str]
    real_words: frozenset[str]
    courtesy: frozenset[str]
    negators: frozenset[str]
    emoji: dict[str, str]


def read_rule_book(path: Path) -> RuleBook:
    """Read and compile the rule file.

    Raises:
        OSError, yaml.YAMLError, pydantic.ValidationError, CueError: when it cannot be read, is not YAML, has a wrong
            shape, holds a cue that cannot be compiled, or lacks a category.
    """
    file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    lacking = set(DangerCategory) - set(file.categories)
    if lacking:
        raise ValueError(f"categories without rules: {', '.join(sorted(lacking))}")
    groups = _groups(file.words)

    def listed(text: str) -> frozenset[str]:
        return frozenset().union(*(alternatives(word, text, groups) for word in text.split()))

    def compiled(cues: tuple[str, ...]) -> tuple[Cue, ...]:
        return tuple(compile_cue(cue, groups) for cue in cues)

    signs = []
    for category, entry in file.categories.items():
        cues: dict[Level, list[str]] = {Level.EMERGENCIA: [], Level.MISMO_DIA: []}
        cues[entry.level] += entry.cues
        cues[Level.EMERGENCIA] += entry.raised
        cues[Level.MISMO_DIA] += entry.lowered
        for level, sources in cues.items():
            alone = compiled(entry.alone) if level is entry.level else ()
            examples = entry.examples if level is entry.level else ()
            if sources or alone:
                signs.append(Sign(category, level, compiled(tuple(sources)), alone, examples))
    contexts = tuple(
        Context(
            name=name,
            markers=compiled(entry.markers),
            reach=entry.reach,
            words=entry.words,
            cuts=listed(entry.cuts),
            linked=listed(entry.linked),
            not_after=listed(entry.not_after),
            unless=listed(entry.unless),
            negates=entry.negates,
            unless_message=compiled(entry.unless_message),
        )
        for name, entry in file.contexts.items()
    )
    courtesy = listed(file.courtesy)
    sign_words: frozenset[str] = frozenset().union(*(cue.words for sign in signs for cue in (*sign.cues, *sign.alone)))
    words = set(courtesy | sign_words)
    for context in contexts:
        words |= context.cuts | context.linked | context.not_after | context.unless
        words.update(*(cue.words for cue in (*context.markers, *context.unless_message)))
    return RuleBook(
        signs=tuple(signs),
        by_urgency=tuple(sorted(signs, key=lambda sign: sign.level is not Level.EMERGENCIA)),
        contexts=contexts,
        words=frozenset(words),
        sign_words=sign_words | courtesy,
        fillers=listed(file.fillers),
        real_words=listed(file.real_words) | listed(file.ordinary_words),
        courtesy=courtesy,
        negators=listed(file.negators),
        emoji=file.emoji,
    )


def _groups(raw: dict[str, str]) -> dict[str, frozenset[str]]:
    """Fold the named word lists; a list may use those above it."""
    groups: dict[str, frozenset[str]] = {}
    for name, text in raw.items():
        groups[name] = frozenset().union(*(alternatives(word, f"<{name}>", groups) for word in text.split()))
    return groups
