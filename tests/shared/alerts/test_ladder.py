"""Until somebody acknowledges it, an alarm goes up the ladder: at its minutes, once per step, whoever is killed."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis

from shared.alerts import Alerts, ladder
from shared.messages import Delivery, Reply
from shared.setting_values import parse_ladder
from shared.state import alarms, inbox
from shared.state.alarms import Alarm, NewAlarm
from shared.state.inbox import Outgoing
from tests.shared.alerts.conftest import Office
from tests.shared.alerts.mail import with_email
from tests.workers.http_server import closed_port

MINUTE = 60_000
LADDER = "0 email; 10 jefa@ejemplo.bo; 30 director@ejemplo.bo"
AT = dt.datetime(2026, 11, 23, 14, 5, tzinfo=dt.UTC)


def raise_alarm(office: Office, *, told: bool = True, message: str = "m_1") -> str:
    """As the triage does; the office's clock goes to the moment of the alarm."""
    id_ = alarms.alarm_id(message)
    rung, wait_ms = ladder.start(with_email(1, ALERT_LADDER=LADDER), told=told)
    alarm = NewAlarm(id_, "hemoptisis", "emergencia", AT.isoformat(), rung, wait_ms)
    delivery = Delivery(id=f"d_{message}", reply=Reply(text="Llame AHORA"), created_at=AT)
    assert inbox.raise_alarm(office.client, "p_1", message, Outgoing(delivery), handoff="{}", alarm=alarm)
    kept = alarms.read(office.client, id_)
    assert kept is not None
    office.clock.ms = kept.raised_ms
    return id_


class Climb:
    """A watch that only walks the ladder."""

    def __init__(self, office: Office, **more: Any) -> None:
        self.office = office
        options = {"ALERT_LADDER": LADDER, "PUBLIC_URL": "https://tb.ejemplo.bo"} | more
        self.settings = with_email(office.port, **options)
        self.alerts = office.process(**options)

    def at(self, minutes: float, since_ms: int) -> list[str]:
        """Walk at this minute; whom mails reached."""
        self.office.clock.ms = since_ms + round(minutes * MINUTE)
        ladder.walk(self.alerts, self.office.client, self.settings)
        return sorted(mail["To"] for mail in self.office.read())


EMAIL, BOSS, DIRECTOR = "enfermeria@ejemplo.bo, jefa@ejemplo.bo", "jefa@ejemplo.bo", "director@ejemplo.bo"


def test_each_rung_at_its_minute_then_everybody_again_for_a_day(office: Office) -> None:
    climb = Climb(office)
    raise_alarm(office)
    start = office.clock.ms
    assert climb.at(9.9, start) == []
    assert climb.at(10, start) == [BOSS]
    assert climb.at(10.1, start) == []
    assert climb.at(30, start) == [DIRECTOR]
    assert climb.at(59.9, start) == []
    assert climb.at(60, start) == sorted([EMAIL, BOSS, DIRECTOR])
    assert climb.at(90, start) == sorted([EMAIL, BOSS, DIRECTOR])
    assert climb.at(24 * 60, start) == []
    assert alarms.waiting(office.client) == []


def test_the_reminder_says_how_long_nobody_answered_and_nothing_of_the_patient(office: Office) -> None:
    climb = Climb(office)
    id_ = raise_alarm(office)
    office.client.hset("address:p_1", "number", "59170000001")
    office.pass_(minutes=10)
    ladder.walk(climb.alerts, office.client, climb.settings)
    [mail] = office.read()
    text = mail.get_content()
    assert mail["Subject"].startswith("SIN CONFIRMAR: EMERGENCIA")
    assert "desde hace 10 min" in text
    assert "23/11/2026 10:05" in text
    assert "p_1" in text
    assert "https://tb.ejemplo.bo/avisos/" in text
    assert id_ not in text
    assert "70000001" not in mail.as_string()
    assert "Llame AHORA" not in text


def test_it_stops_when_somebody_acknowledges(office: Office) -> None:
    climb = Climb(office)
    id_ = raise_alarm(office)
    start = office.clock.ms
    assert climb.at(10, start) == [BOSS]
    done = alarms.acknowledge(office.client, id_, BOSS, start + 12 * MINUTE)
    assert done is not None
    assert (done.first, done.by) == (True, BOSS)
    again = alarms.acknowledge(office.client, id_, DIRECTOR, start + 13 * MINUTE)
    assert again is not None
    assert (again.first, again.by, again.at_ms) == (False, BOSS, start + 12 * MINUTE)
    assert climb.at(30, start) == climb.at(120, start) == []
    [(_, told)] = [row for row in office.client.xrange("audit") if row[1]["e"] == "acknowledged"]
    assert (told["p"], told["ids"]) == ("p_1", id_)
    assert json.loads(told["d"]) == {"by": BOSS, "after_s": 720}


def test_it_stops_when_the_patient_was_given_back(office: Office) -> None:
    climb = Climb(office)
    raise_alarm(office)
    office.client.delete("handoff:p_1")
    assert climb.at(10, office.clock.ms) == []
    assert alarms.waiting(office.client) == []


