"""Meta's error codes -> what we do about them (pure). Called by the client and by whoever reads failed statuses.

Sources: Meta, "Error codes" of the WhatsApp Cloud API (copies of 2025-11-19 and 2026-09) and `pywa/errors.py` of
david-lev/pywa; the classes are our reading. Branch on `code`: Meta advises against HTTP status, subcode and titles.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

from shared.errors import AssistantError, BadCredentials, OutcomeUnknown, PartnerRefused, RetryLater


class ErrorClass(StrEnum):
    WAIT = "W"  # rejected before processing: send again later
    AMBIGUOUS = "A"  # Meta's fault: it may have been sent
    TEMPLATE = "T"  # the 24 h window is closed: only a template may go
    RECIPIENT = "R"  # this person cannot be reached now
    LATER = "L"  # a limit on this person or template: not before a day, or never
    BUG = "B"  # our request or template is wrong
    CREDENTIALS = "C"  # every send fails until somebody acts
    POLICY = "P"  # account restricted or unpaid: the same


PAIR_RATE = 131056  # too many messages to one person: wait 4^tries seconds, others are not affected

_W, _A, _T, _R = ErrorClass.WAIT, ErrorClass.AMBIGUOUS, ErrorClass.TEMPLATE, ErrorClass.RECIPIENT
_L, _B, _C, _P = ErrorClass.LATER, ErrorClass.BUG, ErrorClass.CREDENTIALS, ErrorClass.POLICY

CODES: dict[int, tuple[ErrorClass, str]] = {
    0: (_C, "could not authenticate"),
    1: (_A, "invalid request or server error"),
    2: (_A, "service down or overloaded"),
    3: (_C, "capability or permission problem"),
    4: (_W, "call rate limit of the app"),
    10: (_C, "permission denied"),
    33: (_C, "business number deleted"),
    100: (_B, "invalid parameter"),
    190: (_C, "token expired or invalid"),
    368: (_P, "blocked for policy violations"),
    80007: (_W, "rate limit of the account"),
    130403: (_R, "person is on our block list"),
    130429: (_W, "throughput limit"),
    130472: (_R, "person is in an experiment of Meta"),
    130497: (_P, "restricted in this country"),
    131000: (_A, "something went wrong"),
    131005: (_C, "access denied"),
    131008: (_B, "required parameter missing"),
    131009: (_B, "parameter value invalid"),
    131016: (_A, "service unavailable"),
    131021: (_B, "recipient is the sender"),
    131026: (_R, "undeliverable"),
    131030: (_B, "recipient not in the list of the test number"),
    131031: (_P, "account locked"),
    131037: (_C, "display name not approved"),
    131042: (_P, "payment problem"),
    131045: (_C, "number not registered"),
    131047: (_T, "more than 24 hours since the last message"),
    131048: (_P, "spam limit"),
    131049: (_L, "per-person marketing limit"),
    131050: (_L, "person stopped marketing"),
    131051: (_B, "unsupported message type"),
    131052: (_B, "media could not be downloaded"),
    131053: (_B, "media upload failed"),
    131055: (_B, "marketing restriction"),
    PAIR_RATE: (_W, "pair rate limit"),
    131057: (_A, "account in maintenance"),
    131058: (_B, "hello_world only from test numbers"),
    131060: (_B, "incoming message unavailable"),
    131062: (_B, "this kind cannot go to a user id"),
    131063: (_B, "marketing restriction"),
    131064: (_P, "limit after template violations"),
    132000: (_B, "template parameter count"),
    132001: (_B, "template missing in this language"),
    132005: (_B, "template text too long"),
    132007: (_B, "template content against policy"),
    132008: (_B, "template parameter refused"),
    132012: (_B, "template parameter format"),
    132015: (_L, "template paused"),
    132016: (_B, "template disabled"),
    132018: (_B, "template structure"),
    132068: (_B, "flow blocked"),
    132069: (_B, "flow throttled"),
    133000: (_C, "deregistration incomplete"),
    133004: (_A, "server temporarily unavailable"),
    133005: (_C, "two-step PIN wrong"),
    133006: (_C, "number not verified"),
    133008: (_C, "too many PIN guesses"),
    133009: (_C, "PIN guessed too fast"),
    133010: (_C, "number not registered"),
    133015: (_C, "wait before registering again"),
    133016: (_C, "registration locked"),
    134011: (_P, "payment terms not accepted"),
    134100: (_B, "marketing restriction"),
    134101: (_W, "template still synchronising"),
    134102: (_B, "marketing restriction"),
    135000: (_B, "error in the parameters"),
    2494100: (_A, "number in maintenance mode"),
}

# How long to wait when Meta does not say, in seconds. Codes that are not here follow the caller's own backoff.
_WAIT_S = {4: 60.0, 80007: 60.0, 134101: 600.0}
_LONGEST_WAIT_S = 86_400.0
_UNKNOWN_OBJECT = 33  # subcode of 100: wrong phone_number_id or no access to it


def class_of(code: int, subcode: int | None = None) -> ErrorClass | None:
    """The class of one of Meta's codes; None for a code that is not in the table."""
    if code == 100 and subcode == _UNKNOWN_OBJECT:
        return ErrorClass.CREDENTIALS
    if code in CODES:
        return CODES[code][0]
    if 200 <= code <= 299:
        return ErrorClass.CREDENTIALS  # one permission or another is missing
    if code // 1000 == 2388:
        return ErrorClass.BUG  # creation and limits of templates
    return None


