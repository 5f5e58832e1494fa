"""What one Cloud API message says: its kind, its searchable words, the button behind it (pure).

Called by `webhook.parsing` for each message. Knows the types of Meta's "messages webhook reference"; a type it does not
know becomes `unsupported`, never an exception. Every text that leaves this file is valid UTF-8 without NUL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from shared.identity import canonical_number, looks_like_user_id
from shared.messages import MessageKind

MAX_TEXT_BYTES = 32_768  # WhatsApp itself sends up to 4,096 characters; a patient's text is never cut below that
MAX_CHOICE_CHARS = 256
_SURROGATE = re.compile("[\ud800-\udfff]")
_CONTENT_WORDS = ("body", "text", "caption", "title", "description", "name", "filename", "address")
# Not written by a person, so there is nothing to answer. `request_welcome` is the first opening of a chat.
_SILENT = frozenset({"revoke", "request_welcome"})


class Content(NamedTuple):
    kind: MessageKind
    text: str = ""
    choice_id: str | None = None
    media: str | None = None
    contact_phone: str | None = None


class Unreadable(ValueError):
    """The message is of a known type and its content is not what that type promises."""


def read_content(message: dict[str, Any], own_number: str | None) -> Content | None:
    """Reduce a Cloud API message to what changes our answer; None for what nobody wrote (a deletion, an opening).

    Args:
        message: one item of `value.messages`, any shape inside.
        own_number: the sender's number, digits with country code, to recognise their own contact card.

    Raises:
        Unreadable: a text without a readable body.
    """
    kind = _type_of(message)
    if kind in _SILENT:
        return None
    if kind == "edit":
        return _edit(message, own_number)
    return _plain(kind, message, own_number)


def clean(value: object, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    """Return the text as valid UTF-8 without NUL, at most that many bytes; "" for anything but text."""
    if not isinstance(value, str):
        return ""
    if "\x00" in value:
        value = value.replace("\x00", "")
    if not value.isascii():
        value = _SURROGATE.sub("\ufffd", value)
    if len(value) * 4 > limit_bytes and len(encoded := value.encode()) > limit_bytes:
        value = encoded[:limit_bytes].decode("utf-8", "ignore")
    return value


def number_of(value: object) -> str | None:
    """Read a `wa_id`, which always has its country code and no plus, as digits; None when it is something else."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**15:
        value = str(value)
    if not isinstance(value, str) or len(value) > 40 or looks_like_user_id(value):
        return None
    return canonical_number(value if value.startswith("+") else "+" + value)


def part(value: object, key: str) -> dict[str, Any]:
    """The object under `key`, or an empty one."""
    inner = value.get(key) if isinstance(value, dict) else None
    return inner if isinstance(inner, dict) else {}


def _type_of(message: dict[str, Any]) -> str:
    kind = message.get("type")
    if isinstance(kind, str):
        return kind
    return next((name for name in _READERS if name in message), "unsupported")


def _plain(kind: str, message: dict[str, Any], own_number: str | None) -> Content:
    if kind == "contacts":
        return _contacts(message.get("contacts"), own_number)
    return _READERS.get(kind, _unknown)(kind, part(message, kind))


def _join(words: Iterable[object]) -> str:
    return clean("\n".join(filter(None, map(clean, words))))


def _words(content: dict[str, Any]) -> str:
    return _join(content.get(word) for word in _CONTENT_WORDS)


def _text(_kind: str, content: dict[str, Any]) -> Content:
    body = content.get("body")
    if not isinstance(body, str):
        raise Unreadable("a text message without a body")
    return Content(MessageKind.TEXT, clean(body))


def _media(kind: str, content: dict[str, Any]) -> Content:
    medium = "voice" if kind == "audio" and content.get("voice") is True else kind
    text = _join((content.get("caption"), content.get("filename")))
    return Content(MessageKind.MEDIA, text, media=medium)


