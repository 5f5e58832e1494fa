"""Time: does this machine's clock agree with others, is the time zone known, when is the centre open?"""

from __future__ import annotations

import datetime as dt
import time
from email.utils import parsedate_to_datetime

import redis

from shared.errors import AssistantError
from shared.setting_values import OpeningHours, parse_opening_hours
from shared.settings import Settings
from shared.state import store
from workers.connections import CONNECT_TIMEOUT_S, open_session, request
from workers.doctor.check import Check, failed, ok, warning
from workers.doctor.runner import TIMEOUT_S

CLOCK, ZONE, HOURS = "clock", "time zone", "opening hours"
MOST_APART_S = 30.0
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def check(settings: Settings) -> list[Check]:
    apart = {"the Graph API": graph_apart(settings), "Redis": redis_apart(settings)}
    now = dt.datetime.now(settings.timezone)
    return [judge(apart), judge_zone(settings, now), judge_hours(parse_opening_hours(settings.OPENING_HOURS), now)]


def graph_apart(settings: Settings) -> float | None:
    """Seconds that our clock is ahead of Meta's, by the Date of any answer; None without one."""
    with open_session(settings.WHATSAPP_API_URL, None) as session:
        began = time.time()
        try:
            timeout = (CONNECT_TIMEOUT_S, TIMEOUT_S)
            response = request(session, "GET", settings.WHATSAPP_API_URL + "/", partner="Graph API", timeout=timeout)
        except AssistantError:
            return None
    try:
        told = parsedate_to_datetime(response.headers.get("Date", ""))
    except ValueError:
        return None
    return (began + time.time()) / 2 - told.timestamp()


def redis_apart(settings: Settings) -> float | None:
    """Seconds that our clock is ahead of Redis's; leases and queues are counted by the latter."""
    client = store.connect(settings, timeout_s=TIMEOUT_S)
    try:
        client.ping()  # the connection is made, so that the next answer is quick
        began = time.time()
        seconds, micros = client.time()
        return (began + time.time()) / 2 - (seconds + micros / 1e6)
    except redis.RedisError:
        return None
    finally:
        client.close()


def judge(apart: dict[str, float | None]) -> Check:
    """Compare with whoever told the time."""
    known = {who: seconds for who, seconds in apart.items() if seconds is not None}
    if not known:
        return warning(CLOCK, "nobody could be asked for the time", "see the lines on Redis and WhatsApp")
    wrong = [
        f"{abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} {who}"
        for who, seconds in known.items()
        if abs(seconds) > MOST_APART_S
    ]
    if wrong:
        advice = "switch on time synchronisation (timedatectl set-ntp true) on this machine and on that of Redis"
        return failed(CLOCK, f"this machine is {' and '.join(wrong)}", advice)
    return ok(CLOCK, f"agrees with {' and '.join(known)}")


def judge_zone(settings: Settings, now: dt.datetime) -> Check:
    """The settings were loaded, so the data of the zone are there; the hour is shown, to be compared with the wall."""
    return ok(ZONE, f"{settings.CENTER_TIMEZONE}, there it is {now:%a %d %b %H:%M}")


def judge_hours(hours: OpeningHours, now: dt.datetime) -> Check:
    open_now = any(begin <= now.time() < end for begin, end in hours.get(now.weekday(), ()))
    closed = [name for day, name in enumerate(_DAYS) if day not in hours]
    found = f"open {'now' if open_now else 'not now'}; closed on {', '.join(closed) or 'no day'}"
    return ok(HOURS, found)
