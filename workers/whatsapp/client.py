"""One POST to the Graph API, one result: Meta's message id or an error of ours. Called by `workers.deliver`.

Never logs a body, an address or the token, and never repeats a send by itself: Meta knows no idempotency key.
"""

from __future__ import annotations

import logging
from typing import Any

import requests

from shared.errors import AssistantError, OutcomeUnknown
from shared.settings import Settings
from workers.connections import CONNECT_TIMEOUT_S, decoded, open_session, request
from workers.whatsapp.error_codes import classify
from workers.whatsapp.payloads import read_mark

log = logging.getLogger(__name__)

READ_TIMEOUT_S = 10.0
MARK_TIMEOUT_S = (1.0, 2.0)  # a read mark is a courtesy: it may not hold a turn
_PARTNER = "Graph API"


class WhatsAppClient:
    """Sends Cloud API bodies from our number. One per process, shared by its threads."""

    def __init__(self, settings: Settings, session: requests.Session | None = None) -> None:
        token = settings.WHATSAPP_ACCESS_TOKEN.get_secret_value() if settings.WHATSAPP_ACCESS_TOKEN else None
        number_id = settings.WHATSAPP_PHONE_NUMBER_ID or "0"  # unset only in tools and tests
        self._url = f"{settings.WHATSAPP_API_URL}/{settings.WHATSAPP_API_VERSION}/{number_id}/messages"
        self._session = open_session(settings.WHATSAPP_API_URL, token, session)

    def send(self, body: dict[str, Any]) -> str:
        """Send one message and return its wamid. Accepted is not delivered: that comes as a status.

        Args:
            body: as `workers.whatsapp.payloads.build` makes it.

        Raises:
            RetryLater: certainly not sent; `after_s` if Meta said when. Code 131056 concerns this patient alone.
            PartnerRefused: will never be sent in this form; `code` is Meta's.
            BadCredentials: token, number or account: all sends are affected.
            OutcomeUnknown: it may have been sent (timeout, reset, failure on Meta's side).
        """
        answer = self._post(body, (CONNECT_TIMEOUT_S, READ_TIMEOUT_S))
        wamid = _wamid(answer)
        if wamid is None:
            raise OutcomeUnknown("Graph API: an answer without a message id", code="no_wamid")
        return wamid

    def mark_read(self, wamid: str, typing: bool = True) -> bool:
        """Show the patient that we read the message and, if asked, "escribiendo…". True if Meta took it; never raises.

        One short try: nothing depends on it.
        """
        try:
            self._post(read_mark(wamid, typing), MARK_TIMEOUT_S)
        except AssistantError as error:
            log.info("read mark refused", extra={"code": error.code, "error": type(error).__name__})
            return False
        return True

    def close(self) -> None:
        """Close the pooled connections."""
        self._session.close()

    def _post(self, body: dict[str, Any], timeout: tuple[float, float]) -> object:
        response = request(self._session, "POST", self._url, partner=_PARTNER, timeout=timeout, json=body)
        answer = decoded(response)
        refused = isinstance(answer, dict) and "error" in answer
        if refused or not 200 <= response.status_code < 300:
            raise classify(response.status_code, answer, response.headers)
        return answer


def _wamid(answer: object) -> str | None:
    messages = answer.get("messages") if isinstance(answer, dict) else None
    first = messages[0] if isinstance(messages, list) and messages else None
    wamid = first.get("id") if isinstance(first, dict) else None
    return wamid if isinstance(wamid, str) and wamid else None