def _location(_kind: str, content: dict[str, Any]) -> Content:
    return Content(MessageKind.LOCATION, _join((content.get("name"), content.get("address"))))


def _contacts(cards: object, own_number: str | None) -> Content:
    cards = [card for card in cards if isinstance(card, dict)] if isinstance(cards, list) else []
    names = []
    own_phone = None
    for card in cards[:50]:
        name = part(card, "name")
        names.append(name.get("formatted_name") or name.get("first_name"))
        own_phone = own_phone or _own_phone(card, own_number)
    return Content(MessageKind.CONTACTS, _join(names), contact_phone=own_phone)


def _own_phone(card: dict[str, Any], own_number: str | None) -> str | None:
    """The patient's own number, from the answer to our contact request or a card that shows the sender's number.

    Somebody else's card (`origin: other`) must never become the patient's number.
    """
    phones = card.get("phones")
    for phone in phones[:20] if isinstance(phones, list) else []:
        if not isinstance(phone, dict):
            continue
        number = number_of(phone.get("wa_id"))
        if number is None and isinstance(phone.get("phone"), str):
            number = canonical_number(phone["phone"][:40])
        if number and (card.get("origin") == "contact_request" or number == own_number):
            return number
    return None


def _interactive(_kind: str, content: dict[str, Any]) -> Content:
    for form in ("button_reply", "list_reply"):
        if form in content:
            chosen = part(content, form)
            text = _join((chosen.get("title"), chosen.get("description")))
            return _choice(chosen.get("id"), text)
    if "nfm_reply" in content:
        return Content(MessageKind.UNSUPPORTED, _form_words(part(content, "nfm_reply").get("response_json")))
    return Content(MessageKind.UNSUPPORTED)


def _button(_kind: str, content: dict[str, Any]) -> Content:
    text = clean(content.get("text"))
    payload = content.get("payload")
    # Without a payload set at send time Meta repeats the label: then the words are all we have.
    return _choice(None if payload == content.get("text") else payload, text)


def _choice(choice: object, text: str) -> Content:
    choice_id = clean(choice)[:MAX_CHOICE_CHARS]
    if choice_id:
        return Content(MessageKind.CHOICE, text, choice_id=choice_id)
    return Content(MessageKind.TEXT, text) if text else Content(MessageKind.UNSUPPORTED)


def _form_words(response: object) -> str:
    """What was typed into a form: `response_json` is JSON inside a string, of any shape."""
    try:
        answers = json.loads(clean(response))
    except (ValueError, RecursionError):
        return clean(response)
    return _join(answers.values()) if isinstance(answers, dict) else clean(answers)


def _reaction(_kind: str, _content: dict[str, Any]) -> Content:
    # The emoji stays out of `text`: joined with other messages of a burst, a thumb would read as a yes.
    return Content(MessageKind.REACTION)


def _unknown(_kind: str, content: dict[str, Any]) -> Content:
    return Content(MessageKind.UNSUPPORTED, _words(content))


def _edit(message: dict[str, Any], own_number: str | None) -> Content:
    """An edited message is a new message: its words may hold a danger sign that the first ones did not."""
    inner = part(part(message, "edit"), "message")
    kind = _type_of(inner)
    content = _plain(kind, inner, own_number) if kind not in ("edit", "system", *_SILENT) else None
    if content is None:
        return Content(MessageKind.UNSUPPORTED)
    return content._replace(kind=MessageKind.TEXT, media=None) if content.text else content


_READERS: dict[str, Callable[[str, dict[str, Any]], Content]] = {
    "text": _text,
    "image": _media,
    "video": _media,
    "audio": _media,
    "document": _media,
    "sticker": _media,
    "location": _location,
    "interactive": _interactive,
    "button": _button,
    "reaction": _reaction,
    "order": _unknown,
    "contacts": _unknown,  # a list, read before this table is asked; here so that a missing type can be guessed
    "unsupported": _unknown,
    "unknown": _unknown,
}
