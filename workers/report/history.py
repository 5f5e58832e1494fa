"""Figures of days, kept as `stats:{day}` for 400 days, so that comparisons outlive the audit. Called by the report."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import logging
from dataclasses import dataclass
from typing import Any

import redis

from shared.settings import Settings
from shared.state import audit
from shared.state.incidents import RedisIncidents
from workers.report.figures import DayFigures, Moment
from workers.report.fold import bounds, fold

log = logging.getLogger(__name__)

KEEP_S = 400 * 86_400
SETTLING = dt.timedelta(hours=7)  # so long after midnight it is read what became of the day's last messages
SHOWN = 14  # days of the picture


@dataclass(frozen=True, slots=True)
class History:
    """The day of the report and those it is compared with; a day of which nothing is known is missing."""

    today: DayFigures
    complete: bool  # False: the day is not over yet
    before: dict[dt.date, DayFigures]

    @property
    def week_before(self) -> DayFigures | None:
        """The same weekday a week before."""
        return self.before.get(self.today.day - dt.timedelta(days=7))

    @property
    def last_seven(self) -> list[DayFigures]:
        """The known ones of the seven days before."""
        days = (self.today.day - dt.timedelta(days=back) for back in range(7, 0, -1))
        return [self.before[day] for day in days if day in self.before]


def history(
    client: redis.Redis, settings: Settings, day: dt.date, now: dt.datetime, ignore: frozenset[str] = frozenset()
) -> History:
    """Count the day, keep its figures, and fetch those it is compared with, counting what was never kept.

    Raises:
        redis.RedisError: the state store cannot be reached.
    """
    end = bounds(day, settings.timezone)[1]
    oldest = _oldest(client)
    today = _today(client, settings, day, now, oldest, ignore)
    if end <= now:
        keep(client, today)
    days = [day - dt.timedelta(days=back) for back in range(SHOWN, 0, -1)]
    before = kept(client, days)
    for other in days:
        if other not in before and oldest is not None and oldest < bounds(other, settings.timezone)[0]:
            before[other] = _count(client, settings, other, now, ignore)
            keep(client, before[other])
    return History(today, end <= now, before)


def _today(
    client: redis.Redis,
    settings: Settings,
    day: dt.date,
    now: dt.datetime,
    oldest: dt.datetime | None,
    ignore: frozenset[str],
) -> DayFigures:
    """The day's figures; those that were kept when the audit has forgotten a part of the day since."""
    begin, end = bounds(day, settings.timezone)
    known = kept(client, [day]).get(day)
    counted = _count(client, settings, day, now, ignore)
    forgotten = oldest is None or oldest >= begin
    if known and forgotten and known.messages > counted.messages:
        return known
    # What is open now says nothing of a day long past: it keeps what its own morning saw.
    moment = _moment(client, now) if now < end + dt.timedelta(days=1) else known.moment if known else None
    return dataclasses.replace(counted, moment=moment)


def _count(
    client: redis.Redis, settings: Settings, day: dt.date, now: dt.datetime, ignore: frozenset[str]
) -> DayFigures:
    begin, end = bounds(day, settings.timezone)
    until = min(now, end + SETTLING)
    records = audit.read(client, begin, until)
    return fold(records, day, settings.timezone, burst_ms=settings.BURST_WAIT_MS, ignore=ignore, until=until)


def _moment(client: redis.Redis, now: dt.datetime) -> Moment:
    return Moment(
        handoffs=int(client.zcount("handoffs", round(now.timestamp() * 1000), "+inf")),
        calls=int(client.hlen("calls")),
        incidents=tuple(sorted(RedisIncidents(client).kinds())),
    )


def _oldest(client: redis.Redis) -> dt.datetime | None:
    """When the oldest event that is still known happened."""
    rows: Any = client.xrange(audit.KEY, count=1)
    return dt.datetime.fromtimestamp(int(rows[0][0].partition("-")[0]) / 1000, dt.UTC) if rows else None


def keep(client: redis.Redis, figures: DayFigures) -> None:
    """Store a whole day's figures."""
    client.set(_key(figures.day), figures.to_json(), ex=KEEP_S)


def kept(client: redis.Redis, days: list[dt.date]) -> dict[dt.date, DayFigures]:
    """Those of the days whose figures were stored and can be read."""
    found: dict[dt.date, DayFigures] = {}
    texts: Any = client.mget([_key(day) for day in days])
    for day, text in zip(days, texts, strict=True):
        if text:
            try:
                found[day] = DayFigures.from_json(text)
            except (ValueError, TypeError, json.JSONDecodeError):
                log.warning("figures of a day cannot be read", extra={"day": day.isoformat()})
    return found


def _key(day: dt.date) -> str:
    return f"stats:{day.isoformat()}"
