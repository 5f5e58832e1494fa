"""Meta's news about our templates, number and account -> a record, and the incident that it opens or closes (pure).

Read by `webhook.parsing`, acted upon by `webhook.intake`. Other kinds of news are counted and need nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from shared.messages import AccountNews, NewsKind
from webhook.contents import clean, part

_MAX_NAME_BYTES = 512  # of a template
_STOPPED = {"PAUSED", "DISABLED", "REJECTED", "FLAGGED"}
_USABLE = {"APPROVED", "REINSTATED", "UNPAUSE"}
_RESTRICTED = {
    "ACCOUNT_VIOLATION",
    "ACCOUNT_RESTRICTION",
    "DISABLED_UPDATE",
    "ACCOUNT_DELETED",
    "ACCOUNT_OFFBOARDED",
}
_FREE = {"ACCOUNT_RECONNECTED", "REINSTATE", "VERIFIED_ACCOUNT"}


@dataclass(frozen=True, slots=True)
class Effect:
    """An incident to open, or to close when `opens` is false."""

    incident: str
    opens: bool
    detail: str


def read_news(field: str, value: object) -> AccountNews | None:
    """Read the `value` of one change; None for a field that is no news, or for news without what matters in it."""
    read = _READERS.get(field)
    return read(value) if read and isinstance(value, dict) else None


def effects(news: AccountNews) -> Iterator[Effect]:
    """What these news open or close; nothing for those that only pass by (pending, a better score)."""
    detail = " ".join(filter(None, (news.kind.value, news.subject, news.state)))
    match news.kind:
        case NewsKind.TEMPLATE_STATUS:
            if news.state in _STOPPED | _USABLE:
                yield Effect(f"template_paused:{news.subject}", news.state in _STOPPED, detail)
        case NewsKind.TEMPLATE_QUALITY:
            if news.state in ("RED", "GREEN"):
                yield Effect(f"template_quality:{news.subject}", news.state == "RED", detail)
        case NewsKind.TEMPLATE_CATEGORY:
            yield Effect(f"template_category:{news.subject}", news.state == "MARKETING", detail)
        case NewsKind.NUMBER_QUALITY:
            event = news.state.partition(" ")[0]
            if event in ("FLAGGED", "DOWNGRADE", "UNFLAGGED", "UPGRADE"):
                yield Effect("number_quality", event in ("FLAGGED", "DOWNGRADE"), detail)
        case NewsKind.ACCOUNT:
            if news.state in _RESTRICTED | _FREE:
                yield Effect("account_restricted", news.state in _RESTRICTED, detail)
        case NewsKind.ACCOUNT_ALERT:
            yield Effect("account_alert", True, detail)
        case NewsKind.CAPABILITY:
            return  # a limit without what it was before


def _template_status(value: dict[str, Any]) -> AccountNews | None:
    """`UNPAUSE` comes as a title beside whatever event."""
    title = _word(part(value, "other_info").get("title"))
    event = "UNPAUSE" if title == "UNPAUSE" else _word(value.get("event"))
    return _news(NewsKind.TEMPLATE_STATUS, _template(value), event)


def _template_quality(value: dict[str, Any]) -> AccountNews | None:
    return _news(NewsKind.TEMPLATE_QUALITY, _template(value), _word(value.get("new_quality_score")))


def _template_category(value: dict[str, Any]) -> AccountNews | None:
    return _news(NewsKind.TEMPLATE_CATEGORY, _template(value), _word(value.get("new_category")))


def _number_quality(value: dict[str, Any]) -> AccountNews | None:
    event = _word(value.get("event"))
    limit = _word(value.get("max_daily_conversations_per_business") or value.get("current_limit"))
    number = clean(value.get("display_phone_number"), 32)
    return _news(NewsKind.NUMBER_QUALITY, _last_digits(number), f"{event} {limit}".strip() if event else "")


def _account(value: dict[str, Any]) -> AccountNews | None:
    """A ban says in `ban_info` whether it begins or ends."""
    ban = _word(part(value, "ban_info").get("waba_ban_state"))
    return _news(NewsKind.ACCOUNT, "", ban if ban == "REINSTATE" else _word(value.get("event")))


def _account_alert(value: dict[str, Any]) -> AccountNews | None:
    """Only what is critical: Meta also writes when a limit was not raised."""
    info = part(value, "alert_info") or value
    if _word(info.get("alert_severity")) != "CRITICAL":
        return None
    return _news(NewsKind.ACCOUNT_ALERT, _word(value.get("entity_type")), _word(info.get("alert_type")))


def _capability(value: dict[str, Any]) -> AccountNews | None:
    return _news(NewsKind.CAPABILITY, "", _word(value.get("max_daily_conversations_per_business")))


def _news(kind: NewsKind, subject: str, state: str) -> AccountNews | None:
    return AccountNews(kind=kind, subject=subject, state=state) if state else None


def _template(value: dict[str, Any]) -> str:
    return clean(value.get("message_template_name"), _MAX_NAME_BYTES)


def _word(raw: object) -> str:
    """A word of Meta's in capitals, or a number; "" for anything else."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(raw)
    return clean(raw, 64).upper()


def _last_digits(number: str) -> str:
    """Enough to know which of our numbers it is."""
    return f"…{number[-2:]}" if number else ""


_READERS: dict[str, Callable[[dict[str, Any]], AccountNews | None]] = {
    "message_template_status_update": _template_status,
    "message_template_quality_update": _template_quality,
    "template_category_update": _template_category,
    "phone_number_quality_update": _number_quality,
    "account_update": _account,
    "account_alerts": _account_alert,
    "business_capability_update": _capability,
}
