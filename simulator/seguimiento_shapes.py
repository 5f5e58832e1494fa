"""The four shapes of an answer of the centre's present backend, and how it reads ids, numbers and times. Pure.

Measured on its published code; the faults are meant. Used by `seguimiento_store` and `seguimiento_api`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

Json = dict[str, Any]
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,6}))?)?)?(Z|[+-]\d\d:?\d\d)?", re.ASCII
)
_INTEGER_MAX = 2_147_483_647


@dataclass
class Answered(Exception):
    """Ends a request with this answer."""

    status: int
    body: Json


class Died(Exception):
    """The process is gone before it answered."""


def envelope(data: object, message: str, *, status: int = 200, code: int | None = None) -> Answered:
    """Success, and "not found" under a 2xx when `code` says so."""
    inner = code if code is not None else status
    return Answered(status, {"statusCode": inner, "message": message, "data": data, "error": None})


def service_error(message: str, error: str, status: int = 500) -> Answered:
    return Answered(status, {"success": False, "message": message, "data": None, "error": error})


def framework_error(status: int, message: str | list[str], error: str) -> Answered:
    return Answered(status, {"message": message, "error": error, "statusCode": status})


def bare_error() -> Answered:
    return Answered(500, {"statusCode": 500, "message": "Internal server error"})


def checked_uuid(value: object, message: str) -> str:
    """An id in lower case. Raises what the database says of anything else."""
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise service_error(message, f'invalid input syntax for type uuid: "{value}"')
    return value.lower()


def checked_number(text: str, message: str) -> int:
    """A phone number as the 32-bit integer that the column holds."""
    if not re.fullmatch(r"\+?\d+", text, re.ASCII):
        raise service_error(message, f'invalid input syntax for type integer: "{text}"')
    if int(text) > _INTEGER_MAX:
        raise service_error(message, f'value "{text}" is out of range for type integer')
    return int(text)


def stored_time(value: object, zone: tzinfo, field: str) -> datetime:
    """What the column keeps of a time that was sent: the server's clock without a zone.

    A date alone is midnight, 31 February another day. Raises 400 for words, 500 for numbers.
    """
    if isinstance(value, int | float):
        raise service_error("Error al guardar cita", f'date/time field value out of range: "{value}"')
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    wrong = framework_error(400, [f"{field} must be a Date instance"], "Bad Request")
    if match is None:
        raise wrong
    year, month, day, hour, minute, second = (int(match[i] or 0) for i in range(1, 7))
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second < 60):
        raise wrong
    fraction = int((match[7] or "0").ljust(6, "0"))
    first = datetime(year, month, 1, hour, minute, second, fraction)  # noqa: DTZ001 - the column has no zone
    at = first + timedelta(days=day - 1)
    if match[8]:
        offset = datetime.fromisoformat(f"2000-01-01T00:00{match[8]}").tzinfo
        at = at.replace(tzinfo=offset).astimezone(zone).replace(tzinfo=None)
    return at


def shown_time(stored: datetime | None, zone: tzinfo) -> str | None:
    """`2026-12-01T14:00:00.000Z`, read with the server's present clock."""
    if stored is None:
        return None
    at = stored.replace(tzinfo=zone).astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
