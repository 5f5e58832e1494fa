"""The cue patterns of `shared/assets/*.yaml`, compiled once. Called by `intents` and `visits`."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from shared.prediction import Intent

_ASSETS = Path(__file__).parents[2] / "shared" / "assets"
_FAMILY = re.compile(r"<([A-Z]+)>")
_Compiled = tuple[re.Pattern[str], ...]


class Hit(NamedTuple):
    """What speaks for an intent: how many strong and weak cues; a decisive cue counts as two strong ones."""

    intent: Intent
    strong: int
    weak: int


def find_cues(text: str) -> dict[Intent, Hit]:
    """Search a normalised text for the cues of every intent in `intents.yaml`."""
    found: dict[Intent, Hit] = {}
    for intent, decisive, strong, weak in _intents():
        sure = sum(pattern.search(text) is not None for pattern in decisive)
        hits = 2 * sure + sum(pattern.search(text) is not None for pattern in strong)
        soft = sum(pattern.search(text) is not None for pattern in weak)
        if hits or soft:
            found[intent] = Hit(intent, hits, soft)
    return found


@cache
def load_patterns(file: str) -> dict[str, re.Pattern[str]]:
    """Return each list of a cue file as one compiled pattern: any of its lines may match."""
    data, families = _load(file)
    return {
        name: re.compile("|".join(f"(?:{_expand(line, families)})" for line in lines)) for name, lines in data.items()
    }


@cache
def _intents() -> tuple[tuple[Intent, _Compiled, _Compiled, _Compiled], ...]:
    data, families = _load("intents.yaml")

    def compile_all(patterns: list[str] | None) -> _Compiled:
        return tuple(re.compile(rf"\b(?:{_expand(pattern, families)})(?!\w)") for pattern in patterns or ())

    return tuple(
        (
            Intent(name),
            compile_all(cues.get("decisive")),
            compile_all(cues.get("strong")),
            compile_all(cues.get("weak")),
        )
        for name, cues in data.items()
    )


def _load(file: str) -> tuple[dict[str, Any], dict[str, str]]:
    data: dict[str, Any] = yaml.safe_load((_ASSETS / file).read_text(encoding="utf-8"))
    return data, data.pop("families")


def _expand(pattern: str, families: dict[str, str]) -> str:
    while _FAMILY.search(pattern):
        pattern = _FAMILY.sub(lambda name: families[name.group(1)], pattern)
    return pattern
