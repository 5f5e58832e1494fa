"""What a patient can send, as Meta would write it (whatsapp-cloud-api.md 2 and 3). Pure; used by `writing`."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from typing import Any

from simulator.people import Patient

Json = dict[str, Any]

_MIME = {
    "image": "image/jpeg",
    "video": "video/mp4",
    "audio": "audio/mpeg",
    "voice": "audio/ogg; codecs=opus",
    "document": "application/pdf",
    "sticker": "image/webp",
}
UNSUPPORTED_ERROR: Json = {
    "code": 131051,
    "title": "Message type unknown",
    "message": "Message type unknown",
    "error_data": {"details": "Message type is currently not supported."},
}


def contact_of(patient: Patient, *, with_username: bool = True) -> Json:
    """Return the `contacts[]` element; a number that is not shared is a missing key."""
    profile: Json = {"name": patient.name}
    if patient.username and with_username:
        profile["username"] = patient.username
    contact: Json = {"profile": profile}
    if patient.number:
        contact["wa_id"] = patient.number
    if patient.user_id:
        contact["user_id"] = patient.user_id
    return contact


def build_message(patient: Patient, wamid: str, timestamp: int, kind: str, wish: Json, own_number: str) -> Json:
    """Return an element of `value.messages[]`.

    Args:
        timestamp: Unix seconds; Meta writes them as a string.
        kind: one of `KINDS`.
        wish: the control API's description: `text`, `id`, `title`, `caption`, `context`, …
        own_number: the business number that `context.from` names.

    Raises:
        ValueError: if the kind is unknown or the wish lacks what it needs.
    """
    build = KINDS.get(kind)
    if build is None:
        raise ValueError(f"unknown kind: {kind}; known: {', '.join(sorted(KINDS))}")
    message: Json = {}
    if patient.number:
        message["from"] = patient.number
    if patient.user_id:
        message["from_user_id"] = patient.user_id
    message |= {"id": wamid, "timestamp": str(timestamp)}
    try:
        message |= build(wish)
    except KeyError as error:
        raise ValueError(f"kind {kind} needs {error.args[0]}") from error
    if wish.get("context"):
        message["context"] = {"from": own_number, "id": wish["context"]}
    if wish.get("forwarded"):
        message["context"] = {"forwarded": True}
    if wish.get("referral"):
        message["referral"] = wish["referral"]
    return message


def _media(kind: str) -> Callable[[Json], Json]:
    name = "audio" if kind == "voice" else kind

    def build(wish: Json) -> Json:
        media_id = str(wish.get("media_id") or int(hashlib.sha256(repr(wish).encode()).hexdigest()[:12], 16))
        media: Json = {
            "id": media_id,
            "mime_type": wish.get("mime_type") or _MIME[kind],
            "sha256": base64.b64encode(hashlib.sha256(media_id.encode()).digest()).decode(),
            "url": f"https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid={media_id}",
        }
        if wish.get("caption"):
            media["caption"] = wish["caption"]
        if kind == "document":
            media["filename"] = wish.get("filename") or "documento.pdf"
        if kind in ("audio", "voice"):
            media["voice"] = kind == "voice"
        if kind == "sticker":
            media["animated"] = False
        return {"type": name, name: media}

    return build


def _location(wish: Json) -> Json:
    place: Json = {"latitude": wish.get("latitude", -17.7833), "longitude": wish.get("longitude", -63.1821)}
    return {"type": "location", "location": place | {k: wish[k] for k in ("name", "address", "url") if wish.get(k)}}


def _contacts(origin: str) -> Callable[[Json], Json]:
    def build(wish: Json) -> Json:
        digits = str(wish["phone"]).lstrip("+")
        contact: Json = {"phones": [{"phone": f"+{digits}", "wa_id": digits, "type": "CELL"}], "origin": origin}
        if wish.get("contact_name"):
            contact["name"] = {"formatted_name": wish["contact_name"]}
        return {"type": "contacts", "contacts": [contact]}

    return build


def _reaction(wish: Json) -> Json:
    reaction: Json = {"message_id": wish["message_id"]}
    if wish.get("emoji"):  # taking a reaction back: the key is absent
        reaction["emoji"] = wish["emoji"]
    return {"type": "reaction", "reaction": reaction}


def _list_reply(wish: Json) -> Json:
    reply: Json = {"id": wish["id"], "title": wish["title"]}
    if wish.get("description"):
        reply["description"] = wish["description"]
    return {"type": "interactive", "interactive": {"type": "list_reply", "list_reply": reply}}


def _button_reply(wish: Json) -> Json:
    reply = {"id": wish["id"], "title": wish["title"]}
    return {"type": "interactive", "interactive": {"type": "button_reply", "button_reply": reply}}


def _changed_number(wish: Json) -> Json:
    change = {"type": "user_changed_number", "body": "User changed phone number", "wa_id": wish["new_number"]}
    return {"type": "system", "system": change | _user_ids(wish)}


def _changed_user_id(wish: Json) -> Json:
    change: Json = {"type": "user_changed_user_id", "body": "User changed user id"}
    return {"type": "system", "system": change | _user_ids(wish)}


def _user_ids(wish: Json) -> Json:
    names = {"new_user_id": "user_id", "previous_user_id": "previous_user_id"}
    return {theirs: wish[ours] for ours, theirs in names.items() if wish.get(ours)}


def _edit(wish: Json) -> Json:
    edited = {"type": "text", "text": {"body": wish["text"]}}
    return {"type": "edit", "edit": {"original_message_id": wish["message_id"], "message": edited}}


def _order(wish: Json) -> Json:
    item = {"product_retailer_id": "x", "quantity": 1, "item_price": 1.0, "currency": "BOB"}
    return {"type": "order", "order": {"catalog_id": "1", "text": wish.get("text", ""), "product_items": [item]}}


KINDS: dict[str, Callable[[Json], Json]] = {
    "text": lambda wish: {"type": "text", "text": {"body": wish["text"]}},
    "button_reply": _button_reply,
    "list_reply": _list_reply,
    "button": lambda wish: {"type": "button", "button": {"payload": wish["id"], "text": wish["title"]}},
    **{kind: _media(kind) for kind in _MIME},
    "location": _location,
    "contacts": _contacts("other"),
    "contact_request": _contacts("contact_request"),
    "reaction": _reaction,
    "edit": _edit,
    "revoke": lambda wish: {"type": "revoke", "revoke": {"original_message_id": wish["message_id"]}},
    "order": _order,
    "user_changed_number": _changed_number,
    "user_changed_user_id": _changed_user_id,
    "unsupported": lambda wish: {
        "type": "unsupported",
        "errors": [UNSUPPORTED_ERROR],
        "unsupported": {"type": wish.get("subtype", "poll_creation")},
    },
    "request_welcome": lambda _: {"type": "request_welcome"},
    "raw": lambda wish: dict(wish["message"]),  # whatever a test wants to see survived
}
SYSTEM_KINDS = frozenset({"user_changed_number", "user_changed_user_id"})
# Whether reactions and unsupported messages open the 24 h window is not documented; here they do not.
NOT_OPENING_WINDOW = SYSTEM_KINDS | {"reaction", "unsupported", "request_welcome", "revoke"}
