"""POST /chat: the same road and rules as WhatsApp for a caller that waits, such as n8n. Nothing is sent to Meta.

What the centre's old assistant was asked is understood as it was: `/chat` and `/chat/` without redirect, only the last
message counts, whatever its role, and its six fields are in every answer. New are the key and the 429.
Problems are RFC 9457 `application/problem+json`. A repeated request with the same `Idempotency-Key` is one message; its
answer says `Idempotency-Replayed: true`, so that whoever passes answers on does so once.
"""

from __future__ import annotations

import hmac
import json
import threading
import uuid
from datetime import UTC, datetime
from typing import Literal

import redis
from flask import Blueprint, Response, request
from pydantic import BaseModel, Field, ValidationError

from shared.identity import canonical_number, looks_like_user_id, message_id
from shared.messages import Channel, Identity, Message
from shared.settings import Settings
from shared.state import inbox
from shared.state.store import seal, unseal
from webhook.intake import Intake

WAIT_S = 25
LIMITED_WAIT_S = 3  # a danger sign is answered at once, also when the patient wrote too much
AT_ONCE = 8  # waiting callers per process: the other threads stay free for Meta


class ChatMessage(BaseModel):
    role: Literal["user", "assistant", "system"]
    content: str = Field(max_length=32_768)


class ChatRequest(BaseModel):
    user_id: str = Field(min_length=5, max_length=160)
    messages: list[ChatMessage] = Field(min_length=1, max_length=200)
    max_tokens: int | None = Field(default=None, ge=1, le=512)
    temperature: float | None = Field(default=None, ge=0, le=2)


def problem(status: int, title: str, detail: str = "", **headers: str) -> Response:
    """An RFC 9457 answer. `detail` never quotes what the patient wrote."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(json.dumps(body), status, headers=headers, mimetype="application/problem+json")


def without_key(settings: Settings) -> Response | None:
    """The refusal of a request that does not bring CHAT_API_KEY; None when it does."""
    if settings.CHAT_API_KEY is None:
        return problem(503, "disabled", "Set CHAT_API_KEY to use this route.")
    given = request.headers.get("Authorization", "").removeprefix("Bearer ").encode("utf-8", "replace")
    if hmac.compare_digest(given, settings.CHAT_API_KEY.get_secret_value().encode()):
        return None
    return problem(401, "unauthorized", "Send the key as 'Authorization: Bearer …'.")


def unreadable(error: ValidationError) -> Response:
    """Say which field is wrong, not what stood in it."""
    where = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors())
    return problem(422, "unreadable request", where)


def identity_of(user_id: str) -> Identity | None:
    """A phone number (`+591…`, `591…`, 8 digits) or a business-scoped user id; None if it is neither."""
    if number := canonical_number(user_id):
        return Identity(number=number)
    return Identity(user_id=user_id) if looks_like_user_id(user_id) else None


def new_message(asked: ChatRequest, key: bytes, idempotency_key: str | None) -> Message | None:
    """The last message as a Message, the turns before it as the seed of an empty history; None when it has no text."""
    *earlier, last = asked.messages
    if not last.content.strip():
        return None
    now = datetime.now(UTC)
    unique = f"chat:{asked.user_id}:{idempotency_key}" if idempotency_key else f"chat:{uuid.uuid4().hex}"
    seed = tuple((m.role, _clean(m.content)) for m in earlier if m.role != "system")
    return Message(
        id=message_id(key, unique),
        text=_clean(last.content),
        at=now,
        received_at=now,
        channel=Channel.CHAT,
        seed=seed[-12:],
        max_new_tokens=asked.max_tokens,
        temperature=asked.temperature,
    )


def _clean(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def blueprint(settings: Settings, intake: Intake, client: redis.Redis) -> Blueprint:
    """Routes of the chat interface."""
    routes = Blueprint("chat", __name__)
    seats = threading.BoundedSemaphore(AT_ONCE)

    @routes.post("/chat", strict_slashes=False)
    @routes.post("/chat/", strict_slashes=False)
    def chat() -> Response:
        if refused := without_key(settings):
            return refused
        try:
            asked = ChatRequest.model_validate_json(request.get_data(cache=False))
        except ValidationError as error:
            return unreadable(error)
        identity = identity_of(asked.user_id)
        if identity is None:
            return problem(422, "unreadable request", "user_id is neither a phone number nor a user id.")
        message = new_message(asked, settings.patient_id_key, request.headers.get("Idempotency-Key"))
        if message is None:
            return problem(422, "unreadable request", "The last of messages holds no text.")
        if not seats.acquire(blocking=False):
            return problem(503, "busy", "Too many callers wait; try again.", **{"Retry-After": "2"})
        try:
            patient = intake.accept([(identity, message)])[0]
            limited_s = inbox.held_back_s(client, patient, message.id, settings.RATE_LIMIT_PER_MINUTE)
            wait_s = min(WAIT_S, LIMITED_WAIT_S) if limited_s else WAIT_S
            waited = client.blpop([f"answer:{message.id}"], timeout=wait_s)
        except redis.RedisError:
            return problem(503, "state store unavailable", "Try again.", **{"Retry-After": "2"})
        finally:
            seats.release()
        if waited is None and limited_s:
            detail = "The message is kept; asked again with its Idempotency-Key, its answer is given once it is there."
            return problem(429, "too many messages of this patient", detail, **{"Retry-After": str(limited_s)})
        if waited is None:
            return problem(504, "no answer in time", "The message is kept and will be answered.")
        answer = json.loads(unseal(client, str(waited[1])))
        replayed = answer.pop("replayed", False)
        # Left for a repeated request with the same Idempotency-Key, which is told that it is one.
        client.rpush(f"answer:{message.id}", seal(client, json.dumps(answer | {"replayed": True})))
        client.expire(f"answer:{message.id}", 120)
        return Response(
            json.dumps({**answer, "user_id": asked.user_id, "conversation_id": patient}, ensure_ascii=False),
            headers={"Idempotency-Replayed": "true"} if replayed else {},
            mimetype="application/json",
        )

    return routes
