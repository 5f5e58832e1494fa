"""One call to the appointments backend over HTTP: its JSON, or an error of ours. Used by `workers.appointments` alone.

Paths and bodies hold numbers and names: nothing of them is logged or put into an error.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NoReturn

import requests

from shared import tracing
from shared.errors import BadCredentials, NotFound, OutcomeUnknown, PartnerRefused, RetryLater, SlotUnavailable
from shared.settings import Settings
from workers.appointment_rows import read_refused_slot
from workers.connections import CONNECT_TIMEOUT_S, HUNG_UP, decoded, open_session, request

PARTNER = "appointments backend"


class Backend:
    """The connection: address, token, timeouts, and what a status means."""

    def __init__(self, settings: Settings, session: requests.Session | None = None) -> None:
        token = settings.SEGUIMIENTO_TOKEN.get_secret_value() if settings.SEGUIMIENTO_TOKEN else None
        self._base = settings.SEGUIMIENTO_SERVICE_URL
        self._timeout_s = settings.SEGUIMIENTO_TIMEOUT
        self._zone: dt.tzinfo = settings.timezone
        self._session = open_session(self._base, token, session)

    def post(self, path: str, body: dict[str, str], key: str, timeout_s: float | None = None) -> object:
        """Write once, with an Idempotency-Key.

        Args:
            timeout_s: to connect, and again for the answer; SEGUIMIENTO_TIMEOUT unless said.

        Raises:
            OutcomeUnknown: it was sent, and no answer came or one without a body (a proxy's 502).
            RetryLater, PartnerRefused, NotFound, SlotUnavailable, BadCredentials: it was certainly not done.
        """
        response = self._request("POST", path, timeout_s, json=body, headers={"Idempotency-Key": key})
        answer = decoded(response)
        status = _status(response, answer)
        if status >= 500 and answer is None:
            raise OutcomeUnknown(f"{PARTNER}: HTTP {status} without a body", code=status)
        self._refuse(response, answer, status)
        return answer

    def get(self, path: str, params: dict[str, str]) -> object:
        """Read; once more when a kept connection turned out to be closed.

        Raises:
            RetryLater, PartnerRefused, NotFound, BadCredentials.
        """
        try:
            response = self._read(path, params)
        except OutcomeUnknown as error:
            raise RetryLater(str(error), code=error.code) from None
        answer = decoded(response)
        self._refuse(response, answer, _status(response, answer))
        return answer

    def get_list(self, path: str, params: dict[str, str]) -> list[Any]:
        """Read something that must be a list."""
        return must_be_list(self.get(path, params))

    def close(self) -> None:
        self._session.close()

    def _read(self, path: str, params: dict[str, str]) -> requests.Response:
        try:
            return self._request("GET", path, None, params=params)
        except OutcomeUnknown as error:
            if error.code != HUNG_UP:
                raise
        return self._request("GET", path, None, params=params)

    def _request(self, method: str, path: str, timeout_s: float | None, **kwargs: Any) -> requests.Response:
        answer_s = timeout_s or self._timeout_s
        timeout = (min(CONNECT_TIMEOUT_S, answer_s), answer_s)
        # Only what is asked for: the rest of the path may be a number.
        with tracing.span(f"backend {method} {path.split('/')[1]}", kind="client"):
            headers = kwargs.pop("headers", {}) | tracing.headers()
            response = request(
                self._session, method, self._base + path, partner=PARTNER, timeout=timeout, headers=headers, **kwargs
            )
            tracing.note(status=response.status_code)
            return response

    def _refuse(self, response: requests.Response, answer: object, status: int) -> None:
        """Raise what a status means; return for success."""
        if 200 <= status < 300:
            return
        text = f"{PARTNER}: HTTP {status}"
        if status in (401, 403):
            raise BadCredentials(text, code=status)
        if status == 404 and isinstance(answer, dict) and not str(answer.get("message")).startswith("Cannot "):
            raise NotFound(text, code=status)
        if status == 409:
            raise SlotUnavailable(*read_refused_slot(answer, self._zone))
        if status in (408, 425, 429) or status >= 500:
            after = response.headers.get("Retry-After", "")
            raise RetryLater(text, code=status, after_s=float(after) if after.isdecimal() else None)
        raise PartnerRefused(text, code=status)  # also a 404 that is no JSON: a wrong address, somebody must look


def must_be_list(body: object) -> list[Any]:
    return body if isinstance(body, list) else unreadable()


def unreadable() -> NoReturn:
    """A success of another shape than the contract's: perhaps a proxy's page, so later may be better.

    Raises:
        RetryLater: always.
    """
    raise RetryLater(f"{PARTNER}: an answer of another shape", code="unreadable")


def _status(response: requests.Response, answer: object) -> int:
    """HTTP status, or the one that hides in the body of a 2xx."""
    inner = answer.get("statusCode") if isinstance(answer, dict) else None
    if 200 <= response.status_code < 300 and isinstance(inner, int) and 400 <= inner <= 599:
        return inner
    return response.status_code