def classify(status: int | None, body: object, headers: Mapping[str, str] | None = None) -> AssistantError:
    """Turn an answer that is no success into the error to raise.

    Args:
        status: HTTP status; None when there was none.
        body: the decoded JSON, or None when the answer was HTML, empty or cut.
        headers: of the answer, names in any case; `Retry-After` and Meta's usage headers say how long to wait.

    Returns:
        RetryLater (with `after_s` when known), OutcomeUnknown, PartnerRefused or BadCredentials, with Meta's code.
        For 131056 `after_s` is None unless the header says it: the caller waits 4^tries seconds.
    """
    error = _error_object(body)
    code = _integer(error.get("code"))
    found = None if code is None else class_of(code, _integer(error.get("error_subcode")))
    if found is None:
        found = _unlisted(status, code, error)
    meaning = CODES[code][1] if code in CODES else "unlisted"
    text = f"Graph API: HTTP {status}, code {code}: {meaning}, trace {_trace(error)}"
    return _build(found, text, code if code is not None else status, headers)


def classify_status_error(code: int | None) -> AssistantError:
    """Turn the code of a `failed` status into an error: this message was certainly not delivered."""
    found = None if code is None else class_of(code)
    meaning = CODES[code][1] if code in CODES else "unlisted"
    text = f"failed status, code {code}: {meaning}"
    if found is ErrorClass.AMBIGUOUS:
        return RetryLater(text, code=code, partner_down=False)  # counts as a try: two or three, then give up
    return _build(found or ErrorClass.BUG, text, code, None)


def _build(found: ErrorClass, text: str, code: int | None, headers: Mapping[str, str] | None) -> AssistantError:
    match found:
        case ErrorClass.WAIT:
            return RetryLater(text, code=code, after_s=_after_s(code, headers or {}), partner_down=True)
        case ErrorClass.AMBIGUOUS:
            return OutcomeUnknown(text, code=code)
        case ErrorClass.CREDENTIALS | ErrorClass.POLICY:
            return BadCredentials(text, code=code)
        case _:
            return PartnerRefused(text, code=code)


def _unlisted(status: int | None, code: int | None, error: dict[str, Any]) -> ErrorClass:
    """Section "other" of the table; without any code the answer came from a proxy, not from the Graph API."""
    if status == 429:
        return ErrorClass.WAIT
    if error.get("is_transient") is True or status is None or status >= 500 or status < 300:
        return ErrorClass.AMBIGUOUS
    if code is None and status in (401, 403, 407):
        return ErrorClass.CREDENTIALS
    return ErrorClass.BUG


def _error_object(body: object) -> dict[str, Any]:
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _integer(value: object) -> int | None:
    if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value, re.ASCII):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _trace(error: dict[str, Any]) -> str:
    """Meta's own reference for support; anything but letters and digits could be text of a patient."""
    trace = error.get("fbtrace_id")
    return trace if isinstance(trace, str) and re.fullmatch(r"[\w-]{1,64}", trace, re.ASCII) else "none"


def _after_s(code: int | None, headers: Mapping[str, str]) -> float | None:
    lower = {name.lower(): value for name, value in headers.items()}
    said = _retry_after(lower)
    if said is None and code != PAIR_RATE:  # the usage headers speak of the account, not of this one person
        said = _regain_access(lower.get("x-business-use-case-usage"))
        said = _WAIT_S.get(code or 0) if said is None else said
    return None if said is None else min(said, _LONGEST_WAIT_S)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """`Retry-After` in seconds, or as a date; the date counts from the answer's own `Date`: our clock is not asked."""
    raw = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", raw, re.ASCII):
        return float(raw)
    try:
        return max(0.0, (parsedate_to_datetime(raw) - parsedate_to_datetime(headers.get("date", ""))).total_seconds())
    except (ValueError, TypeError):
        return None


def _regain_access(raw: str | None) -> float | None:
    """Seconds from `X-Business-Use-Case-Usage`: {"<id>": [{"estimated_time_to_regain_access": minutes}]}."""
    try:
        usage = json.loads(raw or "")
    except (ValueError, RecursionError):
        return None
    groups = [group for group in usage.values() if isinstance(group, list)] if isinstance(usage, dict) else []
    minutes = [
        item.get("estimated_time_to_regain_access") for group in groups for item in group if isinstance(item, dict)
    ]
    known = [m for m in minutes if isinstance(m, int | float) and not isinstance(m, bool) and m > 0]
    return max(known) * 60.0 if known else None
