"""The people who hold a phone: with a number, with a business-scoped user id (BSUID), or with both.

whatsapp-cloud-api.md section 5. Kept in memory; guarded by the lock in `changes`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

BSUID = re.compile(r"^[A-Z]{2}\.(ENT\.)?[0-9A-Za-z]{1,128}$")
NUMBER = re.compile(r"^[1-9]\d{6,14}$")  # digits of E.164, without the plus

NEVER = datetime.fromtimestamp(0, UTC)
IdentityKind = Literal["both", "number", "user_id"]


@dataclass
class Patient:
    """One person. `id` never changes inside the simulator, whatever happens to number and BSUID."""

    id: str
    name: str
    number: str | None  # digits, no plus; None = not shared with the business
    user_id: str | None  # BSUID
    username: str | None = None
    on_whatsapp: bool = True  # False: sends to this number end as `failed` 131026
    phone_on: bool = True  # False: nothing beyond `sent`
    read_receipts: bool = True  # False: `read` never comes
    wrote_at: datetime | None = None  # timestamp of the last message that opens the 24 h window
    wrote_by_wall_clock: bool = True  # False: that timestamp was chosen by a test
    typing_until: datetime = NEVER

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            "number": f"+{self.number}" if self.number else None,
            "user_id": self.user_id,
            "username": self.username,
            "on_whatsapp": self.on_whatsapp,
            "phone_on": self.phone_on,
            "read_receipts": self.read_receipts,
            "wrote_at": self.wrote_at.isoformat() if self.wrote_at else None,
        }


def made_up_user_id(seed: str) -> str:
    """Return a BSUID that is always the same for the same seed."""
    return f"BO.{int(hashlib.sha256(seed.encode()).hexdigest(), 16) % 10**16:016d}"


class People:
    """Finds a patient by simulator id, number (with or without plus) or BSUID."""

    def __init__(self) -> None:
        self._by_id: dict[str, Patient] = {}
        self._by_number: dict[str, Patient] = {}
        self._by_user_id: dict[str, Patient] = {}

    def __iter__(self) -> Iterator[Patient]:
        return iter(list(self._by_id.values()))

    def get(self, patient_id: str) -> Patient | None:
        return self._by_id.get(patient_id)

    def find(self, key: str) -> Patient | None:
        digits = re.sub(r"[\s+()-]", "", key)
        return self._by_user_id.get(key) or self._by_number.get(digits) or self._by_id.get(key)

    def add(
        self,
        number: str | None = None,
        name: str = "",
        user_id: str | None = None,
        identity: IdentityKind = "both",
        username: str | None = None,
    ) -> Patient:
        """Add a patient.

        Args:
            number: digits with country code, a plus is dropped.
            user_id: BSUID; made up from the number or name when absent and `identity` asks for one.
            identity: what the business learns of this person.

        Raises:
            ValueError: if number or BSUID is malformed, already known, or missing.
        """
        digits = re.sub(r"[\s+()-]", "", number) if number else None
        if digits is not None and not NUMBER.match(digits):
            raise ValueError("number must be digits with country code, such as +59170000001")
        if identity == "user_id":
            digits = None
        elif digits is None and user_id is None:
            raise ValueError("a patient needs a number, or a user_id, or identity user_id")
        if user_id is None and identity != "number":
            user_id = made_up_user_id(digits or f"{name}{len(self._by_id)}")
        if user_id is not None and not BSUID.match(user_id):
            raise ValueError("user_id must look like BO.1349120865530274")
        if (digits is not None and digits in self._by_number) or (user_id is not None and user_id in self._by_user_id):
            raise ValueError("that number or user_id already belongs to a patient")
        patient_id = digits or user_id
        if patient_id is None:
            raise ValueError("identity number needs a number")
        patient = Patient(patient_id, name, digits, user_id, username)
        self._by_id[patient.id] = patient
        self._index(patient)
        return patient

    def find_or_add(self, key: str, name: str = "") -> Patient:
        """Return the patient, adding an unknown number or BSUID: whoever has WhatsApp can be written to.

        Raises:
            ValueError: if `key` is neither.
        """
        found = self.find(key)
        if found is not None:
            return found
        return self.add(user_id=key, name=name) if BSUID.match(key) else self.add(number=key, name=name)

    def change(self, patient: Patient, number: str | None, user_id: str | None) -> None:
        """Give a patient a new number and BSUID (None = none)."""
        self._by_number = {key: other for key, other in self._by_number.items() if other is not patient}
        self._by_user_id = {key: other for key, other in self._by_user_id.items() if other is not patient}
        patient.number, patient.user_id = number, user_id
        self._index(patient)

    def clear(self) -> None:
        for index in (self._by_id, self._by_number, self._by_user_id):
            index.clear()

    def _index(self, patient: Patient) -> None:
        if patient.number:
            self._by_number[patient.number] = patient
        if patient.user_id:
            self._by_user_id[patient.user_id] = patient
