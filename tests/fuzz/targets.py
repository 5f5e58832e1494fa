"""What is fuzzed: each target takes bytes, feeds one of our functions, and holds what must be true of any input.

Used by `test_fuzz` (hypothesis, short, in `make test`) and `run` (atheris, `make fuzz`). A target raises when something
is wrong; `bounded` adds that no input may cost more than its time of the processor.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from shared.alerts import links
from shared.errors import UnreadablePrediction
from shared.identity import patient_id
from shared.messages import Message
from shared.prediction import Danger, Prediction
from shared.setting_values import parse_ladder, parse_opening_hours, parse_quiet_hours
from shared.settings import Settings
from shared.tagged import Tagged, original_words, parse_answer, write
from tests.fuzz.inputs import ODD_TEXTS, Choices, bodies, words
from tests.fuzz.store import store
from webhook.chat import ChatRequest, identity_of, new_message
from webhook.contents import MAX_TEXT_BYTES
from webhook.intake import as_kept, read_body
from webhook.parsing import parse
from webhook.whatsapp import is_signed
from workers.language.dates import resolve
from workers.language.slots import read as read_slots
from workers.safety.danger import default_rules
from workers.safety.guardrails import Facts, review, strip_control_tokens
from workers.safety.hostile import is_abuse, is_injection
from workers.understanding import understand

KEY = b"a key of the fuzzers"
NOW = dt.datetime(2026, 11, 23, 10, 30, tzinfo=ZoneInfo("America/La_Paz"))
SECRETS = (b"the app secret of the fuzzers", b"the one before")
STATES = (None, "agendar:fecha", "agendar:hora", "reprogramar:cual", "agendar:nombre", "cancelar:confirmar")


class TooSlow(AssertionError):
    """An input cost more than its bound."""


@dataclass(frozen=True)
class Target:
    """`inputs`: its part of a whole run. `bound_s`: processor seconds of one input, with atheris watching."""

    run: Callable[[bytes], None]
    inputs: int
    bound_s: float
    max_bytes: int = 4096

    def bounded(self, data: bytes) -> None:
        began = time.thread_time()
        self.run(data)
        took = time.thread_time() - began
        if took > self.bound_s:
            raise TooSlow(f"{took:.2f} s of the processor for {len(data)} bytes; at most {self.bound_s} s")


def webhook(data: bytes) -> None:
    """Any signed body: parsed without an exception, clean texts, and what is unreadable can be kept."""
    choices = Choices(data)
    body = json.dumps(choices.almost(choices.one_of(bodies()))).encode() if choices.number(4) else choices.rest()
    content = read_body(body)
    parsed = parse(content, "200000000000002" if len(data) % 2 else None, KEY, NOW)
    for identity, message in parsed.messages:
        assert identity.number or identity.user_id
        assert len(message.text.encode()) <= MAX_TEXT_BYTES
        assert "\x00" not in message.text
        assert Message.from_json(message.to_json()) == message
    for status in parsed.statuses:
        assert status.wamid
        assert status.status.encode()
    for item in parsed.unreadable:
        assert as_kept(item, body)


def signature(data: bytes) -> None:
    """Only the HMAC under one of our secrets passes, whatever stands in the header."""
    choices = Choices(data)
    how, place, sign = choices.number(4), choices.number(64), choices.number(256)
    body = choices.rest()
    right = hmac.new(SECRETS[how % 2], body, hashlib.sha256).hexdigest()
    assert is_signed(body, f"sha256={right}", SECRETS)
    assert not is_signed(body + b" ", f"sha256={right}", SECRETS)
    assert not is_signed(body, f"sha256={right}", ())
    changed = right[:place] + chr(sign) + right[place + 1 :]
    assert is_signed(body, f"sha256={changed}", SECRETS) is (changed.lower() == right)
    header = body[:80].decode("utf-8", "replace") if how < 2 else body[:80].decode("latin-1")
    assert not is_signed(body, header, SECRETS)
    assert not is_signed(body, f"sha256={header}"[:71], SECRETS)


def dates(data: bytes) -> None:
    """Any text: dates and times without an exception, in valid forms, and the spans are the patient's own words."""
    choices = Choices(data)
    state, moving = choices.one_of(STATES), choices.number(2) == 1
    text = choices.text()
    expects = state.partition(":")[2] if state else None
    when = resolve(text, NOW, expects=expects, moving=moving)
    for time_ in (when.time, when.old_time):
        assert time_ is None or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", time_), time_
    for span in (when.date_span, when.time_span, when.old_date_span, when.old_time_span):
        assert span is None or span in text, span
    for date in (when.date, when.old_date):
        assert date is None or abs((date - NOW.date()).days) <= 1100, date
    slots = read_slots(text, NOW, expects=expects, moving=moving).slots
    assert slots.appointment_ref is None or re.fullmatch(r"CC-\d{4}", slots.appointment_ref)


