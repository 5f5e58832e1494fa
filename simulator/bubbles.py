"""Messages as a person reads them: one line of text, and the bubble that the page draws. Pure."""

from __future__ import annotations

from typing import Any

from simulator.chats import Message
from simulator.meta_errors import MetaError
from simulator.templates import Templates, render

Json = dict[str, Any]

_NAMES = {
    "image": "Foto",
    "video": "Video",
    "audio": "Audio",
    "document": "Documento",
    "sticker": "Sticker",
    "location": "Ubicación",
    "contacts": "Contacto",
    "unsupported": "Mensaje no compatible",
    "system": "Aviso de WhatsApp",
}


def incoming_text(message: Json) -> str:
    """Return what a person reads in one of Meta's message objects."""
    kind = str(message.get("type", ""))
    content = message.get(kind)
    content = content if isinstance(content, dict) else {}
    if kind == "text":
        return str(content.get("body", ""))
    if kind == "interactive":
        reply = content.get(str(content.get("type")))
        return str(reply.get("title", "")) if isinstance(reply, dict) else ""
    if kind == "button":
        return str(content.get("text", ""))
    if kind == "reaction":
        return str(content.get("emoji", ""))
    if kind == "edit":
        return str(content.get("message", {}).get("text", {}).get("body", ""))
    if kind == "audio":
        return "Nota de voz" if content.get("voice") else "Audio"
    return str(content.get("caption") or content.get("name") or _NAMES.get(kind, kind))


def outgoing_text(body: Json, templates: Templates) -> str:
    """Return what the patient reads in a send that was accepted."""
    kind = str(body.get("type", "text"))
    if kind == "contacts":
        return _NAMES["contacts"]
    content: Json = body[kind]
    if kind == "text":
        return str(content["body"])
    if kind == "interactive":
        return str(content["body"]["text"])
    if kind == "template":
        return render(templates.get(content), content)[0]
    if kind == "reaction":
        return str(content["emoji"])
    return str(content.get("caption") or content.get("name") or content.get("filename") or _NAMES.get(kind, kind))


def bubble(message: Message, templates: Templates) -> Json:
    """Return what the page needs to draw a message. `side`: `out` is written by the patient, `in` by the clinic."""
    common: Json = {
        "seq": message.seq,
        "wamid": message.wamid,
        "kind": message.kind,
        "text": message.text,
        "at": message.at.isoformat(),
        "side": "out" if message.direction == "to_clinic" else "in",
        "tick": _tick(message),
    }
    kind = str(message.body.get("type", "text"))
    content = message.body.get(kind)
    if isinstance(content, dict):
        if kind in ("image", "video", "audio", "document", "sticker"):
            common["media"] = {key: content.get(key) for key in ("caption", "filename", "voice")} | {"kind": kind}
        if kind == "location":
            common["location"] = {key: content.get(key) for key in ("latitude", "longitude", "name", "address")}
    if message.direction == "to_clinic":
        context = message.body.get("context")
        return common | {"quotes": context.get("id") if isinstance(context, dict) else None}
    failed = next((status.get("code") for status in message.statuses if status["status"] == "failed"), None)
    return common | {"error": failed, "delivery_id": message.delivery_id} | _choices(message, templates)


def _choices(message: Message, templates: Templates) -> Json:
    if message.kind == "template":
        send = message.body["template"]
        try:
            buttons = render(templates.get(send), send)[1]
        except MetaError:  # the template was replaced since
            return {}
        return {"buttons": [{"kind": "button", "id": b["payload"], "title": b["text"]} for b in buttons]}
    interactive = message.body.get("interactive")
    if not isinstance(interactive, dict):
        return {}
    action = interactive["action"]
    extra: Json = {
        "footer": (interactive.get("footer") or {}).get("text"),
        "header": (interactive.get("header") or {}).get("text"),
    }
    if interactive["type"] == "button":
        replies = [button["reply"] for button in action["buttons"]]
        extra["buttons"] = [{"kind": "button_reply", "id": r["id"], "title": r["title"]} for r in replies]
    elif interactive["type"] == "list":
        extra["list"] = {"label": action["button"], "sections": action["sections"]}
    elif interactive["type"] == "request_contact_info":
        extra["asks_contact"] = True
    elif interactive["type"] == "location_request_message":
        extra["asks_location"] = True
    elif interactive["type"] == "cta_url":
        extra["link"] = action["parameters"]
    return extra


def _tick(message: Message) -> str:
    if message.direction == "to_clinic":
        if message.read:
            return "read"
        states = {"pending": "pending", "retrying": "sent", "accepted": "delivered", "gave_up": "failed"}
        return states[message.webhook]
    ranks = {"sent": 1, "delivered": 2, "read": 3, "played": 4}
    best = max((status["status"] for status in message.statuses), key=lambda s: ranks.get(s, 0), default="pending")
    if any(status["status"] == "failed" for status in message.statuses) and ranks.get(best, 0) < 2:
        return "failed"  # a failure after `delivered` is ignored
    return "read" if best == "played" else str(best)
