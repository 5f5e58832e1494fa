"""The reminders' rules one by one: what is planned, what is looked up again, what becomes a line on the call list."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
import redis

from shared.conversation import Appointment
from shared.messages import ReminderKind
from shared.settings import Settings
from tests.workers.reminders.world import World, under_a_fake_clock, wire_kills
from workers.reminders.compose import NO_NAME, first_name, template
from workers.reminders.plan import Rules, is_quiet, plan, reminder_id

LA_PAZ = ZoneInfo("America/La_Paz")
HOUR, MINUTE = dt.timedelta(hours=1), dt.timedelta(minutes=1)
ROSA, JUAN = "+59171000001", "+59171000002"


def at(day: int, clock: str) -> dt.datetime:
    """A time of November 2026 on the centre's clock; the 23rd is a Monday."""
    return dt.datetime.combine(dt.date(2026, 11, day), dt.time.fromisoformat(clock), LA_PAZ).astimezone(dt.UTC)


def visit(start: dt.datetime, number: int = 1, phone: str = ROSA, status: str = "scheduled") -> Appointment:
    return Appointment(
        id=str(number), ref=f"CC-{number:04}", start=start, status=status, phone=phone, name="ROSA MAMANI"
    )


@pytest.fixture
def world(settings: Settings, client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with under_a_fake_clock(monkeypatch):
        world = World(settings, client, at(23, "09:00"))
        wire_kills(monkeypatch, world)
        yield world


def put(world: World, *visits: Appointment) -> None:
    world.agenda.visits |= {visit.id: visit for visit in visits}


def test_a_visit_is_reminded_a_day_ahead_with_its_three_answers(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    assert world.sent == []  # not before its time
    world.pass_until(at(23, "10:00"))
    (sent,) = world.sent
    body = sent.body["template"]
    assert (body["name"], body["language"]["code"]) == ("recordatorio_cita", "es")
    named = {p["parameter_name"]: p["text"] for p in body["components"][0]["parameters"]}
    assert named == {"nombre": "Rosa", "fecha": "martes 24 de noviembre, 09:30"}
    payloads = [c["parameters"][0]["payload"] for c in body["components"][1:]]
    assert payloads == ["rem:asistire:1", "rem:cambiar:1", "rem:cancelar:1"]


def test_a_beat_that_was_down_sends_what_is_useful_and_drops_the_rest(world: World) -> None:
    put(world, visit(at(24, "09:30"), 1), visit(at(23, "15:30"), 2, JUAN))
    world.pass_until(at(23, "14:00"))
    world.beat()
    world.pass_until(at(23, "18:00"))
    assert [sent.to for sent in world.sent] == [ROSA]


def test_two_beats_and_a_beat_again_remind_once(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    for _ in range(3):
        world.beat()
        world.beat()
        world.pass_until(world.at + 20 * MINUTE)
    assert len(world.sent) == 1


def test_a_moved_visit_is_reminded_for_its_new_time_only(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    put(world, visit(at(25, "11:00")))
    for _ in range(28):
        world.pass_until(world.at + HOUR)
        world.beat()
    assert ["25 de noviembre" in str(sent.body) for sent in world.sent] == [True]


def test_a_visit_moved_away_and_back_is_reminded(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    put(world, visit(at(26, "11:00")))
    world.pass_until(at(23, "10:00"))
    assert world.sent == []
    put(world, visit(at(24, "09:30")))
    world.beat()
    world.pass_until(at(23, "11:00"))
    assert len(world.sent) == 1


def test_a_cancelled_visit_is_not_reminded(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    put(world, visit(at(24, "09:30"), status="cancelled"))
    world.pass_until(at(23, "12:00"))
    assert world.sent == []
    assert world.calls() == {}


def test_what_is_due_at_night_waits_for_the_morning(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    world.at = at(23, "23:00")  # nothing ran since: Meta, or we, were down
    world._tell_redis()
    world.pass_until(at(24, "06:59"))
    assert world.sent == []
    world.pass_until(at(24, "07:30"))
    assert [is_quiet(sent.at, Rules.of(world.services.settings)) for sent in world.sent] == [False]


def test_too_late_is_a_call(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    world.at = at(24, "08:00")
    world._tell_redis()
    world.pass_until(at(24, "08:30"))
    assert world.sent == []
    (line,) = world.calls().values()
    assert (line["why"], line["ref"], line["reminder"]) == ("late", "CC-0001", "ahead")


def test_an_unknown_send_is_never_repeated_and_becomes_a_call(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.failures = ["lost"]
    world.beat()
    world.pass_until(at(23, "12:00"))
    assert len(world.sent) == 1
    assert [line["why"] for line in world.calls().values()] == ["unknown"]
    world.status(world.sent[0], "delivered")  # it had arrived: nobody need call
    assert world.calls() == {}


@pytest.mark.parametrize("step", ["reminders_claimed", "reminder_checked", "claimed", "posted", "marked_sent"])
def test_a_kill_between_any_two_steps_neither_doubles_nor_loses(world: World, step: str) -> None:
    put(world, visit(at(24, "09:30")))
    world.kill_at = [step]
    world.beat()
    world.beat()
    world.pass_until(at(23, "12:00"))
    assert world.kill_at == []
    sent_or_called = len(world.sent) + len(world.calls())
    assert sent_or_called >= 1
    assert len(world.sent) <= 1
    if step in ("reminders_claimed", "reminder_checked", "marked_sent"):
        assert len(world.sent) == 1


def test_who_never_agreed_goes_on_the_call_list(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.agenda.without_consent = {ROSA}
    world.beat()
    world.pass_until(at(23, "12:00"))
    assert world.sent == []
    assert [line["why"] for line in world.calls().values()] == ["no_consent"]


def test_consent_given_in_the_chat_is_enough(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.agenda.without_consent = {ROSA}
    world.beat()
    patient = str(world.client.zrange("reminders", 0, 0)[0]).partition(":")[0]
    world.client.set(f"consent:{patient}", "{}")
    world.pass_until(at(23, "12:00"))
    assert len(world.sent) == 1


def test_beyond_metas_limit_of_people_staff_call(settings: Settings, client: redis.Redis, world: World) -> None:
    few = World(settings.model_copy(update={"UNIQUE_USERS_PER_DAY": 2}), client, at(23, "09:00"))
    put(few, *(visit(at(24, "09:30"), n, f"+5917100000{n}") for n in range(1, 6)))
    few.beat()
    few.pass_until(at(23, "12:00"))
    assert len(few.sent) == 2
    assert [line["why"] for line in few.calls().values()] == ["limit"] * 3


def test_who_wrote_today_does_not_count_for_that_limit(settings: Settings, client: redis.Redis, world: World) -> None:
    few = World(settings.model_copy(update={"UNIQUE_USERS_PER_DAY": 1}), client, at(23, "09:00"))
    put(few, visit(at(24, "09:30"), 1), visit(at(24, "09:30"), 2, JUAN))
    few.beat()
    for member in client.zrange("reminders", 0, -1):
        client.hset(f"address:{str(member).partition(':')[0]}", "wrote_ms", round(at(23, "08:00").timestamp() * 1000))
    few.pass_until(at(23, "12:00"))
    assert len(few.sent) == 2


def test_an_opted_out_patient_is_left_alone(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    patient = str(world.client.zrange("reminders", 0, 0)[0]).partition(":")[0]
    world.client.set(f"optout:{patient}", "1")
    world.pass_until(at(23, "12:00"))
    assert (world.sent, world.calls()) == ([], {})
    world.beat()
    assert world.client.zcard("reminders") == 0


@pytest.mark.parametrize(("status", "code"), [("failed", 131026), ("failed", 131047), ("failed", 131049)])
def test_a_failed_status_is_one_line_on_the_call_list(world: World, status: str, code: int) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    world.pass_until(at(23, "10:00"))
    for _ in range(2):
        world.status(world.sent[0], status, code)
    world.at = at(24, "04:00")
    world._tell_redis()
    world.follow_up()
    assert [(line["why"], line["code"]) for line in world.calls().values()] == [("failed", str(code))]


@pytest.mark.parametrize(("status", "called"), [("sent", True), ("delivered", False), ("read", False)])
def test_what_has_not_arrived_six_hours_before_the_visit_is_a_call(world: World, status: str, called: bool) -> None:
    put(world, visit(at(24, "09:30")))
    world.beat()
    world.pass_until(at(23, "10:00"))
    world.status(world.sent[0], status)
    world.pass_until(at(24, "03:29"))
    world.follow_up()
    assert world.calls() == {}
    world.pass_until(at(24, "03:31"))
    world.follow_up()
    assert bool(world.calls()) is called


def test_a_visit_without_a_phone_is_a_call(world: World) -> None:
    put(world, visit(at(24, "09:30"), phone="sin teléfono"))
    world.beat()
    assert [line["why"] for line in world.calls().values()] == ["no_number"]


def test_missed_visits_get_two_messages_at_most_and_none_once_rebooked(world: World) -> None:
    world.agenda.missed_visits = [visit(at(23, "08:00")), visit(at(23, "08:30"), 2, JUAN)]
    world.pass_until(at(24, "08:00"))
    world.beat()
    assert world.sent == []  # nobody is asked before nine
    for hour in range(9, 13):
        world.pass_until(at(24, f"{hour:02}:00"))
        world.beat()
    assert sorted(sent.to for sent in world.sent) == [ROSA, JUAN]
    assert world.sent[0].body["template"]["name"] == "cita_perdida"
    put(world, visit(at(30, "10:00"), 3, JUAN))  # booked again
    for day in (25, 26, 27):
        for hour in (10, 11):
            world.pass_until(at(day, f"{hour:02}:00"))
            world.beat()
    world.pass_until(at(28, "12:00"))
    assert sorted(sent.to for sent in world.sent) == [ROSA, ROSA, JUAN]


def test_a_backend_that_knows_no_missed_visits_switches_it_off(world: World) -> None:
    world.agenda.missed_visits = None
    put(world, visit(at(24, "09:30")))
    world.beat()
    world.pass_until(at(23, "10:00"))
    assert len(world.sent) == 1


def test_an_agenda_that_could_not_be_read_is_read_again_at_the_next_follow_up(world: World) -> None:
    put(world, visit(at(24, "09:30")))
    world.agenda.down = True
    world.beat()
    assert "backend_down" in world.clinic.alerts.incidents
    world.agenda.down = False
    world.follow_up()
    world.pass_until(at(23, "10:30"))
    assert len(world.sent) == 1


def test_the_days_own_reminder_is_off_until_asked_for(settings: Settings) -> None:
    one, now = visit(at(24, "15:00")), at(24, "12:30")
    (ahead,) = plan([one], now, Rules.of(settings))
    assert ahead.kind is ReminderKind.AHEAD
    rules = Rules.of(settings.model_copy(update={"REMINDER_SAME_DAY_HOURS": 3, "REMINDER_HOURS_AHEAD": 24}))
    kinds = {planned.kind for planned in plan([one], now, rules)}
    assert kinds == {ReminderKind.AHEAD, ReminderKind.SAME_DAY}


def test_a_change_of_the_clock_moves_no_reminder(settings: Settings) -> None:
    """In Madrid the clock went back on 25 October 2026: 24 hours before 09:30 winter time is 10:30 summer time."""
    madrid = settings.model_copy(update={"CENTER_TIMEZONE": "Europe/Madrid", "REMINDER_SPREAD_MINUTES": 0})
    start = dt.datetime(2026, 10, 25, 9, 30, tzinfo=ZoneInfo("Europe/Madrid"))
    ten = dt.datetime(2026, 10, 24, 10, 0, tzinfo=ZoneInfo("Europe/Madrid")).astimezone(dt.UTC)
    (planned,) = plan([visit(start)], ten, Rules.of(madrid))
    assert start.astimezone(dt.UTC) - planned.due == 24 * HOUR + 30 * MINUTE
    assert start.astimezone(dt.UTC) - planned.until.astimezone(dt.UTC) == 2 * HOUR
    assert not list(plan([visit(start)], ten - HOUR, Rules.of(madrid)))


def test_reminders_are_spread_over_the_hour(settings: Settings) -> None:
    now = at(23, "09:00")
    due = [p.due for p in plan((visit(at(24, "09:30"), n) for n in range(600)), now, Rules.of(settings))]
    tenths = [sum(now + k * 6 * MINUTE <= one < now + (k + 1) * 6 * MINUTE for one in due) for k in range(10)]
    assert len(due) == 600
    assert min(tenths) > 30


def test_a_reminder_has_the_same_id_whoever_plans_it() -> None:
    start = at(24, "09:30")
    assert reminder_id(visit(start), ReminderKind.AHEAD) == reminder_id(
        visit(start.astimezone(LA_PAZ)), ReminderKind.AHEAD
    )
    assert reminder_id(visit(start), ReminderKind.AHEAD) != reminder_id(visit(start + HOUR), ReminderKind.AHEAD)


def test_names_are_greeted_by_the_first_and_no_disease_is_named(settings: Settings) -> None:
    assert first_name("ROSA MAMANI QUISPE") == "Rosa"
    assert first_name("  ") == NO_NAME
    words = str(
        template(visit(at(24, "09:30")).model_copy(update={"reason": "control TB"}), ReminderKind.AHEAD, settings)
    )
    assert "TB" not in words