def danger(data: bytes) -> None:
    """Any text: the search ends without an exception and always says the same of the same text."""
    text = Choices(data).text()
    found = default_rules().search(text)
    assert found is None or isinstance(found, Danger)
    assert default_rules().broken is None


def answer(data: bytes) -> None:
    """Whatever a model writes: read, a bare reply, or UnreadablePrediction. What was read is written and read again."""
    choices = Choices(data)
    text = _model_text(choices)
    try:
        found = parse_answer(text)
    except UnreadablePrediction:
        return
    if isinstance(found, str):
        assert found.strip() == found != ""
        return
    spans = {slot: " ".join(span.replace("<", "").split()) for slot, span in found.spans.items()}
    clean = Tagged(found.intent, found.danger, found.secondary, {k: v for k, v in spans.items() if v}, found.reason)
    assert parse_answer(write(clean)) == clean
    for span in found.spans.values():
        assert isinstance(original_words(text, span), str)


def _model_text(choices: Choices) -> str:
    kind = choices.number(4)
    if kind == 0:
        return choices.text()
    if kind == 1:
        return json.dumps(choices.almost(_JSON_ANSWER), ensure_ascii=False)
    pieces = [choices.one_of(_INTENTS), choices.one_of(("<d:0>", "<d:1>"))] if kind == 2 else []
    while choices.left > 0 and len(pieces) < 40:
        pieces.append(choices.one_of(_TAGS) if choices.number(3) else choices.text(2))
    return "".join(pieces)


_JSON_ANSWER = {
    "intent": "agendar_cita",
    "danger": False,
    "secondary": ["baja"],
    "spans": {"date": "lunes"},
    "reply": "x",
}
_INTENTS = ("<i:agendar_cita>", "<i:baja>", "<i:urgencia>", "<i:nada>")
_TAGS = (
    "<i:agendar_cita>", "<i:baja>", "<i:urgencia>", "<d:0>", "<d:1>", "<j:saludo>", "<s:date>", "<s:time>", "<s:name>",
    "<s:reason>", "<m:control>", "<rsp>", "<|endoftext|>", "```json", "```", " lunes", " 10", "<", ">", "<s:", "\n",
)  # fmt: skip


def prediction(data: bytes) -> None:
    """JSON of predictions and messages as Redis could give them back: read, or ValidationError."""
    choices = Choices(data)
    of = choices.number(2)
    example = _PREDICTION if of else _MESSAGE
    text = json.dumps(choices.almost(example)) if choices.number(3) else choices.rest().decode("utf-8", "replace")
    try:
        found: Any = Prediction.model_validate_json(text) if of else Message.from_json(text)
    except ValidationError:
        return
    assert type(found).model_validate_json(found.model_dump_json()) == found


_PREDICTION = {
    "intent": "agendar_cita", "confidence": 0.9, "secondary": ["baja"],
    "danger": {"category": "vision", "level": "emergencia"}, "source": "model",
    "slots": {"date": "2026-11-24", "time": "10:00", "appointment_ref": "CC-0001", "reason": "control"},
}  # fmt: skip
_MESSAGE = {
    "id": "m_1",
    "text": "hola",
    "at": "2026-11-23T10:00:00Z",
    "received_at": "2026-11-23T10:00:01Z",
    "seed": [["user", "x"]],
}


