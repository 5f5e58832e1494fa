"""Cloud API webhook JSON -> our own messages, delivery statuses, identity changes and account news (pure).

Called by `webhook.whatsapp` after the signature was checked. Walks all four levels of a batch (entries, changes,
messages, statuses) and never raises: what cannot be read costs only itself and is kept raw for replay.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from shared.identity import looks_like_user_id, message_id
from shared.messages import AccountNews, Identity, IdentityChange, Message, StatusUpdate
from webhook.contents import Unreadable, clean, number_of, part, read_content
from webhook.news import read_news

_OBJECT = "whatsapp_business_account"
_MAX_ID_BYTES = 512  # wamids are around 60 characters and may grow
_LAST_SECOND = 253_402_300_799  # end of the year 9999
_MAX_ODD = 50  # items kept apart of one body; with more of them the body is kept whole, once
# A mistake of ours, or a shape nobody thought of, must cost one item and not the batch.
_ODD = (ValueError, TypeError, LookupError, AttributeError, OverflowError)


@dataclass(frozen=True)
class Parsed:
    """One webhook body, read.

    `unreadable` holds bodies: each odd item in an envelope of its own, so that it can be parsed again after a fix; of a
    body with very many of them, the whole.
    `ignored` counts what was understood and needs nothing: other numbers, other fields, deletions.
    """

    messages: list[tuple[Identity, Message]] = field(default_factory=list)
    statuses: list[StatusUpdate] = field(default_factory=list)
    changes: list[IdentityChange] = field(default_factory=list)
    unreadable: list[object] = field(default_factory=list)
    ignored: int = 0
    news: list[AccountNews] = field(default_factory=list)


def parse(body: object, phone_number_id: str | None, key: bytes, received_at: dt.datetime) -> Parsed:
    """Read one webhook body of any shape.

    Args:
        body: the decoded JSON.
        phone_number_id: our number at Meta; items of another number are ignored. None accepts every number.
        key: PATIENT_ID_KEY, for the message ids.
        received_at: timezone-aware; stands in for timestamps that cannot be read.
    """
    reader = _Reader(phone_number_id, key, received_at)
    reader.read_body(body)
    unreadable = reader.unreadable if len(reader.unreadable) <= _MAX_ODD else [body]
    return Parsed(reader.messages, reader.statuses, reader.changes, unreadable, reader.ignored, reader.news)


class _Reader:
    def __init__(self, phone_number_id: str | None, key: bytes, received_at: dt.datetime) -> None:
        self.phone_number_id = phone_number_id
        self.key = key
        self.received_at = received_at
        self.messages: list[tuple[Identity, Message]] = []
        self.statuses: list[StatusUpdate] = []
        self.changes: list[IdentityChange] = []
        self.unreadable: list[object] = []
        self.ignored = 0
        self.news: list[AccountNews] = []

    def read_body(self, body: object) -> None:
        entries = body.get("entry") if isinstance(body, dict) else None
        if not isinstance(entries, list):
            self.unreadable.append(body)
            return
        for entry in entries:
            changes = entry.get("changes") if isinstance(entry, dict) else None
            if not isinstance(changes, list):
                self._set_aside([entry])
                continue
            for change in changes:
                self._read_change(change)

    def _read_change(self, change: object) -> None:
        value = change.get("value") if isinstance(change, dict) else None
        name = change.get("field", "messages") if isinstance(change, dict) else None
        if isinstance(name, str) and name != "messages":
            self._read_news(name, value)
        elif not isinstance(value, dict) or not isinstance(name, str):
            self._set_aside([{"changes": [change]}])
        elif self._is_for_another_number(value):
            self.ignored += 1
        else:
            contacts = _Contacts(value.get("contacts"))
            self._read_items("messages", value, lambda item: self._read_message(item, contacts))
            self._read_items("statuses", value, self._read_status)
            if "messages" not in value and "statuses" not in value:
                self.ignored += 1  # account-level errors

    def _read_news(self, name: str, value: object) -> None:
        """Template, account and quality news; what needs nothing or has an odd shape is only counted."""
        try:
            news = read_news(name, value)
        except _ODD:
            news = None
        if news is None:
            self.ignored += 1
        else:
            self.news.append(news)

    def _is_for_another_number(self, value: dict[str, Any]) -> bool:
        number_id = part(value, "metadata").get("phone_number_id")
        return self.phone_number_id is not None and number_id is not None and str(number_id) != self.phone_number_id

    def _read_items(self, name: str, value: dict[str, Any], read: Callable[[dict[str, Any]], None]) -> None:
        items = value.get(name, [])
        if not isinstance(items, list):
            self._keep(name, items, value)
            return
        for item in items:
            try:
                if not isinstance(item, dict):
                    raise Unreadable(f"{name}: an item that is no object")
                read(item)
            except _ODD:
                self._keep(name, [item], value)

    def _set_aside(self, entries: list[object]) -> None:
        """Keep what cannot be read in an envelope of its own; beyond _MAX_ODD it only counts that there are more."""
        if len(self.unreadable) <= _MAX_ODD:
            self.unreadable.append({"object": _OBJECT, "entry": entries})

    def _keep(self, name: str, items: object, value: dict[str, Any]) -> None:
        if len(self.unreadable) > _MAX_ODD:
            return
        context: dict[str, Any] = {k: value[k] for k in ("messaging_product", "metadata") if k in value}
        contacts = value.get("contacts")
        if isinstance(contacts, list) and len(contacts) == 1:  # a batch of thousands must not be copied for each item
            context["contacts"] = contacts
        change = {"field": "messages", "value": context | {name: items}}
        self._set_aside([{"changes": [change]}])

    def _read_message(self, raw: dict[str, Any], contacts: _Contacts) -> None:
        if raw.get("type") == "system":
            self._read_system(raw)
            return
        wamid = clean(raw.get("id"), _MAX_ID_BYTES)
        identity = contacts.complete(_identity(raw.get("from"), raw.get("from_user_id")))
        if not wamid or not (identity.number or identity.user_id):
            raise Unreadable("a message without id or sender")
        content = read_content(raw, identity.number)
        if content is None:
            self.ignored += 1
            return
        context = raw.get("context")
        message = Message(
            # The wamid alone: it is unique across numbers, and redeliveries repeat it.
            id=message_id(self.key, wamid),
            wamid=wamid,
            at=self._time(raw.get("timestamp")),
            received_at=self.received_at,
            forwarded=isinstance(context, dict)
            and (context.get("forwarded") is True or context.get("frequently_forwarded") is True),
            **content._asdict(),
        )
        self.messages.append((identity, message))

    def _read_system(self, raw: dict[str, Any]) -> None:
        system = part(raw, "system")
        after = _identity(system.get("wa_id") or system.get("new_wa_id"), system.get("user_id"))
        if system.get("type") == "customer_identity_changed" or not (after.number or after.user_id):
            self.ignored += 1  # a new security code; nobody changed their name
            return
        before = _identity(raw.get("from") or system.get("customer"), system.get("previous_user_id"))
        if not (before.number or before.user_id):
            raise Unreadable("an identity change that does not say whose")
        self.changes.append(IdentityChange(before=before, after=after))

    def _read_status(self, raw: dict[str, Any]) -> None:
        wamid = clean(raw.get("id"), _MAX_ID_BYTES)
        status = clean(raw.get("status"), 32)
        if not wamid or not status:
            raise Unreadable("a status without id or state")
        update = StatusUpdate(
            wamid=wamid,
            status=status,
            at=self._time(raw.get("timestamp")),
            delivery_id=clean(raw.get("biz_opaque_callback_data"), _MAX_ID_BYTES) or None,
            error_code=_error_code(raw.get("errors")),
        )
        self.statuses.append(update)

    def _time(self, raw: object) -> dt.datetime:
        """Seconds since 1970 as text or number (both are seen); anything else means: when it reached us."""
        if isinstance(raw, str) and raw.isascii() and raw.isdigit() and len(raw) <= 12:
            raw = int(raw)
        if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 < raw <= _LAST_SECOND:
            return dt.datetime.fromtimestamp(raw, dt.UTC)
        return self.received_at


class _Contacts:
    """`value.contacts`: completes a sender known by half. Indexed once, and only when a message needs it."""

    def __init__(self, raw: object) -> None:
        self.raw = raw if isinstance(raw, list) else []
        self._known: list[Identity] | None = None
        self._by_part: dict[str, Identity] = {}

    def complete(self, identity: Identity) -> Identity:
        if (identity.number and identity.user_id) or not self.raw:
            return identity
        if self._known is None:
            self._known = [_identity(c.get("wa_id"), c.get("user_id")) for c in self.raw if isinstance(c, dict)]
            for known in self._known:
                self._by_part |= {name: known for name in (known.number, known.user_id) if name}
        if not (identity.number or identity.user_id):  # only a lone contact can be taken for the sender
            return self._known[0] if len(self._known) == 1 else identity
        known = self._by_part.get(identity.user_id or identity.number or "", identity)
        return Identity(number=identity.number or known.number, user_id=identity.user_id or known.user_id)


def _identity(name: object, user_id: object) -> Identity:
    """Build from a `wa_id` or `from`, which may hold a user id instead, and a user id; either may be missing or odd."""
    chosen = next((v for v in (user_id, name) if isinstance(v, str) and looks_like_user_id(v)), None)
    return Identity(number=number_of(name), user_id=chosen)


def _error_code(errors: object) -> int | None:
    for error in errors if isinstance(errors, list) else []:
        code = error.get("code") if isinstance(error, dict) else None
        if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < 10:
            code = int(code)
        if isinstance(code, int) and not isinstance(code, bool):
            return code
    return None
