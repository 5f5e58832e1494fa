"""Bytes of a fuzzer -> the inputs of our functions: texts in a patient's words, and JSON that is almost right.

Plain random bytes hardly ever get past the first check. Here they steer what is chosen, so that both hypothesis and
atheris reach deep into the code with every input. Pure: the same bytes are always the same input.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).parents[2]
Any_ = TypeVar("Any_")

# Signs that change what a text is: joiners, directions, widths, digits of other scripts, letters that grow or shrink
# when their case changes, characters that end a line, control tokens, and what regexes and markup take for their own.
ODD_TEXTS = (
    "\x00", "\t", "\r\n", "\u2028", "\u200b", "\u200d", "\u202e", "\ufeff", "\u0301", "\u0303\u0303\u0303", "ß", "İ",
    "ı",
    "ﬁ", "Å", "①", "²", "٣", "１０", "½", "🩸", "🤮🤮", "👨‍👩‍👧", "\U0001d7d8", "<USER>", "<ASSISTANT>:",
    "<|endoftext|>",
    "<i:baja>", "<rsp>", "{name}", "{", "}", "|", "\\", "'", '"', "%s", "../", ":", "::", "-", "--", "/", ".", "...",
    ",",
    "?", "¿", "!", "¡", "*", "+", "(", ")", "[", "]", "@", "https://", "00:00", "24:60", "99/99/9999", "31/02", "0",
    "-1",
    "1" * 20, "a" * 300, "no " * 60, "x.y." * 40, "1 " * 80, "\n" * 50, " " * 200, "aA" * 100,
)  # fmt: skip
ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 0.5, -1e308, 10**30, 2**63, "", " ", "0", "null", "\ud800", "\x00", [], {}, [[]],
    [None],
    {"": None}, [{}], {"id": {}}, {"body": []}, "59170000001", "BO.1349120865530274", "1795438800", 253402300800,
    "text",
    "system", "edit", "interactive", "contacts", "failed", float("nan"), float("inf"), "a" * 600, "😀" * 200,
)  # fmt: skip


class Choices:
    """Reads a fuzzer's bytes as choices. When they run out every choice is the first one."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def number(self, below: int) -> int:
        """0 to below - 1."""
        size = 1 if below <= 256 else 2
        taken = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(taken, "little") % below

    def one_of(self, values: Sequence[Any_]) -> Any_:
        return values[self.number(len(values))]

    def rest(self) -> bytes:
        taken = self._data[self._at :]
        self._at = len(self._data)
        return taken

    def some(self, at_most: int) -> bytes:
        """As many raw bytes as the next byte says."""
        size = self.number(at_most + 1)
        taken = self._data[self._at : self._at + size]
        self._at += size
        return taken

    def text(self, pieces: int = 40) -> str:
        """Words of patients, odd signs and raw characters, joined with and without spaces."""
        out: list[str] = []
        vocabulary = words()
        while self.left > 0 and len(out) < pieces * 2:
            kind = self.number(8)
            if kind < 4:
                out.append(self.one_of(vocabulary))
            elif kind == 4:
                out.append(str(self.number(40)))
            elif kind == 5:
                out.append(self.one_of(ODD_TEXTS))
            elif kind == 6:
                out.append(chr(self.number(0x3000)))
            else:
                out.append(self.some(12).decode("utf-8", "replace"))
            out.append(" " if kind < 6 else "")
        return "".join(out)

    def almost(self, example: Any) -> Any:
        """A copy of JSON data with up to six places changed: taken away, doubled, nested, or made odd."""
        found = copy.deepcopy(example)
        for _ in range(self.number(7)):
            found = self._change(found)
        return found

    def _change(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, dict | list) and value and depth < 12 and self.number(8):
            names = list(value) if isinstance(value, dict) else range(len(value))
            name = self.one_of(list(names))
            what = self.number(16)
            if what == 0:
                del value[name]
            elif what == 1 and isinstance(value, list):
                value.append(copy.deepcopy(value[name]))
            elif what == 2 and isinstance(value, dict):
                value[self.one_of(_KEYS)] = self._odd()
            else:
                value[name] = self._change(value[name], depth + 1)
            return value
        return self._odd(value)

    def _odd(self, value: Any = None) -> Any:
        kind = self.number(6)
        if kind == 0:
            return [value] * (self.number(4) + 1)
        if kind == 1:
            return self.text(6)
        if kind == 2:
            return {self.one_of(_KEYS): value}
        if kind == 3:
            return functools.reduce(lambda inner, _: [inner], range(self.number(60)), value)
        return copy.deepcopy(self.one_of(ODD_VALUES))


_KEYS = (
    "id", "from", "type", "text", "body", "timestamp", "context", "contacts", "messages", "statuses", "errors", "code",
    "system", "edit", "message", "interactive", "button_reply", "list_reply", "nfm_reply", "response_json", "wa_id",
    "user_id", "from_user_id", "field", "value", "metadata", "phone_number_id", "", "ñ",
)  # fmt: skip


@functools.cache
def words() -> tuple[str, ...]:
    """The words of the labelled messages and of the danger signs, the frequent and the rare alike; at most 4,000."""
    found: dict[str, None] = {}
    for path in ("language/data/messages.jsonl", "safety/data/danger.jsonl"):
        for line in (ROOT / "tests" / "workers" / path).read_text(encoding="utf-8").splitlines():
            found |= dict.fromkeys(str(json.loads(line).get("text", "")).split())
    return tuple(sorted(found, key=lambda word: (len(word), word))[:4000])


@functools.cache
def bodies() -> tuple[Any, ...]:
    """The recorded webhook bodies."""
    folder = ROOT / "tests" / "data" / "webhooks"
    return tuple(json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json")))
