"""The switches of the simulator, and Meta's limits on volume and time (whatsapp-cloud-api.md 10.1 and 10.4)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

WINDOW = timedelta(hours=24)
PAIR_INTERVAL_S = 6.0  # one message per 6 s to the same user …
PAIR_BURST = 45  # … or up to 45 within 6 s, paid back with silence


class Rules(BaseModel):
    """Everything that can be switched while it runs; the control API replaces single fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # lenient: the 24 h window is judged only for patients whose last message carried the present time;
    # strict: always, against the simulator's clock, and closed for those who never wrote; off: always open.
    window: Literal["lenient", "strict", "off"] = "lenient"
    pair_rate: bool = False
    throughput: bool = False
    throughput_per_s: int = Field(default=80, ge=1)  # in and out together
    check_wamids: bool = True  # read marks and reactions must name a message that exists
    sent_after_ms: int = Field(default=50, ge=0)
    delivered_after_ms: int = Field(default=300, ge=0)
    read_after_ms: int = Field(default=900, ge=0)
    status_batch: int = Field(default=50, ge=1, le=1000)  # statuses that wait for the same sender share a POST
    webhook_timeout_s: float = Field(default=10, gt=0)
    webhook_retry_s: list[float] = Field(default=[0.5, 1, 2, 4, 8, 15, 30], min_length=1)  # the last one repeats
    webhook_max_attempts: int = Field(default=200, ge=1)
    # appointments backend
    require_idempotency_key: bool = False
    knows_missed: bool = True  # False: GET /appointments/missed answers 404
    slot_capacity: int = Field(default=1, ge=1)
    closed_days: list[date] = []


def window_is_open(mode: str, wrote_at: datetime | None, by_wall_clock: bool, now: datetime) -> bool:
    """Return whether free-form messages may be sent to someone whose last message has timestamp `wrote_at`."""
    if mode == "off" or (mode == "lenient" and (wrote_at is None or not by_wall_clock)):
        return True
    return wrote_at is not None and now - wrote_at < WINDOW


@dataclass
class _Pair:
    burst_started: float
    burst: int
    free_at: float


class PairRate:
    """Messages to one user: a burst is lent and must be paid back (20 sent at once: two minutes of silence)."""

    def __init__(self) -> None:
        self._pairs: dict[str, _Pair] = {}

    def allow(self, patient: str, now_s: float) -> bool:
        """Count a message to `patient` at `now_s` (seconds, any origin); False = refused with 131056."""
        pair = self._pairs.get(patient)
        if pair is None or now_s >= pair.free_at:
            self._pairs[patient] = _Pair(now_s, 1, now_s + PAIR_INTERVAL_S)
            return True
        if now_s - pair.burst_started < PAIR_INTERVAL_S and pair.burst < PAIR_BURST:
            pair.burst += 1
            pair.free_at += PAIR_INTERVAL_S
            return True
        return False


class Throughput:
    """Messages in and out of the business number during the last second."""

    def __init__(self) -> None:
        self._times: deque[float] = deque()

    def count(self, now_s: float) -> int:
        """Count one message and return how many the last second saw, this one included."""
        self._times.append(now_s)
        while self._times and now_s - self._times[0] >= 1:
            self._times.popleft()
        return len(self._times)
