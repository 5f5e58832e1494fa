"""Where metrics are written in the source, found by reading it: for the tests of lists, page, guide and dashboard."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREFIX = "assistant_"
# What prometheus_client adds to a name, by type.
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def written_in_lua() -> dict[str, set[str]]:
    """Counter -> its label names, of all scripts. `count(over and 'a' or 'b')` counts for both."""
    found: dict[str, set[str]] = defaultdict(set)
    for path in sorted((ROOT / "shared/state/lua").glob("*.lua")):
        for line in path.read_text(encoding="utf-8").splitlines():
            for call in re.findall(r"\bcount\((?!name)(.*)", line):
                for name, label in re.findall(r"'(\w+_total)(?:\|(\w+)=)?", call):
                    found[name] |= {label} - {""}
    return found


def written_in_python() -> tuple[dict[str, set[str]], set[str]]:
    """Counters with their label names, and histograms, of all processes."""
    counters: dict[str, set[str]] = defaultdict(set)
    histograms: set[str] = set()
    for path in sorted(path for package in ("shared", "webhook", "workers", "scheduler") for path in _sources(package)):
        for name, call in _calls(ast.parse(path.read_text(encoding="utf-8"))):
            first = call.args[0] if call.args else None
            if not isinstance(first, ast.Constant) or not isinstance(first.value, str):
                continue
            if name == "observe":
                histograms.add(first.value)
            elif name in ("count", "field"):
                counters[first.value] |= {
                    keyword.arg for keyword in call.keywords if keyword.arg and keyword.arg != "by"
                }
    return counters, histograms


def _sources(package: str) -> Iterator[Path]:
    return (ROOT / package).rglob("*.py")


def _calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls of `….metrics.count`, `….metrics.observe` and of `field`, which names a counter for a script."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name) and node.func.id == "field":
            yield "field", node
        elif isinstance(node.func, ast.Attribute) and node.func.attr in ("count", "observe"):
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else owner.id if isinstance(owner, ast.Name) else ""
            if name.lstrip("_") == "metrics":
                yield node.func.attr, node


def guide() -> dict[str, tuple[str, tuple[str, ...], str]]:
    """The tables of docs/metrics.md: name -> (type, labels, when to worry)."""
    rows: dict[str, tuple[str, tuple[str, ...], str]] = {}
    for line in (ROOT / "docs/metrics.md").read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `" + PREFIX) and len(cells) == 5:
            labels = tuple(sorted(re.findall(r"`(\w+)`", cells[2])))
            rows[cells[0].strip("`")] = (cells[1], labels, cells[4])
    return rows


def samples(page: str) -> dict[str, set[str]]:
    """Sample names of a page of metrics -> names of their labels, `le` left out."""
    found: dict[str, set[str]] = defaultdict(set)
    for line in page.splitlines():
        if matched := re.match(r"(\w+)(?:\{(.*)\})? ", line):
            found[matched[1]] |= set(re.findall(r'(\w+)="', matched[2] or "")) - {"le"}
    return found
