"""How the backend tells an appointment: its id, its reference such as CC-0417, its time in the clinic's zone. Pure."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any

from simulator.opening_hours import ZONE

Json = dict[str, Any]


def appointment_id(number: int) -> str:
    return f"apt-{number}"


def number_of(given_id: object) -> int | None:
    """Return the number inside an appointment id; None = not one of ours."""
    digits = str(given_id).removeprefix("apt-")
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None


def reference(number: int) -> str:
    return f"CC-{number:04d}"


def local_time(epoch: float) -> str:
    return datetime.fromtimestamp(epoch, ZONE).isoformat()


def booked(number: int, start: datetime, status: str) -> Json:
    return {
        "appointment_id": appointment_id(number),
        "ref": reference(number),
        "datetime": local_time(start.timestamp()),
        "status": status,
    }


def listed(row: sqlite3.Row) -> Json:
    return {
        "appointment_id": appointment_id(row["number"]),
        "ref": reference(row["number"]),
        "datetime": local_time(row["start"]),
        "phone": row["phone"],
        "name": row["name"],
        "status": row["status"],
        "reason": row["reason"],
    }
