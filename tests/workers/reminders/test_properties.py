"""Whatever happens to agenda, clock, beat, partners and processes: no visit is reminded twice, late, wrong or at night,
and every visit that can be reminded is, or stands on the staff call list.
"""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.checkpoints import Step
from shared.conversation import Appointment
from shared.identity import candidate_ids
from shared.messages import Identity, ReminderKind
from shared.settings import Settings
from tests.workers.reminders.world import World, under_a_fake_clock, wire_kills
from workers.reminders.plan import USEFUL, Rules, _moment, is_quiet, reminder_id

LA_PAZ = ZoneInfo("America/La_Paz")
START = dt.datetime(2026, 11, 23, 6, 0, tzinfo=LA_PAZ).astimezone(dt.UTC)  # a Monday
HOUR = dt.timedelta(hours=1)
PHONES = ("+59171000001", "+59171000002", "+59171000003")
KILLS = (Step.REMINDERS_CLAIMED, Step.REMINDER_CHECKED, Step.CLAIMED, Step.POSTED, Step.MARKED_SENT)

slots = st.integers(40, 110)  # half hours after START: from the next night to the evening of the third day
visits = st.lists(st.tuples(st.sampled_from(PHONES), slots), min_size=3, max_size=8)
happenings = st.one_of(
    st.tuples(st.just("beat"), st.tuples(st.integers(1, 2), st.sampled_from([5, 20, 60]))),  # how many, minutes after
    st.tuples(st.just("beat"), st.tuples(st.just(1), st.sampled_from([5, 20, 60]))),
    st.tuples(st.just("beat"), st.tuples(st.just(1), st.just(60))),
    st.tuples(st.just("no_beat"), st.integers(1, 8)),  # Beat is down for so many hours
    st.tuples(st.just("frozen"), st.integers(1, 5)),  # nothing runs for so many hours
    st.tuples(st.just("clock_back"), st.integers(1, 3)),
    st.tuples(st.just("backend_down"), st.integers(1, 6)),
    st.tuples(st.just("move"), st.tuples(st.integers(1, 8), slots)),
    st.tuples(st.just("move_back"), st.integers(1, 8)),
    st.tuples(st.just("cancel"), st.integers(1, 8)),
    st.tuples(st.just("book"), st.tuples(st.sampled_from(PHONES), slots)),
    st.tuples(st.just("opt_out"), st.sampled_from(PHONES)),
    st.tuples(
        st.just("sends"),
        st.lists(st.sampled_from(["unknown", "lost", "lost", "refused", "later", ""]), min_size=1, max_size=5),
    ),
    st.tuples(st.just("kill"), st.sampled_from(KILLS)),
)


