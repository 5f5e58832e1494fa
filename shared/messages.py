"""The data that crosses a process boundary: messages in, replies out, delivery states.

Built by `webhook` (in) and `workers` (out), kept as JSON in Redis by `shared.state`. Frozen: nobody edits a message.
Neither patient ids nor message ids can be turned back into a number: both are keyed hashes (`shared.identity`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field


class Frozen(BaseModel):
    """Immutable record, compact JSON: unset defaults are not written."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_json(self) -> str:
        return self.model_dump_json(exclude_defaults=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        return cls.model_validate_json(text)


class Channel(StrEnum):
    WHATSAPP = "whatsapp"
    CHAT = "chat"  # POST /chat: the caller waits for the reply, nothing is sent to Meta


class MessageKind(StrEnum):
    """What a patient can send, reduced to what changes our answer."""

    TEXT = "text"  # text, edited text, template quick reply without payload
    CHOICE = "choice"  # a tapped button or list row: `choice_id` says which
    MEDIA = "media"  # voice note, image, video, document, sticker: `media` says which
    LOCATION = "location"
    CONTACTS = "contacts"  # shared contact cards; `contact_phone` when it is the patient's own number
    REACTION = "reaction"  # an emoji on one of our messages; never answered
    UNSUPPORTED = "unsupported"  # anything else that a person sent


class Message(Frozen):
    """One thing a patient sent. Which patient is said by the inbox it lies in.

    `text` holds everything that can be searched for danger signs: body, caption, file name, button title,
    location name, edited text, joined by a new line; "" when there is none.
    """

    id: str
    kind: MessageKind = MessageKind.TEXT
    text: str = ""
    at: datetime  # when the patient wrote it (Meta's timestamp), timezone-aware
    received_at: datetime  # when our webhook took it
    channel: Channel = Channel.WHATSAPP
    wamid: str = ""  # Meta's id, for the read mark; never logged: it encodes a phone number
    choice_id: str | None = None
    media: str | None = None  # image | video | audio | voice | document | sticker
    contact_phone: str | None = None  # digits with country code
    forwarded: bool = False
    seed: tuple[tuple[str, str], ...] = ()  # earlier (role, text) turns of POST /chat for an empty history
    max_new_tokens: int | None = None  # wishes of POST /chat
    temperature: float | None = None
    trace: str = ""  # W3C traceparent of its acceptance (`shared.tracing`)


class Button(Frozen):
    """A reply button: `title` at most 20 characters, `id` at most 256 and unique in its reply."""

    id: str
    title: str


class ListRow(Frozen):
    """A row of a list message: `title` at most 24 characters, `description` at most 72."""

    id: str
    title: str
    description: str = ""


class Template(Frozen):
    """An approved template with named parameters and quick-reply payloads, for use outside the 24 h window."""

    name: str
    language: str
    parameters: dict[str, str] = {}
    payloads: tuple[str, ...] = ()


class Location(Frozen):
    latitude: float
    longitude: float
    name: str = ""
    address: str = ""


class Media(Frozen):
    """A picture or document by public link or uploaded id: exactly one of the two."""

    kind: str  # image | document
    link: str | None = None
    media_id: str | None = None
    caption: str = ""
    filename: str = ""


class Reply(Frozen):
    """What we say, before it becomes a Cloud API body. At most one of buttons, rows, template, location, media."""

    text: str = ""
    buttons: tuple[Button, ...] = ()
    rows: tuple[ListRow, ...] = ()
    rows_label: str = ""  # label that opens the list, at most 20 characters
    template: Template | None = None
    location: Location | None = None
    media: Media | None = None
    asks_contact: bool = False  # WhatsApp's request for the patient's number (patients known by user id only)


class DeliveryKind(StrEnum):
    """Decides what happens to a send whose outcome is unknown (docs/reliability.md)."""

    REPLY = "reply"  # sent once more while Meta works: lost is worse than double
    DANGER = "danger"  # sent again: goes first
    REMINDER = "reminder"  # never repeated: goes on the call list
    NOTICE = "notice"  # "we are still here": never repeated, dropped as soon as an answer follows


class ReminderKind(StrEnum):
    AHEAD = "ahead"  # REMINDER_HOURS_AHEAD before the visit
    SAME_DAY = "same_day"  # REMINDER_SAME_DAY_HOURS before it
    MISSED_1 = "missed_1"  # the day after a missed visit
    MISSED_2 = "missed_2"  # two days later, if it was not booked again


class ReminderOf(Frozen):
    """The visit that a reminder is about: it is looked up again before it is sent. Times are aware."""

    appointment_id: str
    start: datetime
    kind: ReminderKind
    due: datetime  # not before
    until: datetime  # later it is of no use


class Delivery(Frozen):
    """One outgoing message in a patient's outbox. `id` is also Meta's `biz_opaque_callback_data`."""

    id: str
    kind: DeliveryKind = DeliveryKind.REPLY
    reply: Reply
    created_at: datetime
    asked_at: datetime | None = None  # when the burst that it answers ended: where the patient's waiting began
    expires_at: datetime | None = None  # the patient's 24 h window: after it only a template may be sent
    covers: tuple[str, ...] = ()  # ids of the messages this reply answers
    apology: bool = False  # says that we gave up; written at most once per message
    reminder_of: ReminderOf | None = None
    through_handoff: bool = False  # may be sent although a person has the patient; other replies are then dropped
    trace: str = ""  # W3C traceparent of the turn that wrote it


class DeliveryState(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"  # may have been sent: crash or timeout while sending
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"  # not wanted any more: a person took the patient over, a visit was moved


class StatusUpdate(Frozen):
    """A delivery status from Meta: sent, delivered, read, played or failed."""

    wamid: str
    status: str
    at: datetime
    delivery_id: str | None = None  # our id, as Meta returned it
    error_code: int | None = None


class Identity(Frozen):
    """How Meta names a person: a phone number, a business-scoped user id (BSUID), or both. Never leaves Redis."""

    number: str | None = None  # digits with country code, no plus
    user_id: str | None = None  # BSUID such as BO.1349120865530274


class IdentityChange(Frozen):
    """A patient's number or BSUID was replaced (Meta's `system` messages)."""

    before: Identity
    after: Identity = Field(default_factory=Identity)


class NewsKind(StrEnum):
    TEMPLATE_STATUS = "template_status"
    TEMPLATE_QUALITY = "template_quality"
    TEMPLATE_CATEGORY = "template_category"
    NUMBER_QUALITY = "number_quality"
    ACCOUNT = "account"
    ACCOUNT_ALERT = "account_alert"
    CAPABILITY = "capability"


class AccountNews(Frozen):
    """What Meta tells of our templates, number or account. No patient is in it."""

    kind: NewsKind
    subject: str = ""  # template name, or the last digits of our number
    state: str  # Meta's word for what it is now, in capitals
