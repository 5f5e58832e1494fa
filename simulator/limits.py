"""What Meta accepts in a send: fields, lengths and counts (whatsapp-cloud-api.md 7). Pure; called by `cloud_api`.

Lengths count Unicode code points; how Meta counts emoji is not documented.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.meta_errors import MetaError
from simulator.people import BSUID, NUMBER

Json = dict[str, Any]


def missing(name: str) -> MetaError:
    return MetaError(131008, f"Required parameter is missing: {name}")


def invalid(name: str, reason: str) -> MetaError:
    return MetaError(131009, f"Parameter value is not valid: {name} {reason}")


def need_object(parent: Json, name: str, path: str = "") -> Json:
    value = parent.get(name)
    if value is None:
        raise missing(path + name)
    if not isinstance(value, dict):
        raise invalid(path + name, "must be an object")
    return value


def need_list(parent: Json, name: str, least: int, most: int, path: str = "") -> list[Any]:
    value = parent.get(name)
    if value is None:
        raise missing(path + name)
    if not isinstance(value, list) or not least <= len(value) <= most:
        raise invalid(path + name, f"must be a list of {least} to {most}")
    return value


def need_text(parent: Json, name: str, most: int, path: str = "", *, required: bool = True) -> str:
    """Return a text of 1 to `most` characters; an absent optional one is ""."""
    value = parent.get(name)
    if value is None:
        if required:
            raise missing(path + name)
        return ""
    if not isinstance(value, str):
        raise invalid(path + name, "must be a string")
    if not value.strip() or len(value) > most:
        raise invalid(path + name, f"length must be between 1 and {most} characters")
    return value


def check_common(body: Json, own_number: str) -> None:
    """Check what every message carries: product, recipient, callback data.

    Raises:
        MetaError: as the Graph API would.
    """
    if body.get("messaging_product") != "whatsapp":
        raise MetaError(100, "(#100) The parameter messaging_product is required.")
    if body.get("recipient_type", "individual") != "individual":
        raise MetaError(100, "(#100) Param recipient_type must be one of {individual}.")
    to, recipient = body.get("to"), body.get("recipient")
    if not to and not recipient:
        raise MetaError(100, "(#100) The parameter to is required.")
    if to:  # when both are present, `to` wins
        # Meta would guess a country for a number without plus and write to a stranger; here it is an error.
        if not isinstance(to, str) or not to.startswith("+") or not NUMBER.match(to[1:]):
            raise invalid("to", "must be a phone number with + and country code")
        if to[1:] == own_number:
            raise MetaError(131021, "Recipient phone number cannot be the sender's.")
    elif not isinstance(recipient, str) or not BSUID.match(recipient):
        raise invalid("recipient", "must be a business-scoped user id")
    data = body.get("biz_opaque_callback_data")
    if data is not None and (not isinstance(data, str) or len(data) > 512):
        raise invalid("biz_opaque_callback_data", "must be a string of at most 512 characters")
    if body.get("context") is not None:
        need_text(need_object(body, "context"), "message_id", 512, "context.")


def check_content(body: Json) -> str:
    """Check the part named like `type` and return the kind: text, button, list, template, image, …

    Templates are looked up by `templates.check_template` afterwards.

    Raises:
        MetaError: as the Graph API would.
    """
    kind = body.get("type", "text")
    check = _CHECKS.get(kind) if isinstance(kind, str) else None
    if check is None:
        raise MetaError(100, f"(#100) Param type must be one of {{{', '.join(sorted(_CHECKS)).upper()}}}.")
    if kind == "contacts":
        need_list(body, "contacts", 1, 257)
        return "contacts"
    return check(need_object(body, kind)) or str(kind)


def _text(text: Json) -> None:
    body = text.get("body")
    if body is None:
        raise MetaError(100, "(#100) The parameter text['body'] is required.")
    if not isinstance(body, str) or not body.strip():
        raise MetaError(100, "(#100) Param text['body'] must be a non-empty string.")
    if len(body) > 4096:
        raise MetaError(100, "(#100) Param text['body'] must be at most 4096 characters long.")


def _interactive(interactive: Json) -> str:
    kind = need_text(interactive, "type", 64, "interactive.")
    action = need_object(interactive, "action", "interactive.")
    most = 4096 if kind == "list" else 1024
    need_text(need_object(interactive, "body", "interactive."), "text", most, "interactive.body.")
    if interactive.get("footer") is not None:
        need_text(need_object(interactive, "footer", "interactive."), "text", 60, "interactive.footer.")
    if interactive.get("header") is not None:
        _header(need_object(interactive, "header", "interactive."), kind)
    if kind == "button":
        _buttons(action)
    elif kind == "list":
        _rows(action)
    elif kind == "cta_url":
        parameters = need_object(action, "parameters", "interactive.action.")
        need_text(parameters, "display_text", 20, "interactive.action.parameters.")
        need_text(parameters, "url", 2000, "interactive.action.parameters.")
    elif kind in ("request_contact_info", "location_request_message"):
        name = "send_location" if kind == "location_request_message" else kind
        if action.get("name") != name:
            raise invalid("interactive.action.name", f"must be {name}")
    else:
        raise invalid("interactive.type", "is not one that this simulator plays")
    return kind


def _header(header: Json, kind: str) -> None:
    form = header.get("type")
    if form not in (("text",) if kind == "list" else ("text", "image", "video", "document")):
        raise invalid("interactive.header.type", "does not go with this message")
    if form == "text":
        need_text(header, "text", 60, "interactive.header.")
    else:
        _media(str(form))(need_object(header, str(form), "interactive.header."))


def _buttons(action: Json) -> None:
    path = "interactive.action.buttons."
    replies = []
    for button in need_list(action, "buttons", 1, 3, "interactive.action."):
        if not isinstance(button, dict) or button.get("type") != "reply":
            raise invalid(path + "type", "must be reply")
        replies.append(need_object(button, "reply", path))
    _unique([need_text(reply, "id", 256, path) for reply in replies], path + "id")
    _unique([need_text(reply, "title", 20, path) for reply in replies], path + "title")


def _rows(action: Json) -> None:
    path = "interactive.action.sections."
    need_text(action, "button", 20, "interactive.action.")
    sections = need_list(action, "sections", 1, 10, "interactive.action.")
    ids: list[str] = []
    for section in sections:
        if not isinstance(section, dict):
            raise invalid(path, "must hold objects")
        need_text(section, "title", 24, path, required=len(sections) > 1)
        for row in need_list(section, "rows", 1, 10, path):
            if not isinstance(row, dict):
                raise invalid(path + "rows", "must hold objects")
            ids.append(need_text(row, "id", 200, path + "rows."))
            need_text(row, "title", 24, path + "rows.")
            need_text(row, "description", 72, path + "rows.", required=False)
    if len(ids) > 10:
        raise invalid(path, "must hold at most 10 rows in total")
    _unique(ids, path + "rows.id")


def _unique(values: list[str], name: str) -> None:
    if len(set(values)) != len(values):
        raise invalid(name, "must be unique")


def _template(template: Json) -> None:
    need_text(template, "name", 512, "template.")
    need_text(need_object(template, "language", "template."), "code", 15, "template.language.")


def _location(location: Json) -> None:
    for name, most in (("latitude", 90), ("longitude", 180)):
        value = location.get(name)
        if value is None:
            raise missing(f"location.{name}")
        try:
            number = float(value) if not isinstance(value, bool) else None
        except (TypeError, ValueError):
            number = None
        if number is None or not -most <= number <= most:
            raise invalid(f"location.{name}", f"must be a number between -{most} and {most}")


def _media(kind: str) -> Callable[[Json], None]:
    def check(media: Json) -> None:
        if bool(media.get("id")) == bool(media.get("link")):
            raise invalid(kind, "must have either id or link")
        if media.get("link") and not str(media["link"]).startswith(("https://", "http://")):
            raise invalid(f"{kind}.link", "must be a public URL")
        if media.get("caption") is not None and kind in ("audio", "sticker"):
            raise invalid(f"{kind}.caption", "is not allowed")
        need_text(media, "caption", 1024, f"{kind}.", required=False)
        need_text(media, "filename", 240, f"{kind}.", required=False)

    return check


def _reaction(reaction: Json) -> None:
    need_text(reaction, "message_id", 512, "reaction.")
    emoji = reaction.get("emoji")
    if not isinstance(emoji, str) or len(emoji) > 16:
        raise invalid("reaction.emoji", "must be one emoji, or empty to take it back")


_CHECKS: dict[str, Callable[[Json], str | None]] = {
    "text": _text,
    "interactive": _interactive,
    "template": _template,
    "location": _location,
    "reaction": _reaction,
    "contacts": lambda _: None,
    **{kind: _media(kind) for kind in ("image", "video", "audio", "document", "sticker")},
}


def check_read_mark(body: Json) -> str:
    """Check a read mark and return the wamid that it names.

    Raises:
        MetaError: as the Graph API would.
    """
    if body.get("messaging_product") != "whatsapp":
        raise MetaError(100, "(#100) The parameter messaging_product is required.")
    if body.get("status") != "read":
        raise MetaError(100, "(#100) Param status must be one of {READ}.")
    if body.get("typing_indicator") is not None:
        indicator = need_object(body, "typing_indicator")
        if indicator.get("type") != "text":
            raise invalid("typing_indicator.type", "must be text")
    return need_text(body, "message_id", 512)