def settings(data: bytes) -> None:
    """Any environment: settings, or ValidationError with a sentence; the words of a setting: read, or ValueError."""
    choices = Choices(data)
    given: dict[str, Any] = {}
    names = tuple(Settings.model_fields)
    for _ in range(choices.number(4) + 1):
        value = choices.one_of(_SETTING_WORDS) + (choices.text(3) if choices.number(2) else "")
        given[choices.one_of(names)] = value
    try:
        found = Settings(_env_file=None, _secrets_dir=None, **given)
    except ValidationError as error:
        if not error.errors():
            raise
    else:
        assert found.redis_url
        assert found.broker_url
        assert found.timezone
        assert isinstance(found.app_secrets, tuple)
        assert str(found.PATIENT_ID_KEY) in ("None", "**********")
    text = choices.one_of(_SETTING_WORDS) + choices.text(8)
    for read in (parse_opening_hours, parse_quiet_hours, parse_ladder):
        try:
            read(text)
        except ValueError as error:
            if not str(error):
                raise


_SETTING_WORDS = (
    "", "mon-fri 08:00-12:00", "sat 08:00-12:00; sun", "mon-fri", "21-7", "0 email slack; 5 a@b.c", "redis://:x@h:1/0",
    "sentinel://a:1,b/m", "amqp://[", "https://", "true", "user:password", "INFO", "America/La_Paz", "../../etc/passwd",
    "1e9", "-1", "NaN", "v1.0", "auto", "{}",
)  # fmt: skip


def chat(data: bytes) -> None:
    """Any body of POST /chat: a message, a refusal, or ValidationError."""
    choices = Choices(data)
    body = json.dumps(choices.almost(_CHAT)).encode("utf-8", "surrogatepass") if choices.number(4) else choices.rest()
    try:
        asked = ChatRequest.model_validate_json(body)
    except ValidationError:
        return
    identity = identity_of(asked.user_id)
    if identity is not None:
        assert patient_id(KEY, identity.user_id or identity.number or "")
    message = new_message(asked, KEY, asked.user_id if len(body) % 2 else None)
    if message is not None:
        assert Message.from_json(message.to_json()) == message
        assert len(message.seed) <= 12


_CHAT = {
    "user_id": "+59170000001", "max_tokens": 20, "temperature": 0.5,
    "messages": [{"role": "system", "content": "x"}, {"role": "user", "content": "hola"}],
}  # fmt: skip


def language(data: bytes) -> None:
    """A whole turn without a model, and the last look at a reply: no exception, and nothing grows."""
    choices = Choices(data)
    state = choices.one_of(STATES)
    text = choices.text()
    bare = strip_control_tokens(text)
    assert strip_control_tokens(bare) == bare
    is_injection(text)
    is_abuse(text)
    assert 0 <= understand(bare, NOW, state, lambda _: None).confidence <= 1
    assert review(text, _facts()) is None or text.strip() == "" or isinstance(review(text, _facts()), str)


@functools.cache
def _facts() -> Facts:
    return Facts(("Calle 1", "lunes a viernes de 08:00 a 12:00; sábado", "+591 3 000 0000"), (" ".join(words()[-60:]),))


def tokens(data: bytes) -> None:
    """Links in danger alerts: nothing is read but what we signed (a signature may be spelt in more than one way)."""
    choices = Choices(data)
    settings_ = _signing()
    right = links.token(settings_, "a_1", "email")
    place = choices.number(len(right))
    wrong = right[:place] + choices.one_of(ODD_TEXTS) + right[place + choices.number(3) :]
    for text in (wrong, choices.rest().decode("utf-8", "replace"), right + wrong):
        assert links.read(settings_, text) in (None, ("a_1", "email"))


@functools.cache
def _signing() -> Settings:
    return Settings(_env_file=None, DEMO=True, PATIENT_ID_KEY=KEY.decode())


TARGETS: dict[str, Target] = {
    "webhook": Target(webhook, 250_000, 0.5, max_bytes=1024),
    "signature": Target(signature, 200_000, 0.2),
    "dates": Target(dates, 60_000, 1.0, max_bytes=512),
    "danger": Target(danger, 100_000, 1.0, max_bytes=512),
    "answer": Target(answer, 220_000, 0.5, max_bytes=512),
    "prediction": Target(prediction, 50_000, 0.5, max_bytes=512),
    "settings": Target(settings, 25_000, 0.5, max_bytes=512),
    "chat": Target(chat, 55_000, 0.5, max_bytes=512),
    "language": Target(language, 20_000, 2.0, max_bytes=512),
    "tokens": Target(tokens, 10_000, 0.2, max_bytes=512),
    "store": Target(store, 10_000, 1.0, max_bytes=512),
}
