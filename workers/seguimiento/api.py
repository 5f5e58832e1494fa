"""One call to the present backend over HTTP. Used by this package alone.

Bodies hold secrets of staff and data of patients: nothing of them is logged or put into an error. Two of its GETs send
messages to people (`cita/recordatorio`, `paciente/riesgo-salud`), and `cita/update-assistant` writes on an appointment
of its own choice; none of them is ever called.
"""

from __future__ import annotations

from typing import Any, NoReturn

import requests

from shared import tracing
from shared.errors import OutcomeUnknown, RetryLater
from shared.settings import Settings
from workers.connections import CONNECT_TIMEOUT_S, HUNG_UP, decoded, open_session, request
from workers.seguimiento.answers import PARTNER, data_of

Json = dict[str, Any]


class Api:
    """The connection: address, token of the proxy in front of it, timeouts."""

    def __init__(self, settings: Settings, session: requests.Session | None = None) -> None:
        token = settings.SEGUIMIENTO_TOKEN.get_secret_value() if settings.SEGUIMIENTO_TOKEN else None
        self._base = settings.SEGUIMIENTO_SERVICE_URL.removesuffix("/api") + "/api"  # it is written either way
        self._timeout_s = settings.SEGUIMIENTO_TIMEOUT
        self._session = open_session(self._base, token, session)

    def get(self, path: str, *, timeout_s: float | None = None) -> Any:
        """Read; once more when a kept connection turned out to be closed.

        Args:
            path: below /api, such as `/cita/tipo-cita`.
            timeout_s: until the answer begins; SEGUIMIENTO_TIMEOUT unless said.

        Raises:
            RetryLater, NotFound, PartnerRefused, BadCredentials, BareError.
        """
        try:
            response = self._get(path, timeout_s)
        except OutcomeUnknown as error:
            raise RetryLater(str(error), code=error.code) from None
        return data_of(response.status_code, decoded(response), writes=False)

    def get_object(self, path: str) -> Json:
        """Read something that must be an object."""
        found = self.get(path)
        return found if isinstance(found, dict) else _unreadable()

    def get_list(self, path: str, *, timeout_s: float | None = None) -> list[Any]:
        """Read something that must be a list."""
        found = self.get(path, timeout_s=timeout_s)
        return found if isinstance(found, list) else _unreadable()

    def write(self, method: str, path: str, body: Json) -> Any:
        """POST or PUT once. What is answered only repeats what was sent: read back before anything is said.

        Raises:
            OutcomeUnknown: it may have been done.
            RetryLater, NotFound, PartnerRefused, BadCredentials, BareError, AlreadyThere: it was not done.
        """
        response = self._request(method, path, None, json=body)
        return data_of(response.status_code, decoded(response), writes=True)

    def close(self) -> None:
        self._session.close()

    def _get(self, path: str, timeout_s: float | None) -> requests.Response:
        try:
            return self._request("GET", path, timeout_s)
        except OutcomeUnknown as error:
            if error.code != HUNG_UP:
                raise
        return self._request("GET", path, timeout_s)

    def _request(self, method: str, path: str, timeout_s: float | None, **kwargs: Any) -> requests.Response:
        answer_s = timeout_s or self._timeout_s
        timeout = (min(CONNECT_TIMEOUT_S, answer_s), answer_s)
        # Only what is asked for: the rest of the path may be a number.
        with tracing.span(f"backend {method} {path.split('/')[1]}", kind="client"):
            response = request(
                self._session,
                method,
                self._base + path,
                partner=PARTNER,
                timeout=timeout,
                headers=tracing.headers(),
                **kwargs,
            )
            tracing.note(status=response.status_code)
            return response


def _unreadable() -> NoReturn:
    raise RetryLater(f"{PARTNER}: an answer of another shape", code="unreadable")
