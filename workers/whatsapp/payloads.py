"""Reply -> Cloud API body: text, buttons, list, template, location, media, contact request, and their limits (pure).

Called by `workers.deliver`. Meta refuses over-long or empty fields (131009, 100), so everything is cut to its limit.
Source of shapes and limits: Meta, WhatsApp Business Platform, "Messages" reference.
"""

from __future__ import annotations

import math
import re
from typing import Any

from shared.errors import PartnerRefused
from shared.messages import Button, Identity, ListRow, Location, Media, Reply, Template
from workers.whatsapp.lengths import one_line, sayable, shorten, trim_at_sentence

MAX_TEXT = 4096
MAX_BUTTONS_BODY = 1024
MAX_CAPTION = 1024
MAX_BUTTONS, MAX_BUTTON_TITLE, MAX_BUTTON_ID = 3, 20, 256
MAX_ROWS, MAX_ROW_TITLE, MAX_ROW_DESCRIPTION, MAX_ROW_ID, MAX_LIST_LABEL = 10, 24, 72, 200, 20
MAX_PARAMETER = 256  # the whole body may have 1024
MAX_CALLBACK_DATA = 512
CHOOSE = "Elija una opción:"
OPEN_LIST = "Ver opciones"
ASK_CONTACT = "Para atenderle necesito su número de teléfono. Toque el botón para compartirlo."

Body = dict[str, Any]


def build(reply: Reply, to: Identity, delivery_id: str) -> Body:
    """Build the body of `POST /{phone_number_id}/messages`.

    More than three buttons become a list. A button that cannot be sent (no title, an id that is too long or already
    used) is left out: the text still reaches the patient. The text of a location stands as its name, that of a
    picture or document as its caption, if they have none of their own.

    Args:
        reply: what we say; at most one of buttons, rows, template, location, media, asks_contact.
        to: number or user id of the patient; the number is preferred, as every kind of message can go to it.
        delivery_id: returned by Meta in each status of this message.

    Raises:
        PartnerRefused: there is nobody to send to or nothing to say; the same reply fails for ever.
    """
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        **_address(to),
        **_content(reply),
        "biz_opaque_callback_data": delivery_id[:MAX_CALLBACK_DATA],
    }


def read_mark(wamid: str, typing: bool) -> Body:
    """Build the body that marks a message as read; `typing` shows "escribiendo…" until our reply or for 25 s."""
    body: Body = {"messaging_product": "whatsapp", "status": "read", "message_id": wamid}
    return body | {"typing_indicator": {"type": "text"}} if typing else body


def _address(to: Identity) -> Body:
    if to.number:
        # Without the plus Meta puts its own country code in front, and somebody else may get the message.
        return {"to": "+" + to.number}
    if to.user_id:
        return {"recipient": to.user_id}
    raise PartnerRefused("no number and no user id to send to", code="no_address")


def _content(reply: Reply) -> Body:
    if reply.template:
        return {"type": "template", "template": _template(reply.template)}
    if reply.location:
        return {"type": "location", "location": _location(reply.location, reply.text)}
    if reply.media:
        return {"type": reply.media.kind, reply.media.kind: _media(reply.media, reply.text)}
    if reply.asks_contact:
        body = trim_at_sentence(sayable(reply.text), MAX_BUTTONS_BODY) or ASK_CONTACT
        return _interactive("request_contact_info", body, {"name": "request_contact_info"})
    if reply.rows or len(reply.buttons) > MAX_BUTTONS:
        rows = _rows(reply.rows or tuple(ListRow(id=button.id, title=button.title) for button in reply.buttons))
        if rows:
            label = shorten(one_line(reply.rows_label), MAX_LIST_LABEL) or OPEN_LIST
            body = trim_at_sentence(sayable(reply.text), MAX_TEXT) or CHOOSE
            return _interactive("list", body, {"button": label, "sections": [{"rows": rows}]})
    elif reply.buttons and (buttons := _buttons(reply.buttons)):
        body = trim_at_sentence(sayable(reply.text), MAX_BUTTONS_BODY) or CHOOSE
        return _interactive("button", body, {"buttons": buttons})
    return {"type": "text", "text": {"preview_url": False, "body": _text(reply.text)}}


