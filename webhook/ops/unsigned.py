"""What no clinician has signed yet: knowledge cards and fixed texts, read from their files.

The files are read here and not through `shared.knowledge`, whose search loads libraries that the webhook does without.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from shared.settings import Settings
from shared.texts import TEXTS_FILE, center_facts

CARDS_FILE = TEXTS_FILE.parent / "knowledge.yaml"


@dataclass(frozen=True, slots=True)
class Unsigned:
    """One text that waits for a signature. `id` is its name in the file."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Overview:
    """Cards and texts that are not signed, and how many there are in all."""

    cards: tuple[Unsigned, ...]
    all_cards: int
    texts: tuple[Unsigned, ...]  # all or none: the file has one signature
    all_texts: int


def overview(settings: Settings) -> Overview:
    """Look at both files; they are read again when they change."""
    facts = center_facts(settings)
    cards: list[dict[str, Any]] = _read(CARDS_FILE).get("cards") or []
    file = _read(TEXTS_FILE)
    texts: dict[str, str] = file.get("texts") or {}
    signed = bool(file.get("reviewed_by") and file.get("reviewed_on"))
    return Overview(
        cards=tuple(
            Unsigned(str(card.get("topic_id")), str(card.get("title")), _filled(str(card.get("text")), facts))
            for card in cards
            if not (card.get("reviewed_by") and card.get("reviewed_on"))
        ),
        all_cards=len(cards),
        texts=() if signed else tuple(Unsigned(key, key, _filled(text, facts)) for key, text in texts.items()),
        all_texts=len(texts),
    )


def _read(path: Path) -> dict[str, Any]:
    return _parse(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _parse(path: Path, _changed_ns: int) -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found = yaml.load(path.read_text(encoding="utf-8"), loader)  # noqa: S506 # nosec B506 - a safe loader, the fast one
    return found if isinstance(found, dict) else {}


def _filled(text: str, facts: dict[str, str]) -> str:
    for name, value in facts.items():
        text = text.replace("{" + name + "}", value)
    return text
