"""Tables of words, written as running text. Used by the rule modules of this package."""

from __future__ import annotations


def word_set(table: str) -> frozenset[str]:
    """Return the words of a table."""
    return frozenset(table.split())
