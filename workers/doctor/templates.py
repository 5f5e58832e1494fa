"""Is a template as the reminders need it? From the answer of GET /{account}/message_templates (pure).

Meta refuses each send of a template that is missing in the language, not approved, or of another shape; the patient
is then not reminded, and it is known only from the call list.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from workers.doctor.check import Check, failed, ok, warning

FIELDS = "name,language,status,category,quality_score,parameter_format,components"
_VARIABLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_HELP = {
    "PENDING": "Meta reviews it, up to a day: wait",
    "IN_APPEAL": "Meta reviews it again: wait",
    "REJECTED": "read the reason in the WhatsApp Manager, change its text and send it in again",
    "PAUSED": "patients blocked or reported it: the pause ends by itself after 3 or 6 hours, better its text meanwhile",
    "DISABLED": "make a new one under another name, and set its name here",
}


@dataclass(frozen=True)
class WantedTemplate:
    """What we send; `setting` is the one that names it."""

    setting: str
    name: str
    language: str
    buttons: int  # quick replies, in the order of the payloads
    parameters: tuple[str, ...]

    @property
    def check_name(self) -> str:
        return f"template {self.name}"


def judge(wanted: WantedTemplate, rows: object) -> Check:
    """Judge `data` of the answer; other names that Meta found by a part of this one are passed over."""
    name = wanted.check_name
    listed = [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    mine = [row for row in listed if row.get("name") == wanted.name]
    if not mine:
        advice = f"create it in the WhatsApp Manager (docs/guia.md has its text), or correct {wanted.setting}"
        return failed(name, "this account has no template of this name", advice)
    row = next((row for row in mine if row.get("language") == wanted.language), None)
    if row is None:
        there = ", ".join(sorted(str(row.get("language")) for row in mine))
        advice = f"set REMINDER_TEMPLATE_LANGUAGE={there.split(', ')[0]}, or have it approved in {wanted.language}"
        return failed(name, f"not in the language {wanted.language}, only in {there}", advice)
    status = str(row.get("status"))
    if status != "APPROVED":
        return failed(name, f"is {status}", _HELP.get(status, "see the WhatsApp Manager"))
    if problem := _wrong_shape(wanted, row):
        return failed(
            name,
            problem,
            f"change it in the WhatsApp Manager (docs/guia.md has its text): Meta refuses {wanted.name} otherwise",
        )
    return _judge_standing(name, row)


def _wrong_shape(wanted: WantedTemplate, row: dict[str, Any]) -> str | None:
    """What of its form does not fit what we send."""
    if str(row.get("parameter_format", "")).upper() != "NAMED":
        return "its parameters are numbered, not named"
    body = _component(row, "BODY")
    variables = set(_VARIABLE.findall(str(body.get("text", ""))))
    if variables != set(wanted.parameters):
        return f"its parameters are {_words(variables)}, not {_words(wanted.parameters)}"
    labels, others = _buttons(row)
    if others or len(labels) != wanted.buttons:
        kinds = f"{len(labels)} quick-reply buttons" + (f" and {others} of another kind" if others else "")
        return f"it has {kinds}, {wanted.buttons} are needed"
    return None


def _judge_standing(name: str, row: dict[str, Any]) -> Check:
    score = row.get("quality_score")
    quality = str(score.get("score") if isinstance(score, dict) else "UNKNOWN")
    category = str(row.get("category"))
    if category != "UTILITY":
        advice = "have it made UTILITY: as another category Meta asks more for it and may not deliver it"
        return warning(name, f"approved, but its category is {category}", advice)
    if quality in ("YELLOW", "RED"):
        return warning(
            name, f"approved, quality {quality}: patients block or report it", "it will be paused: better its text"
        )
    return ok(name, f"approved, UTILITY, quality {quality}; buttons {' · '.join(_buttons(row)[0]) or 'none'}")


def _component(row: dict[str, Any], kind: str) -> dict[str, Any]:
    parts = row.get("components")
    found = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    return next((part for part in found if str(part.get("type", "")).upper() == kind), {})


def _buttons(row: dict[str, Any]) -> tuple[list[str], int]:
    """Labels of the quick replies, and how many buttons of other kinds there are."""
    raw = _component(row, "BUTTONS").get("buttons")
    buttons = [button for button in raw if isinstance(button, dict)] if isinstance(raw, list) else []
    labels = [str(button.get("text")) for button in buttons if button.get("type") == "QUICK_REPLY"]
    return labels, len(buttons) - len(labels)


def _words(names: set[str] | tuple[str, ...]) -> str:
    return ", ".join(sorted(names)) or "none"
