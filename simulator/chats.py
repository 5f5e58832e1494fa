"""Everything that was said, in order: what patients wrote, what was sent to them, and every call of the Graph API.

Filled by `cloud_api` and `patients_writing`, read by the control API and the page. In memory, guarded by `changes`.
"""

from __future__ import annotations

import base64
import secrets
from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

Direction = Literal["to_clinic", "to_patient"]
MAX_CALLS = 100_000


def new_wamid() -> str:
    """Return an id as opaque and as long as Meta's."""
    return "wamid.HBgL" + base64.b64encode(secrets.token_hex(17).upper().encode()).decode()


@dataclass
class Message:
    """One message. `body` travelled: Meta's message object (to the clinic) or the POST's JSON."""

    seq: int
    direction: Direction
    patient: str
    wamid: str
    kind: str
    text: str  # what a person reads in it
    body: dict[str, Any]
    at: datetime
    delivery_id: str | None = None  # biz_opaque_callback_data
    statuses: list[dict[str, Any]] = field(default_factory=list)
    webhook: str = "pending"  # to the clinic: pending | retrying | accepted | gave_up
    webhook_attempts: int = 0
    webhook_status: int | None = None
    read: bool = False  # to the clinic: marked as read

    def to_json(self) -> dict[str, Any]:
        common: dict[str, Any] = {
            "seq": self.seq,
            "direction": self.direction,
            "patient": self.patient,
            "wamid": self.wamid,
            "kind": self.kind,
            "text": self.text,
            "at": self.at.isoformat(),
            "body": self.body,
        }
        if self.direction == "to_patient":
            return common | {"delivery_id": self.delivery_id, "statuses": list(self.statuses)}
        delivery = {"state": self.webhook, "attempts": self.webhook_attempts, "http_status": self.webhook_status}
        return common | {"webhook": delivery, "read": self.read}


class Chats:
    """Messages by order, by patient and by wamid."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.messages: list[Message] = []
        self.calls: deque[dict[str, Any]] = deque(maxlen=MAX_CALLS)
        self._by_patient: dict[str, list[Message]] = {}
        self._by_wamid: dict[str, Message] = {}
        self._call_seq = 0

    def add(
        self,
        direction: Direction,
        patient: str,
        wamid: str,
        kind: str,
        text: str,
        body: dict[str, Any],
        at: datetime,
        delivery_id: str | None = None,
    ) -> Message:
        message = Message(len(self.messages) + 1, direction, patient, wamid, kind, text, body, at, delivery_id)
        self.messages.append(message)
        self._by_patient.setdefault(patient, []).append(message)
        self._by_wamid[wamid] = message
        return message

    def add_call(self, **facts: Any) -> None:
        """Record one POST to the Graph API, accepted or not."""
        self._call_seq += 1
        self.calls.append({"seq": self._call_seq, **facts})

    def get(self, wamid: str) -> Message | None:
        return self._by_wamid.get(wamid)

    def of(self, patient: str) -> list[Message]:
        """Return the messages from and to one patient, oldest first."""
        return self._by_patient.get(patient, [])

    def select(
        self, patient: str | None = None, direction: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[Message]:
        """Return messages with a sequence number above `after`, oldest first, at most `limit`."""
        if patient is None:
            source = self.messages[after:]  # seq n stands at index n - 1
        else:
            source = [message for message in self.of(patient) if message.seq > after]
        return [message for message in source if direction in (None, message.direction)][:limit]

    def mark_read(self, message: Message) -> None:
        """Mark a message to the clinic, and those before it in the chat, as read."""
        for other in reversed(self.of(message.patient)):
            if other.direction == "to_clinic" and other.seq <= message.seq:
                if other.read:
                    break
                other.read = True