def _text(text: str) -> str:
    body = trim_at_sentence(sayable(text), MAX_TEXT)
    if not body:
        raise PartnerRefused("the reply has no text", code="empty_reply")
    return body


def _interactive(kind: str, body: str, action: Body) -> Body:
    return {"type": "interactive", "interactive": {"type": kind, "body": {"text": body}, "action": action}}


def _buttons(buttons: tuple[Button, ...]) -> list[Body]:
    built: list[Body] = []
    titles: set[str] = set()
    ids: set[str] = set()
    for button in buttons:
        title = shorten(one_line(button.title), MAX_BUTTON_TITLE)
        if not _is_usable(button.id, title, ids, MAX_BUTTON_ID):
            continue
        for number in range(2, MAX_BUTTONS + 1):  # titles must differ, also after the cut
            if title in titles:
                title = f"{shorten(one_line(button.title), MAX_BUTTON_TITLE - 2)} {number}"
        titles.add(title)
        ids.add(button.id)
        built.append({"type": "reply", "reply": {"id": button.id, "title": title}})
    return built


def _rows(rows: tuple[ListRow, ...]) -> list[Body]:
    built: list[Body] = []
    ids: set[str] = set()
    for row in rows:
        title = shorten(one_line(row.title), MAX_ROW_TITLE)
        if not _is_usable(row.id, title, ids, MAX_ROW_ID):
            continue
        ids.add(row.id)
        description = shorten(one_line(row.description), MAX_ROW_DESCRIPTION)
        built.append({"id": row.id, "title": title} | ({"description": description} if description else {}))
    return built[:MAX_ROWS]


def _is_usable(choice_id: str, title: str, taken: set[str], max_id: int) -> bool:
    # An id is never cut: the tap would come back with a name that we do not know.
    return bool(title) and choice_id not in taken and 0 < len(choice_id) <= max_id and sayable(choice_id) == choice_id


def _template(template: Template) -> Body:
    """Named parameters, or positional ones when their names are 1, 2, 3… (the template's own format decides)."""
    components: list[Body] = []
    if template.parameters:
        positional = all(name.isdigit() for name in template.parameters)
        items = list(template.parameters.items())
        if positional:
            items.sort(key=lambda item: int(item[0]))
        components.append({"type": "body", "parameters": [_parameter(*item, positional) for item in items]})
    for index, payload in enumerate(template.payloads):
        parameters = [{"type": "payload", "payload": sayable(payload)}]
        components.append({"type": "button", "sub_type": "quick_reply", "index": str(index), "parameters": parameters})
    body: Body = {"name": template.name, "language": {"code": template.language}}
    return body | {"components": components} if components else body


def _parameter(name: str, value: str, positional: bool) -> Body:
    # Meta refuses new lines, runs of spaces and empty values in a parameter.
    text = shorten(one_line(value), MAX_PARAMETER) or "-"
    return {"type": "text", "text": text} if positional else {"type": "text", "parameter_name": name, "text": text}


def _location(location: Location, text: str) -> Body:
    if not (math.isfinite(location.latitude) and math.isfinite(location.longitude)):
        raise PartnerRefused("a location that is nowhere", code="bad_location")
    if abs(location.latitude) > 90 or abs(location.longitude) > 180:
        raise PartnerRefused("a location that is nowhere", code="bad_location")
    body: Body = {"latitude": location.latitude, "longitude": location.longitude}
    words = {"name": one_line(location.name) or one_line(text), "address": one_line(location.address)}
    return body | {key: shorten(value, MAX_CAPTION) for key, value in words.items() if value}


def _media(media: Media, text: str) -> Body:
    if media.kind not in ("image", "document") or bool(media.link) == bool(media.media_id):
        raise PartnerRefused("media must be an image or a document, by link or by id", code="bad_media")
    body: Body = {"id": media.media_id} if media.media_id else {"link": media.link}
    caption = trim_at_sentence(sayable(media.caption or text), MAX_CAPTION)
    filename = re.sub(r"[\\/]", "-", one_line(media.filename)) if media.kind == "document" else ""
    return body | {key: value for key, value in (("caption", caption), ("filename", filename)) if value}