class Story:
    """One run: the world, and what the judge needs to know of it."""

    def __init__(self, settings: Settings, client: redis.Redis, wanted: list[tuple[str, int]]) -> None:
        self.settings = settings
        self.world = World(settings, client, START)
        self.rules = Rules.of(settings)
        self.original: dict[str, dt.datetime] = {}
        self.since: dict[str, dt.datetime] = {}  # since when a visit stands at its present start
        self.opted_out: set[str] = set()
        self.faults: list[str] = []
        self.count = 0
        for phone, slot in wanted:
            self.book(phone, slot)
        send = self.world.clinic.whatsapp.send
        self.world.clinic.whatsapp.send = self._judged(send)  # type: ignore[method-assign]

    def _judged(self, send):  # type: ignore[no-untyped-def]
        """Every send is judged at the moment it happens."""

        def judged(body):  # type: ignore[no-untyped-def]
            now, delivery = self.world.at, body["biz_opaque_callback_data"]
            coming = [v for v in self.world.agenda.visits.values() if v.status != "cancelled"]
            right = [v for v in coming if reminder_id(v, ReminderKind.AHEAD) == delivery]
            if not right:
                self.faults.append(f"{delivery} reminds of a visit that is not in the agenda")
            elif now > right[0].start - USEFUL[ReminderKind.AHEAD]:
                self.faults.append(f"{delivery} is late")
            elif body["to"] != right[0].phone:
                self.faults.append(f"{delivery} went to somebody else")
            if is_quiet(now, self.rules):
                self.faults.append(f"{delivery} came at night: {now.astimezone(LA_PAZ)}")
            if body["to"] in self.opted_out:
                self.faults.append(f"{delivery} went to somebody who opted out")
            return send(body)

        return judged

    def book(self, phone: str, slot: int) -> None:
        start = START + slot * HOUR / 2
        self.count += 1
        visit_id = str(self.count)
        if start > self.world.at:
            self.original[visit_id] = start
            self._put(Appointment(id=visit_id, ref=f"CC-{self.count}", start=start, status="scheduled", phone=phone))

    def _put(self, visit: Appointment) -> None:
        before = self.world.agenda.visits.get(visit.id)
        self.world.agenda.visits[visit.id] = visit
        if before is None or before.start != visit.start:
            self.since[visit.id] = self.world.at

    def happens(self, what: str, detail) -> None:  # type: ignore[no-untyped-def]
        world, agenda = self.world, self.world.agenda
        if what == "beat":
            times, minutes = detail
            for _ in range(times):  # two Beats by mistake
                world.beat()
            world.pass_until(world.at + dt.timedelta(minutes=minutes))
        elif what == "no_beat":
            world.pass_until(world.at + detail * HOUR)
        elif what == "frozen":
            world.at += detail * HOUR
            world._tell_redis()
        elif what == "clock_back":
            world.at -= detail * HOUR / 2
            world._tell_redis()
        elif what == "backend_down":
            agenda.down = True
            for _ in range(detail):
                world.beat()
                world.pass_until(world.at + HOUR)
            agenda.down = False
        elif what == "move" and (visit := agenda.visits.get(str(detail[0]))):
            start = START + detail[1] * HOUR / 2
            if start > world.at:
                self._put(visit.model_copy(update={"start": start}))
        elif what == "move_back" and (visit := agenda.visits.get(str(detail))):
            self._put(visit.model_copy(update={"start": self.original[visit.id]}))
        elif what == "cancel" and (visit := agenda.visits.get(str(detail))):
            agenda.visits[visit.id] = visit.model_copy(update={"status": "cancelled"})
        elif what == "book":
            self.book(*detail)
        elif what == "opt_out":
            self.opted_out.add(detail)
            patient = patient_of(self.settings, detail)
            world.client.set(f"optout:{patient}", "1")
        elif what == "sends":
            world.failures += detail
        elif what == "kill":
            world.kill_at = [str(detail)]

    def recover(self) -> dt.datetime:
        """Everything works again, until the last visit has passed; returns since when."""
        world = self.world
        since = world.at
        world.failures, world.kill_at, world.agenda.down = [], [], False
        last = max((visit.start for visit in world.agenda.visits.values()), default=since)
        while world.at < last + HOUR:
            world.beat()
            world.pass_until(world.at + HOUR)
        world.follow_up()
        return since

    def could_be_reminded(self, visit: Appointment, since: dt.datetime) -> bool:
        """Was there, after everything worked again, a beat whose reminders could still come in time and by day?"""
        until = visit.start - USEFUL[ReminderKind.AHEAD]
        moment = _moment(visit.start - self.rules.ahead, until, self.rules)
        beat = since
        while beat < until:
            if (
                beat >= max(self.since[visit.id], moment - HOUR)
                and not is_quiet(beat, self.rules)
                and moment - beat < HOUR
            ):
                return True
            beat += HOUR
        return False


def patient_of(settings: Settings, phone: str) -> str:
    return candidate_ids(settings.patient_id_key, Identity(number=phone.lstrip("+")))[0]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=visits,
    events=st.lists(happenings, min_size=8, max_size=40),
    shy=st.sets(st.sampled_from(PHONES), max_size=1),
)
def test_once_in_time_right_and_by_day_or_on_the_call_list(
    settings: Settings,
    client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    wanted: list[tuple[str, int]],
    events: list[tuple[str, object]],
    shy: set[str],
) -> None:
    with monkeypatch.context() as patch, under_a_fake_clock(patch):
        story = Story(settings, client, wanted)
        wire_kills(patch, story.world)
        story.world.agenda.without_consent = shy
        for what, detail in events:
            story.happens(what, detail)
        since = story.recover()

        assert story.faults == []
        sent = [one.delivery_id for one in story.world.sent]
        assert len(sent) == len(set(sent)), "a visit was reminded twice"
        assert not [one for one in story.world.sent if one.to in shy], "somebody who never agreed was written to"
        calls = story.world.calls()
        for visit in story.world.agenda.visits.values():
            if visit.status == "cancelled" or visit.phone in story.opted_out:
                continue
            delivery = reminder_id(visit, ReminderKind.AHEAD)
            if story.could_be_reminded(visit, since) and delivery not in sent:
                assert delivery in calls, f"{visit.start.astimezone(LA_PAZ)}: neither reminded nor on the call list"
        waiting = [str(key) for key in client.scan_iter("outbox:*")]
        assert waiting == []


def test_the_judge_sees_faults(settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    """A check that cannot fail is none: the same judge over a send at night, to the wrong person, twice."""
    with monkeypatch.context() as patch, under_a_fake_clock(patch):
        story = Story(settings, client, [(PHONES[0], 40)])
        visit = story.world.agenda.visits["1"]
        body = {"to": PHONES[1], "biz_opaque_callback_data": reminder_id(visit, ReminderKind.AHEAD)}
        story.world.at = START.astimezone(LA_PAZ).replace(hour=23).astimezone(dt.UTC)
        story.opted_out.add(PHONES[1])
        for _ in range(2):
            story.world.clinic.whatsapp.send(body)
        faults = " ".join(story.faults)
        assert "somebody else" in faults
        assert "at night" in faults
        assert "opted out" in faults
        assert len({one.delivery_id for one in story.world.sent}) < len(story.world.sent)
        story.world.clinic.whatsapp.send(body | {"biz_opaque_callback_data": "r_other"})
        assert "not in the agenda" in story.faults[-2] + story.faults[-1] + story.faults[-3]
