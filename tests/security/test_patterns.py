"""No regular expression of the code can be made slow by what somebody writes: each is tried on strings made against it.

A pattern that is linear on 32,768 characters is safe for any message. One that is not must read a bounded text: BOUNDED
says how long that is and where the bound stands, and it is tried at that length.
"""

from __future__ import annotations

import ast
import importlib
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.security.patterns import attacks, calls, found_in, modules, value_of

LONGEST = 32_768  # characters of the longest text that the webhook lets in
SLOW_S = 0.25  # of the processor, for one application

# module or place's pattern -> characters it is ever given, and why
BOUNDED: dict[str, tuple[int, str]] = {
    "workers.language.names": (200, "bare_name reads the first 200 characters"),
    "workers.language.mentions": (2048, "_role cuts the cue before a mention to _CUE_CHARS"),
    "workers.safety.invention": (1500, "review refuses replies over MAX_CHARS, 500, before; values are ours"),
}


class Hangs(Exception):
    """A match that would not end."""


@contextmanager
def processor_alarm(seconds: float) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGVTALRM, ring)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def collected() -> dict[tuple[str, str], str]:
    """(pattern, how it is applied) -> module, of all four packages."""
    found: dict[tuple[str, str], str] = {}
    for call in calls():
        value = value_of(call)
        if value is not None:
            found[value, call.how] = call.module
        else:  # made of a local name: all that its module holds, and what `test_every_use…` allows
            for pattern in found_in(importlib.import_module(call.module)):
                found.setdefault((pattern, "search"), call.module)
    return found


ALL = collected()


def slowest(pattern: str, how: str, longest: int, bound_s: float = SLOW_S) -> tuple[float, str]:
    """Processor time of the worst attack, at lengths that double until one is too slow, and its beginning."""
    apply = getattr(re.compile(pattern), {"sub": "search", "split": "search", "findall": "search"}.get(how, how))
    worst = (0.0, "")
    length = min(64, longest)
    while worst[0] <= bound_s:
        for text in attacks(pattern, length):
            began = time.thread_time()
            try:
                with processor_alarm(1):
                    apply(text)
            except Hangs:
                return 1.0, text[:60]
            worst = max(worst, (time.thread_time() - began, text[:60]))
            if worst[0] > bound_s:
                break
        if length >= longest:
            break
        length = min(length * 2, longest)
    return worst


@pytest.mark.parametrize("module", sorted(set(ALL.values())))
def test_no_pattern_is_slow_on_what_was_made_against_it(module: str) -> None:
    longest = BOUNDED.get(module, (LONGEST, ""))[0]
    for pattern, how in [key for key, of in ALL.items() if of == module]:
        took, text = slowest(pattern, how, longest)
        assert took <= SLOW_S, f"{pattern[:200]!r} took {took:.2f} s on {text!r}…"


def test_the_bounds_are_needed_and_hold_elsewhere() -> None:
    """A bound that nothing needs any more must go: it would hide the next slow pattern of its module."""
    for module in BOUNDED:
        own = (key for key, of in ALL.items() if of == module)
        assert any(slowest(pattern, how, LONGEST)[0] > SLOW_S for pattern, how in own), module


def test_the_search_finds_what_is_slow() -> None:
    for known in (r"(?:a|a)*b", r"(?:\w+ ?)+!", r"(?: (?:la|la))*x", r"\s+\s+\s+x", r"(?:x+){1,9}y"):
        assert slowest(known, "search", 2048)[0] > SLOW_S, known
    for fine in (r"\w+b", r"(?:la )*x", r"^\s*(?:,\s*)?no"):
        assert slowest(fine, "match", LONGEST)[0] < SLOW_S, fine


def test_every_use_of_re_is_covered() -> None:
    """What is put together at run time, from values of ours, is named here; all else is tried above."""
    unread = {call.module for call in calls() if value_of(call) is None}
    assert unread == {
        "workers.language.calendar_words",
        "workers.language.cues",
        "workers.language.reasons",
        "workers.safety.folding",
        "workers.safety.invention",  # re.escape of one of our own values
        "workers.safety.medical_claims",
    }
    assert len(ALL) > 250


def test_re_is_imported_under_its_own_name_only() -> None:
    """`from re import compile` or another library of patterns would hide from the search."""
    for name, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.module not in ("re", "regex"), name
            if isinstance(node, ast.Import):
                hidden = [
                    one for one in node.names if one.name in ("regex", "re2") or (one.name == "re" and one.asname)
                ]
                assert not hidden, name
