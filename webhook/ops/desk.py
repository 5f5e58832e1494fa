"""What the views of /ops work with: settings, Redis, the doorbell, and the clinic's clock."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

import redis

from shared.settings import Settings
from webhook.doorbell import Doorbell


def _utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, slots=True)
class Desk:
    """One per process."""

    settings: Settings
    client: redis.Redis
    doorbell: Doorbell
    now: Callable[[], dt.datetime] = field(default=_utc_now)

    @property
    def zone(self) -> ZoneInfo:
        return self.settings.timezone

    def now_ms(self) -> int:
        return round(self.now().timestamp() * 1000)
