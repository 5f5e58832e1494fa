"""The danger ladder: whom to tell next while nobody has acknowledged an alarm.

`start` is asked by the triage, `step` (pure) and `walk` by the watch. The rungs are the setting ALERT_LADDER.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import redis

from shared.alerts.alerts import Alerts
from shared.alerts.kinds import HOUR_MS, MINUTE_MS
from shared.setting_values import Rung, parse_ladder
from shared.settings import Settings
from shared.state import alarms
from shared.state.alarms import TRY_AGAIN_MS, Alarm

log = logging.getLogger(__name__)

GIVE_UP_MS = 24 * HOUR_MS
_ANSWER_LIMIT_S = 10.0  # how long one step waits for a channel to accept it


@dataclass(frozen=True, slots=True)
class Step:
    """What is due now: tell these contacts; once told, `rung` is the next, due at `next_ms`."""

    contacts: tuple[str, ...]
    rung: int
    next_ms: int


def start(settings: Settings, *, told: bool) -> tuple[int, int]:
    """The next rung after the first alert, and the milliseconds until it is due.

    When no channel took the first alert the same rung is due again in a minute.
    """
    if not told:
        return 0, TRY_AGAIN_MS
    rungs = parse_ladder(settings.ALERT_LADDER)
    minutes = rungs[1].minutes if len(rungs) > 1 else settings.ALERT_REPEAT_MINUTES
    return 1, round(minutes * MINUTE_MS)


def step(rungs: Sequence[Rung], repeat_minutes: float, alarm: Alarm, now_ms: int) -> Step | None:
    """The step that is due (pure); None when a day has passed and the ladder ends.

    All rungs whose time has come are told together: a rung that no channel took, or a watch that stood still for an
    hour, holds nobody else up. After the last rung everybody is told again and again.
    """
    if now_ms - alarm.raised_ms >= GIVE_UP_MS:
        return None
    if alarm.rung >= len(rungs):
        told, following = rungs, len(rungs)
    else:
        reached = [n for n, rung in enumerate(rungs) if alarm.raised_ms + rung.minutes * MINUTE_MS <= now_ms]
        following = max(alarm.rung, *reached) + 1
        told = rungs[alarm.rung : following]
    if following < len(rungs):
        next_ms = alarm.raised_ms + round(rungs[following].minutes * MINUTE_MS)
    else:
        next_ms = now_ms + round(repeat_minutes * MINUTE_MS)
    contacts = dict.fromkeys(contact for rung in told for contact in rung.contacts)
    return Step(tuple(contacts), following, next_ms)


def walk(alerts: Alerts, client: redis.Redis, settings: Settings) -> int:
    """Tell every step that is due; returns how many steps some channel took. Raises redis.RedisError."""
    rungs, told = parse_ladder(settings.ALERT_LADDER), 0
    for id_ in alarms.due(client, alerts.now_ms()):
        alarm = alarms.claim(client, id_, alerts.now_ms())
        if alarm is None:
            continue
        due = step(rungs, settings.ALERT_REPEAT_MINUTES, alarm, alerts.now_ms())
        if due is None:
            alarms.advance(client, alarm, alarm.rung, 0)
            log.error("nobody acknowledged an alarm for a day", extra={"alarm": alarm.id, "patient": alarm.patient})
        elif alerts.remind(alarm, due.contacts, _ANSWER_LIMIT_S):
            alarms.advance(client, alarm, due.rung, due.next_ms)
            log.warning("alarm told again", extra={"alarm": alarm.id, "rung": due.rung})
            told += 1
        elif not alerts.can_reach(due.contacts):  # only the backend is told of alarms here
            alarms.advance(client, alarm, due.rung, due.next_ms)
        else:
            log.error("alarm not accepted by any channel", extra={"alarm": alarm.id, "rung": alarm.rung})
    return told
