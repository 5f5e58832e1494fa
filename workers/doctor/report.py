"""Checks -> lines: for people, or JSON for programs. No secret of the settings passes (pure)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from shared.settings import Settings
from workers.doctor.check import Check, State

_SHORTEST_SECRET = 4  # a shorter one would blank out innocent words
_WIDTH = 26


def line(check: Check) -> str:
    """`FAILED   redis eviction   what was found -> what to do`; states to act upon stand in capitals."""
    state = check.state.upper() if check.state in (State.FAILED, State.WARNING) else check.state
    advice = f" -> {check.advice}" if check.advice else ""
    return f"{state:<8} {check.name:<{_WIDTH}} {check.found}{advice}"


def json_line(check: Check) -> str:
    fields = {"name": check.name, "state": check.state.value, "found": check.found, "advice": check.advice}
    return json.dumps(fields, ensure_ascii=False)


def summary(checks: Iterable[Check]) -> str:
    """`2 failed, 1 warning, 20 ok, 3 off`."""
    counts = Counter(check.state for check in checks)
    warnings = f"{counts[State.WARNING]} warning" + ("" if counts[State.WARNING] == 1 else "s")
    return f"{counts[State.FAILED]} failed, {warnings}, {counts[State.OK]} ok, {counts[State.OFF]} off"


def clean(check: Check, secrets: Iterable[str]) -> Check:
    """The same on one line and without any of the secrets, should an answer have repeated one."""
    found, advice = (" ".join(text.split()) for text in (check.found, check.advice))
    for secret in secrets:
        found, advice = found.replace(secret, "***"), advice.replace(secret, "***")
    return replace(check, found=found, advice=advice)


def secrets_of(settings: Settings) -> list[str]:
    """Every secret value, the parts of a list or of `user:password`, and the passwords inside addresses."""
    words: set[str] = set()
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            text = value.get_secret_value()
            inside = urlsplit(text.split(";")[0]).password or ""
            passwords = [text.partition(":")[2]] if name.endswith("BASIC_AUTH") else []
            words |= {text, inside, unquote(inside), *passwords, *(part.strip() for part in text.split(","))}
    return sorted((word for word in words if len(word) >= _SHORTEST_SECRET), key=len, reverse=True)
