"""The text the bundled model writes, tags first and reply after: writing and reading it, and other models' answers.

Source: dialogue specification, section 4. Used by `training` (write) and `workers` (parse). Pure.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import UnreadablePrediction
from shared.grammar import Grammar
from shared.prediction import Intent, Reason
from shared.prompt import END_OF_TEXT, fold_with_origin
from shared.tags import (
    DANGER_TOKENS,
    INTENT_TOKENS,
    MAX_SECONDARY,
    REASON_TOKENS,
    REPLY_TOKEN,
    SECONDARY_TOKENS,
    SLOT_TOKENS,
    SPECIAL_TOKENS,
)

__all__ = [
    "DANGER_TOKENS",
    "INTENT_TOKENS",
    "REPLY_TOKEN",
    "SLOT_TOKENS",
    "SPECIAL_TOKENS",
    "Grammar",
    "Tagged",
    "intent_from_words",
    "original_words",
    "parse",
    "parse_answer",
    "write",
]

_BY_TOKEN = {token: slot for slot, token in SLOT_TOKENS.items()}
_SECTION = re.compile(r"<(i|d|j|s|m):([a-z_0-9]+)>([^<]*)")


@dataclass(frozen=True)
class Tagged:
    """One answer of the model, as read. `spans` are the patient's own words, keyed by slot name."""

    intent: Intent
    danger: bool = False
    secondary: tuple[Intent, ...] = ()
    spans: Mapping[str, str] = field(default_factory=dict)
    reason: Reason | None = None
    reply: str | None = None


def write(answer: Tagged, message: str | None = None) -> str:
    """Write the tagged form, ending in the end-of-text token.

    Spans get a leading space so that they split into the same tokens as inside the message; when `message` (as it
    stands in the prompt) shows the span right after another sign, as in "(lunes", the space is left out.
    """
    parts = [INTENT_TOKENS[answer.intent], DANGER_TOKENS[answer.danger]]
    parts += [SECONDARY_TOKENS[intent] for intent in answer.secondary[:MAX_SECONDARY]]
    for slot, token in SLOT_TOKENS.items():
        if slot == "reason" and answer.reason is not None:
            parts += [token, REASON_TOKENS[answer.reason]]
        elif span := answer.spans.get(slot):
            parts += [token, _leading(span, message) + span]
    parts += [REPLY_TOKEN, f" {answer.reply}" if answer.reply else "", END_OF_TEXT]
    return "".join(parts)


def _leading(span: str, message: str | None) -> str:
    if message is None or f" {span}" in f" {message}" or span not in message:
        return " "
    return ""


def parse(text: str) -> Tagged:
    """Read the tagged form; what follows end-of-text is ignored, a missing reply is None.

    Raises:
        UnreadablePrediction: if order, names or counts differ from the format.
    """
    head, _, tail = text.split(END_OF_TEXT, 1)[0].strip().partition(REPLY_TOKEN)
    sections = _SECTION.findall(head)
    if "".join(f"<{kind}:{name}>{words}" for kind, name, words in sections) != head or len(sections) < 2:
        raise UnreadablePrediction("tags are not in the tagged form")
    (first, intent_name, _), (second, danger_flag, _) = sections[:2]
    if any(words.strip() for kind, _, words in sections if kind != "s"):
        raise UnreadablePrediction("words stand outside a slot")
    if first != "i" or second != "d" or danger_flag not in ("0", "1"):
        raise UnreadablePrediction("intent and danger must come first")
    rest = sections[2:]
    secondary = tuple(_intent(name) for kind, name, _ in rest if kind == "j")
    spans, reason = _slots([section for section in rest if section[0] != "j"])
    if len(secondary) > MAX_SECONDARY or [kind for kind, *_ in rest[: len(secondary)]] != ["j"] * len(secondary):
        raise UnreadablePrediction("secondary intents are too many or out of place")
    return Tagged(_intent(intent_name), danger_flag == "1", secondary, spans, reason, tail.strip() or None)


