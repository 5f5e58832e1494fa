"""Which visits are reminded, and when (pure). Called each hour by `workers.reminders.beat`.

A visit has at most one reminder per start and kind: who claims it first decides (`shared.state.reminders.claim`). All
arithmetic is on absolute time; only the quiet hours look at the centre's clock, so a change of the clock moves nothing.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from shared.conversation import Appointment
from shared.messages import ReminderKind
from shared.setting_values import is_quiet_hour, parse_quiet_hours
from shared.settings import Settings
from shared.state.reminders import ARRIVED, LEAST_TIME_TO_ARRIVE

PERIOD = dt.timedelta(hours=1)  # of the beat
USEFUL = {  # a reminder that would come later than so long before the visit is not sent
    ReminderKind.AHEAD: dt.timedelta(hours=2),
    ReminderKind.SAME_DAY: dt.timedelta(minutes=30),
}
MISSED_FROM = dt.time(9)  # nobody is asked at seven in the morning why they did not come
MISSED_AFTER_DAYS = {ReminderKind.MISSED_1: 1, ReminderKind.MISSED_2: 3}
_NOT_COMING = frozenset({"cancelled", "missed", "done", "attended"})


@dataclass(frozen=True)
class Rules:
    """What the settings say about reminders."""

    ahead: dt.timedelta
    same_day: dt.timedelta
    quiet: tuple[int, int]  # from hour, to hour, of the centre's clock
    zone: ZoneInfo
    spread: dt.timedelta

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        return cls(
            ahead=dt.timedelta(hours=settings.REMINDER_HOURS_AHEAD),
            same_day=dt.timedelta(hours=settings.REMINDER_SAME_DAY_HOURS),
            quiet=parse_quiet_hours(settings.QUIET_HOURS),
            zone=settings.timezone,
            spread=dt.timedelta(minutes=settings.REMINDER_SPREAD_MINUTES),
        )

    def horizon_hours(self) -> int:
        """How far ahead the agenda must be read, in whole hours."""
        furthest = (
            max(self.ahead, self.same_day) + dt.timedelta(hours=12) + PERIOD
        )  # a quiet night may bring it forward
        return round(furthest / dt.timedelta(hours=1)) + 1


@dataclass(frozen=True)
class Planned:
    """One reminder to be sent at `due`, and not later than `until`. `arrived_by`: else somebody calls. All aware."""

    visit: Appointment
    kind: ReminderKind
    due: dt.datetime
    until: dt.datetime
    arrived_by: dt.datetime


def plan(visits: Iterable[Appointment], now: dt.datetime, rules: Rules) -> Iterator[Planned]:
    """Yield what is to be reminded before the next beat, spread over the time until then.

    A beat that comes late gets what is still useful; what is not is left out.
    """
    now = now.astimezone(dt.UTC)
    wanted = [(ReminderKind.AHEAD, rules.ahead), (ReminderKind.SAME_DAY, rules.same_day)]
    for visit in visits:
        if visit.status in _NOT_COMING:
            continue
        for kind, before in wanted:
            if before and (planned := _one(visit, kind, before, now, rules)):
                yield planned


def plan_missed(visits: Iterable[Appointment], kind: ReminderKind, now: dt.datetime, rules: Rules) -> Iterator[Planned]:
    """Yield a recovery message for each missed visit, in the daytime of today."""
    now = now.astimezone(dt.UTC)
    nine = dt.datetime.combine(now.astimezone(rules.zone).date(), MISSED_FROM, rules.zone)
    begin = max(now, nine.astimezone(dt.UTC))
    if is_quiet(begin, rules) or begin - now >= PERIOD:
        return
    until = next_quiet(begin, rules)
    for visit in visits:
        due = _spread(visit, kind, begin, until, rules)
        yield Planned(visit, kind, due, until, due + ARRIVED)


def is_quiet(at: dt.datetime, rules: Rules) -> bool:
    """Tell whether nothing is sent unasked at this time."""
    return is_quiet_hour(at.astimezone(rules.zone).hour, rules.quiet)


def after_quiet(at: dt.datetime, rules: Rules) -> dt.datetime:
    """The first moment from `at` on that is not quiet."""
    if not is_quiet(at, rules):
        return at
    return _next_hour(at, rules.quiet[1], rules)


def next_quiet(at: dt.datetime, rules: Rules) -> dt.datetime:
    """When it becomes quiet next; a day from `at` when there are no quiet hours."""
    if rules.quiet[0] == rules.quiet[1]:
        return at + dt.timedelta(days=1)
    return _next_hour(at, rules.quiet[0], rules)


def _one(
    visit: Appointment, kind: ReminderKind, before: dt.timedelta, now: dt.datetime, rules: Rules
) -> Planned | None:
    start = visit.start.astimezone(dt.UTC)  # within one zone Python subtracts what clocks show, not what has passed
    until = start - USEFUL[kind]
    moment = _moment(start - before, until, rules)
    begin = after_quiet(now, rules)
    if moment - now >= PERIOD or begin - now >= PERIOD or begin > until:
        return None  # a later beat, or too late
    due = _spread(visit, kind, begin, until, rules)
    arrived_by = max(start - ARRIVED, due + LEAST_TIME_TO_ARRIVE)
    return Planned(visit, kind, due, until, arrived_by)


def _moment(wanted: dt.datetime, until: dt.datetime, rules: Rules) -> dt.datetime:
    """`wanted`, moved out of the quiet hours: to their end, or before them when that would be too late."""
    if not is_quiet(wanted, rules):
        return wanted
    later = after_quiet(wanted, rules)
    if later <= until:
        return later
    return next_quiet(wanted - dt.timedelta(days=1), rules) - PERIOD


def _spread(
    visit: Appointment, kind: ReminderKind, begin: dt.datetime, until: dt.datetime, rules: Rules
) -> dt.datetime:
    """A time of its own for each visit, the same however often it is planned."""
    room = min(rules.spread, until - begin, next_quiet(begin, rules) - begin)
    return begin + max(dt.timedelta(), room) * _share(visit, kind)


def _share(visit: Appointment, kind: ReminderKind) -> float:
    """From 0 to 1, evenly over visits."""
    digest = hashlib.blake2b(reminder_id(visit, kind).encode(), digest_size=6).digest()
    return int.from_bytes(digest, "big") / 2**48


def reminder_id(visit: Appointment, kind: ReminderKind) -> str:
    """The delivery id of this reminder: the same for the same visit, start and kind, whoever plans it."""
    what = f"{visit.id}|{visit.start.astimezone(dt.UTC).isoformat()}|{kind}"
    return "r_" + hashlib.blake2b(what.encode(), digest_size=12).hexdigest()


def _next_hour(at: dt.datetime, hour: int, rules: Rules) -> dt.datetime:
    """The next time that the centre's clock shows this full hour, after `at`."""
    local = at.astimezone(rules.zone)
    day = local.date()
    while True:
        found = dt.datetime.combine(day, dt.time(hour), rules.zone).astimezone(dt.UTC)
        if found > at:
            return found
        day += dt.timedelta(days=1)