def test_a_first_alert_that_nobody_took_is_repeated_in_a_minute_and_goes_on(office: Office) -> None:
    climb = Climb(office)
    raise_alarm(office, told=False)
    start = office.clock.ms
    assert climb.at(0.9, start) == []
    assert climb.at(1, start) == [EMAIL]
    assert climb.at(2, start) == []
    assert climb.at(10, start) == [BOSS]


def test_a_mail_server_that_is_down_holds_no_rung_up(office: Office) -> None:
    broken = with_email(closed_port(), ALERT_LADDER=LADDER)
    climb = Climb(office)
    raise_alarm(office)
    start = office.clock.ms
    office.clock.ms = start + 29 * MINUTE + MINUTE // 2
    alerts = Alerts(broken, client=office.client, now_ms=office.clock)
    assert ladder.walk(alerts, office.client, broken) == 0
    assert climb.at(30, start) == []  # not within a minute
    assert climb.at(30.5, start) == sorted([BOSS, DIRECTOR])


def test_a_watch_that_was_killed_leaves_its_step_to_the_next(office: Office) -> None:
    climb = Climb(office)
    id_ = raise_alarm(office)
    start = office.clock.ms
    assert alarms.claim(office.client, id_, start + 10 * MINUTE) is not None  # and dies here
    assert climb.at(10.5, start) == []
    assert climb.at(11, start) == [BOSS]
    killed_after_sending = alarms.claim(office.client, id_, start + 30 * MINUTE)
    assert killed_after_sending is not None
    assert climb.at(31, start) == [DIRECTOR]
    alarms.advance(office.client, killed_after_sending, 0, start)  # it was only frozen: too late
    assert climb.at(32, start) == []


def test_two_watches_never_tell_a_step_twice(office: Office) -> None:
    climbs = [Climb(office) for _ in range(4)]
    for n in range(3):
        raise_alarm(office, message=f"m_{n}")
    office.pass_(minutes=10)
    with ThreadPoolExecutor(4) as pool:
        walks = [pool.submit(ladder.walk, c.alerts, office.client, c.settings) for c in climbs]
        assert sum(walk.result() for walk in walks) == 3
    assert [mail["To"] for mail in office.read()] == [BOSS] * 3


def test_a_contact_without_a_channel_does_not_stop_the_ladder(office: Office) -> None:
    climb = Climb(office, ALERT_LADDER="0 email; 10 slack; 30 director@ejemplo.bo")
    raise_alarm(office)
    start = office.clock.ms
    assert climb.at(10, start) == []
    assert climb.at(30, start) == [DIRECTOR]


def test_an_alarm_is_raised_once_and_its_record_ends(office: Office) -> None:
    id_ = raise_alarm(office)
    assert alarms.read(office.client, "a_other") is None
    assert alarms.acknowledge(office.client, "a_other", "x", 1) is None
    assert 8 * 86400 - 5 < office.client.ttl(f"alarm:{id_}") <= 8 * 86400
    [waiting] = alarms.waiting(office.client)
    assert (waiting.id, waiting.patient, waiting.rung, waiting.acknowledged_ms) == (id_, "p_1", 1, 0)


def test_the_claim_may_run_twice(client: redis.Redis, office: Office) -> None:
    from shared.state.store import script

    id_ = raise_alarm(office)
    now = office.clock.ms + 10 * MINUTE
    calls = [script("alarm_claim")(client, ["alarms", f"alarm:{id_}"], [id_, "t", now, MINUTE]) for _ in range(2)]
    assert calls[0]
    assert sorted(calls[0]) == sorted(calls[1])


@pytest.mark.parametrize(
    ("text", "rung", "minute", "contacts", "next_rung", "next_minute"),
    [
        (LADDER, 1, 10, ("jefa@ejemplo.bo",), 2, 30),
        (LADDER, 0, 1, ("email",), 1, 10),
        (LADDER, 1, 45, ("jefa@ejemplo.bo", "director@ejemplo.bo"), 3, 75),
        (LADDER, 3, 60, ("email", "jefa@ejemplo.bo", "director@ejemplo.bo"), 3, 90),
        ("0 email slack", 1, 30, ("email", "slack"), 1, 60),
        ("0 email; 0.5 slack", 1, 0.5, ("slack",), 2, 30.5),
    ],
)
def test_the_next_step_follows_from_the_clock(
    text: str, rung: int, minute: float, contacts: tuple[str, ...], next_rung: int, next_minute: float
) -> None:
    alarm = Alarm("a_1", "p_1", "hemoptisis", "emergencia", AT.isoformat(), raised_ms=0, rung=rung)
    told = ladder.step(parse_ladder(text), 30, alarm, round(minute * MINUTE))
    assert told == ladder.Step(contacts, next_rung, round(next_minute * MINUTE))


def test_the_ladder_begins_with_its_second_rung_or_repeats_its_only_one() -> None:
    assert ladder.start(with_email(1, ALERT_LADDER=LADDER), told=True) == (1, 10 * MINUTE)
    assert ladder.start(with_email(1, ALERT_LADDER=LADDER), told=False) == (0, MINUTE)
    assert ladder.start(with_email(1), told=True) == (1, 30 * MINUTE)