def _intent(name: str) -> Intent:
    try:
        return Intent(name)
    except ValueError:
        raise UnreadablePrediction("unknown intent") from None


def _slots(sections: list[tuple[str, str, str]]) -> tuple[dict[str, str], Reason | None]:
    """Read the slot sections; each slot once, in the order of SLOT_TOKENS."""
    order = list(SLOT_TOKENS)
    spans: dict[str, str] = {}
    reason: Reason | None = None
    last = -1
    expects_reason = False
    for kind, name, words in sections:
        if kind == "m" and expects_reason:
            if name not in set(Reason):
                raise UnreadablePrediction("unknown reason")
            reason, expects_reason = Reason(name), False
            continue
        slot = _BY_TOKEN.get(f"<{kind}:{name}>")
        if slot is None or expects_reason or order.index(slot) <= last:
            raise UnreadablePrediction("slots are unknown or out of order")
        last = order.index(slot)
        if slot == "reason":
            expects_reason = True
        elif words.strip():
            spans[slot] = words.strip()
        else:
            raise UnreadablePrediction("a slot is empty")
    if expects_reason:
        raise UnreadablePrediction("a reason is missing")
    return spans, reason


def parse_answer(text: str) -> Tagged | str:
    """Read whatever a model wrote: the tagged form, a JSON object with `intent`, or a bare reply (returned as text).

    Raises:
        UnreadablePrediction: if it begins like tags or JSON but is neither, or if nothing is left.
    """
    cleaned = text.split(END_OF_TEXT, 1)[0].strip()
    fenced = re.fullmatch(r"```(?:json)?\s*(\{.*\})\s*```", cleaned, re.S)
    if fenced:
        cleaned = fenced[1]
    if cleaned.startswith("{"):
        return _from_json(cleaned)
    if re.match(r"<[ijdsm]:|<rsp>", cleaned):
        return parse(cleaned)
    if not cleaned:
        raise UnreadablePrediction("the model wrote nothing")
    return cleaned


def _from_json(text: str) -> Tagged:
    try:
        data = json.loads(text)
        intent = intent_from_words(str(data["intent"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnreadablePrediction("not a JSON object with an intent") from None
    found = [data.get("spans"), data.get("slots")]
    spans: dict[str, str] = {}
    reason: Reason | None = None
    for values in found:
        if not isinstance(values, dict):
            continue
        for slot in SLOT_TOKENS:
            value = values.get(slot)
            if slot == "reason":
                reason = Reason(value) if isinstance(value, str) and value in set(Reason) else reason
            elif isinstance(value, str) and value.strip() and slot not in spans:
                spans[slot] = value.strip()
    secondary = data.get("secondary")
    known = [name for name in secondary if isinstance(name, str)] if isinstance(secondary, list) else []
    others = tuple(intent_from_words(name) for name in known)[:MAX_SECONDARY]
    reply = data.get("reply")
    reply = reply.strip() or None if isinstance(reply, str) else None
    return Tagged(intent, data.get("danger") is True, others, spans, reason, reply)


def intent_from_words(words: str) -> Intent:
    """Read an intent name with accents, case, spaces and hyphens ignored: "Agendar cita", "consultar-info".

    Raises:
        UnreadablePrediction: if it is none of the closed list.
    """
    plain = unicodedata.normalize("NFD", words.lower())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return _intent(re.sub(r"[\s_-]+", "_", plain.strip()))


def original_words(message: str, span: str) -> str:
    """Return `span` as the patient wrote it ("maria lopez" -> "María López"); the span itself if it is not there.

    The bundled model copies from folded text (`shared.prompt.fold`); names shown to people need the written form.
    """
    folded, origin = fold_with_origin(message)
    at = folded.find(span)
    if at < 0 or not span:
        return span
    return message[origin[at] : origin[at + len(span) - 1] + 1]
