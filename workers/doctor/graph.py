"""Reads of the Graph API's management half, and what a refusal means. Used by `whatsapp_checks`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.errors import AssistantError
from shared.settings import Settings
from workers.connections import CONNECT_TIMEOUT_S, decoded, open_session, request
from workers.doctor.check import Check, failed, warning
from workers.doctor.reach import why
from workers.doctor.runner import TIMEOUT_S

_RENEW = (
    "make a token of a system user that never expires, with whatsapp_business_messaging and "
    "whatsapp_business_management, set WHATSAPP_ACCESS_TOKEN and restart the workers"
)
_WHY_REFUSED = {463: "it expired", 460: "it was withdrawn", 467: "it was withdrawn"}
_UNKNOWN_OBJECT = 33
_BUSY = {4, 80007, 130429}
_INTERNAL = {1, 2, 131000, 131016, 131057, 133004}


@dataclass(frozen=True)
class Refusal:
    """An answer that is none: `code` and `subcode` are Meta's, None when the answer did not come from the Graph API."""

    status: int
    code: int | None = None
    subcode: int | None = None
    path_unknown: bool = False  # Meta does not know this address: the version is wrong


Answer = dict[str, Any] | Refusal | AssistantError


def get(settings: Settings, path: str, **params: str) -> Answer:
    """Read one object or list; the error instead of an answer, never raised.

    Args:
        path: without version, such as `{phone_number_id}`.
        params: of the query; the token travels in the header.
    """
    token = settings.WHATSAPP_ACCESS_TOKEN.get_secret_value() if settings.WHATSAPP_ACCESS_TOKEN else None
    url = f"{settings.WHATSAPP_API_URL}/{settings.WHATSAPP_API_VERSION}/{path}"
    with open_session(settings.WHATSAPP_API_URL, token) as session:
        try:
            timeout = (CONNECT_TIMEOUT_S, TIMEOUT_S)
            response = request(session, "GET", url, partner="Graph API", timeout=timeout, params=params)
        except AssistantError as error:
            return error
    body = decoded(response)
    if isinstance(body, dict) and "error" not in body and 200 <= response.status_code < 300:
        return body
    return _refusal(response.status_code, body)


def _refusal(status: int, body: object) -> Refusal:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return Refusal(status)
    code, subcode = (
        value if isinstance(value, int) else None for value in (error.get("code"), error.get("error_subcode"))
    )
    is_path = code == 2500 or "Unknown path components" in str(error.get("message"))
    return Refusal(status, code, subcode, is_path)


def explain(name: str, problem: Refusal | AssistantError, setting: str) -> Check:
    """Say what a refusal means and what helps.

    Args:
        setting: the one that names the object that was asked for.
    """
    if isinstance(problem, AssistantError):
        advice = "see whether this machine reaches graph.facebook.com (DNS, firewall, proxy); check WHATSAPP_API_URL"
        return failed(name, f"Graph API: {why(problem)}", advice)
    code, said = problem.code, f"Meta answers {problem.status}, code {problem.code}"
    if code is None:
        advice = "a proxy answers, or Meta is down (metastatus.com); check WHATSAPP_API_URL"
        return failed(name, f"HTTP {problem.status} that is not from the Graph API", advice)
    if problem.path_unknown:
        return failed(name, f"{said}: unknown version", "correct WHATSAPP_API_VERSION, such as v26.0")
    if code in (0, 190):
        reason = _WHY_REFUSED.get(problem.subcode or 0, "it is not valid")
        return failed(name, f"the access token is refused: {reason} ({said})", _RENEW)
    if code in (3, 10, 131005) or 200 <= code <= 299:
        advice = "give the token whatsapp_business_management, and its system user the WhatsApp account as an asset"
        return failed(name, f"the token may not read this ({said})", advice)
    if problem.subcode == _UNKNOWN_OBJECT or code == 33:
        advice = f"correct {setting}, or give the token's system user this account as an asset"
        return failed(name, f"there is no such object, or the token does not reach it ({said})", advice)
    if code in _BUSY:
        return warning(name, f"too many calls ({said})", "look again in some minutes")
    if code in _INTERNAL or problem.status >= 500:
        return failed(name, f"Meta's side fails ({said})", "see metastatus.com and look again")
    return failed(name, f"refused ({said})", "look the code up among Meta's error codes")
