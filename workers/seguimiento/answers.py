"""What an answer of the backend means (pure): its data, or an error of ours.

Answers have four shapes: an envelope, which may say 404 under HTTP 200; a service error with `success: false`; the
framework's own error; and a bare 500 without a word. Only `message` and `error` are looked at, never logged: they may
quote what was sent.
"""

from __future__ import annotations

from typing import Any

from shared.errors import AssistantError, BadCredentials, NotFound, OutcomeUnknown, PartnerRefused, RetryLater

PARTNER = "appointments backend"
# Texts of the database for a request that will fail for ever.
_OUR_MISTAKE = ("invalid input syntax", "out of range", "violates not-null", "foreign key")


class BareError(RetryLater):
    """HTTP 500 without a word: an id that it does not know, a row that it cannot show; in old releases any failure."""


class AlreadyThere(AssistantError):
    """A row with the id that we chose exists already."""


def data_of(status: int, body: object, *, writes: bool) -> Any:
    """Return `data` of a success.

    Args:
        status: HTTP status.
        body: the decoded JSON; None when it is none.
        writes: whether something may have been done.

    Raises:
        NotFound, PartnerRefused, BadCredentials, BareError, AlreadyThere: nothing was done.
        RetryLater: of a read.
        OutcomeUnknown: of a write that may have been done.
    """
    fields = body if isinstance(body, dict) else {}
    code = _meant(status, fields)
    text = f"{PARTNER}: HTTP {status}" + (f", {code} inside" if code != status else "")
    if 200 <= code < 300 and "data" in fields:
        return fields["data"]
    if 200 <= code < 300:
        raise _later(writes, f"{text}, an answer of another shape", "unreadable")
    if code in (401, 403):
        raise BadCredentials(text, code=code)
    if code == 404 and (code != status or fields.get("success") is False):
        raise NotFound(text, code=code)
    if code in (408, 425, 429) or code in (502, 503, 504):
        raise _later(writes, text, code)
    if code < 500:
        raise PartnerRefused(text, code=code)  # also a 404 of the framework: a wrong path or release
    raise _broken(fields, code, text, writes=writes)


def _meant(status: int, fields: dict[str, Any]) -> int:
    """HTTP status, or the one that hides in the body of a 2xx."""
    inner = fields.get("statusCode")
    if 200 <= status < 300 and isinstance(inner, int) and 400 <= inner <= 599:
        return inner
    return status


def _broken(fields: dict[str, Any], code: int, text: str, *, writes: bool) -> AssistantError:
    """Tell the 500s apart by the text of the database."""
    if "success" not in fields and fields.get("statusCode") == 500:
        return BareError(text, code=code)
    said = str(fields.get("error") or "")
    if any(words in said for words in _OUR_MISTAKE):
        return PartnerRefused(text, code=code)
    if "duplicate key" in said and writes:
        return AlreadyThere(text, code=code)
    return _later(writes, text, code)


def _later(writes: bool, text: str, code: int | str) -> AssistantError:
    return OutcomeUnknown(text, code=code) if writes else RetryLater(text, code=code)
