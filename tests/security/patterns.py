"""Every regular expression of the code, found in its syntax tree, and strings that could make each one slow.

A new pattern is covered by itself: `calls` finds each use of the `re` module in the four packages, `found_in` what it
compiles there. `attacks` reads the pattern and repeats whatever it repeats.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from re import _constants as sre
from re import _parser as parser
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
PACKAGES = ("webhook", "workers", "shared", "scheduler")
FUNCTIONS = {"compile", "match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer"}
TAILS = ("", "!", "\x00", "\n ", " ñ")  # what makes the match fail at the end


@dataclass(frozen=True)
class Call:
    """One use of `re` in a file: where, the expression that is its pattern, and how it is applied."""

    module: str
    line: int
    pattern: ast.expr
    how: str  # search | match | fullmatch; search, the slowest, wherever it may be

    @property
    def place(self) -> str:
        return f"{self.module}:{self.line}"


def modules() -> Iterator[tuple[str, ast.Module]]:
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, ast.parse(file.read_text(encoding="utf-8"))


def calls() -> list[Call]:
    """Every `re.something(pattern, ...)` of the four packages."""
    found = []
    for name, tree in modules():
        used = _used(tree)
        named = {id(node.value): node.targets[0] for node in ast.walk(tree) if isinstance(node, ast.Assign)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and (called := _method(node, "re")) in FUNCTIONS:
                hows = {called}
                if called == "compile":
                    target = named.get(id(node))
                    hows = used.get(target.id, set()) if isinstance(target, ast.Name) else set()
                how = next(iter(hows)) if hows in ({"match"}, {"fullmatch"}) else "search"
                found.append(Call(name, node.lineno, node.args[0], how))
    return found


def _method(node: ast.Call, of: str | None) -> str:
    """`search` of `re.search(...)`, for the name `of`; "" for any other call."""
    on = node.func.value if isinstance(node.func, ast.Attribute) else None
    return node.func.attr if isinstance(node.func, ast.Attribute) and isinstance(on, ast.Name) and on.id == of else ""


def _used(tree: ast.Module) -> dict[str, set[str]]:
    """By name of a compiled pattern, the methods it is used with; "?" where it is handed on or imported elsewhere."""
    used: dict[str, set[str]] = {}
    called = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            called.add(id(node.value))
            used.setdefault(node.value.id, set()).add(node.attr)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in called:
            used.setdefault(node.id, set()).add("?")
    return {name: how if name.startswith("_") else how | {"?"} for name, how in used.items()}


def value_of(call: Call) -> str | None:
    """The pattern's text, evaluated among the names of its module; None where it depends on a local name."""
    names = vars(importlib.import_module(call.module))
    try:
        value = eval(compile(ast.Expression(call.pattern), call.place, "eval"), dict(names))
    except NameError:
        return None
    return value.pattern if isinstance(value, re.Pattern) else value


def found_in(module: ModuleType) -> set[str]:
    """The patterns that a module holds in its names, also inside tuples, lists, dicts and objects of its own."""
    seen: set[int] = set()
    return set(_patterns(vars(module).values(), seen, 0))


def _patterns(values: Iterable[Any], seen: set[int], depth: int) -> Iterator[str]:
    for value in values:
        if isinstance(value, re.Pattern):
            yield value.pattern if isinstance(value.pattern, str) else value.pattern.decode("latin-1")
        elif depth < 6 and id(value) not in seen and not isinstance(value, ModuleType | type | str | bytes):
            seen.add(id(value))
            if isinstance(value, dict):
                yield from _patterns([*value.keys(), *value.values()], seen, depth + 1)
            elif isinstance(value, list | tuple | set | frozenset):
                yield from _patterns(value, seen, depth + 1)


def attacks(pattern: str, length: int) -> Iterator[str]:
    """Strings of about this length: what leads to each repetition, its body again and again, and no end that fits."""
    tree = parser.parse(pattern)
    pumps = {(prefix, body) for prefix, body in _repetitions(tree, "") if body}
    pumps |= {("", prefix + body) for prefix, body in pumps}  # each place a new beginning
    for prefix, body in sorted(pumps):
        many = prefix + body * (length // len(body))
        for tail in TAILS:
            yield many + tail


def _repetitions(tree: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for op, value in tree:
        if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            least, most, inner = value
            if most > 8:
                bodies = _samples(inner)
                yield from ((prefix, body) for body in bodies)
                if len(bodies) > 1:
                    yield prefix, "".join(bodies[:6])
            yield from _repetitions(inner, prefix)
            prefix += _samples(inner)[0] * max(least, 0)
        elif op is sre.SUBPATTERN:
            yield from _repetitions(value[3], prefix)
            prefix += _samples(value[3])[0]
        elif op is sre.BRANCH:
            for branch in value[1]:
                yield from _repetitions(branch, prefix)
            prefix += _samples(value[1][0])[0]
        elif op in (sre.ASSERT, sre.ASSERT_NOT):
            yield from _repetitions(value[1], prefix)
        elif op is sre.ATOMIC_GROUP:
            yield from _repetitions(value, prefix)
            prefix += _samples(value)[0]
        else:
            prefix += _samples([(op, value)])[0]


def _samples(tree: Any) -> list[str]:
    """A few strings that a piece of a pattern takes, never none."""
    found = [""]
    for op, value in tree:
        found = [before + one for before in found[:8] for one in _one(op, value)[:8]]
    return found[:12] or [""]


def _one(op: Any, value: Any) -> list[str]:
    if op is sre.LITERAL:
        return [chr(value)]
    if op is sre.NOT_LITERAL:
        return ["a" if value != ord("a") else "b"]
    if op is sre.ANY:
        return ["a"]
    if op is sre.IN:
        return _of_class(value)
    if op in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
        return [one * max(value[0], 1) for one in _samples(value[2])] + ([""] if value[0] == 0 else [])
    if op is sre.SUBPATTERN:
        return _samples(value[3])
    if op is sre.ATOMIC_GROUP:
        return _samples(value)
    if op is sre.BRANCH:
        return [_samples(branch)[0] for branch in value[1]]
    return [""]  # anchors, looks around, references


_CATEGORIES = {
    sre.CATEGORY_DIGIT: "7",
    sre.CATEGORY_NOT_DIGIT: "a",
    sre.CATEGORY_SPACE: " ",
    sre.CATEGORY_NOT_SPACE: "a",
    sre.CATEGORY_WORD: "a",
    sre.CATEGORY_NOT_WORD: "-",
}


def _of_class(items: Any) -> list[str]:
    negated = bool(items) and items[0][0] is sre.NEGATE
    if negated:
        text = "[" + "".join(_source(op, value) for op, value in items) + "]"
        return [sign for sign in "a7 -é\n" if re.fullmatch(text, sign)][:2] or ["\u2603"]
    found = []
    for op, value in items:
        if op is sre.LITERAL:
            found.append(chr(value))
        elif op is sre.RANGE:
            found.append(chr(value[0]))
        elif op is sre.CATEGORY:
            found.append(_CATEGORIES[value])
    return found[:3]


def _source(op: Any, value: Any) -> str:
    if op is sre.NEGATE:
        return "^"
    if op is sre.LITERAL:
        return re.escape(chr(value))
    if op is sre.RANGE:
        return f"{re.escape(chr(value[0]))}-{re.escape(chr(value[1]))}"
    letters = {"DIGIT": r"\d", "NOT_DIGIT": r"\D", "SPACE": r"\s", "NOT_SPACE": r"\S", "WORD": r"\w", "NOT_WORD": r"\W"}
    return letters[str(value).removeprefix("CATEGORY_")]
