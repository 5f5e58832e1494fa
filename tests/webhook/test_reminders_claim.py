"""POST /reminders/claim: who may send a reminder from outside, and that nobody gets two."""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from flask import Flask
from flask.testing import FlaskClient

from shared.identity import patient_id
from shared.settings import Settings
from shared.state import audit, reminders
from webhook import reminders_claim

NUMBER = "+59170123456"
PATIENT = patient_id(b"test-key", "59170123456")
START = dt.datetime(2026, 11, 24, 14, 0, tzinfo=dt.UTC)
ASKED = {"appointment_id": "17", "start": "2026-11-24T10:00:00-04:00", "kind": "ahead", "phone": NUMBER}
AGREED = ASKED | {"consent": True}
DAYTIME = dt.datetime(2026, 11, 23, 14, 0, tzinfo=dt.UTC)  # 10:00 in La Paz
HEADERS = {"Authorization": "Bearer chat-key"}


def application(settings: Settings, client: redis.Redis, now: dt.datetime = DAYTIME) -> FlaskClient:
    app = Flask("claims")
    app.register_blueprint(reminders_claim.blueprint(settings, client, lambda: now))
    return app.test_client()


@pytest.fixture
def web(app_settings: Settings, client: redis.Redis) -> FlaskClient:
    return application(app_settings, client)


def ask(web: FlaskClient, **changes: Any) -> dict[str, Any]:
    answered = web.post("/reminders/claim", json=AGREED | changes, headers=HEADERS)
    assert answered.status_code == 200
    return dict(answered.json or {})


def test_the_first_gets_the_claim_and_the_next_does_not(web: FlaskClient) -> None:
    first = ask(web)
    assert (first["claimed"], first["why"]) == (True, "claimed")
    assert ask(web) == {"claimed": False, "why": "already"}


def test_one_instant_in_two_zones_is_one_claim(web: FlaskClient) -> None:
    assert ask(web)["claimed"]
    assert ask(web, start="2026-11-24T14:00:00Z")["why"] == "already"


@pytest.mark.parametrize(
    "changes", [{"kind": "same_day"}, {"start": "2026-11-25T10:00:00-04:00"}], ids=["kind", "start"]
)
def test_another_kind_or_start_is_another_reminder(changes: dict[str, str], web: FlaskClient) -> None:
    assert ask(web)["claimed"]
    assert ask(web, **changes)["claimed"]


def test_it_is_the_claim_of_our_own_reminders(web: FlaskClient, client: redis.Redis) -> None:
    client.set(reminders.claim_key("17", START, "ahead"), "r_ours")
    assert ask(web) == {"claimed": False, "why": "already"}


def test_without_a_yes_nobody_is_reminded(web: FlaskClient, client: redis.Redis) -> None:
    assert ask(web, consent=False) == {"claimed": False, "why": "no_consent"}
    client.set(f"consent:{PATIENT}", "{}")
    assert ask(web, consent=False)["claimed"]


def test_who_wrote_baja_is_left_alone(web: FlaskClient, client: redis.Redis) -> None:
    client.set(f"optout:{PATIENT}", "1")
    assert ask(web) == {"claimed": False, "why": "opted_out"}


def test_an_opt_out_under_another_name_counts(web: FlaskClient, client: redis.Redis) -> None:
    client.set(f"alias:{PATIENT}", "p_known_before")
    client.set("optout:p_known_before", "1")
    assert ask(web)["why"] == "opted_out"


def test_at_night_nothing_is_claimed(app_settings: Settings, client: redis.Redis) -> None:
    night = DAYTIME.replace(hour=2)  # 22:00 in La Paz
    assert ask(application(app_settings, client, night)) == {"claimed": False, "why": "quiet_hours"}
    assert ask(application(app_settings, client))["claimed"]


def test_metas_limit_of_people_holds_and_who_was_refused_is_not_claimed(
    app_settings: Settings, client: redis.Redis
) -> None:
    web = application(app_settings.model_copy(update={"UNIQUE_USERS_PER_DAY": 1}), client)
    other = {"appointment_id": "18", "phone": "+59170000018"}
    assert ask(web)["claimed"]
    assert ask(web, **other) == {"claimed": False, "why": "limit"}
    client.delete("contacted")  # the day is over
    assert ask(web, **other)["claimed"]


def test_the_audit_says_who_claimed_and_holds_no_number(web: FlaskClient, client: redis.Redis) -> None:
    claimed = ask(web, ref="CC-0017")
    (record,) = audit.read(client, dt.datetime.now(dt.UTC) - dt.timedelta(minutes=1))
    assert (record.event, record.patient, record.ids) == ("planned", PATIENT, (claimed["delivery_id"],))
    assert record.detail == {
        "appointment": "17",
        "ref": "CC-0017",
        "start": "2026-11-24T14:00:00+00:00",
        "reminder": "ahead",
        "kind": "reminder",
        "patient": PATIENT,
        "by": "n8n",
    }


@pytest.mark.parametrize("arrived", [False, True])
def test_what_does_not_arrive_is_called_about(arrived: bool, web: FlaskClient, client: redis.Redis) -> None:
    claimed = ask(web, ref="CC-0017")["delivery_id"]
    if arrived:
        client.hset(f"delivery:{claimed}", "status", "delivered")  # as a status of Meta does
    client.zadd("unconfirmed", {claimed: 0})  # its time is over
    reminders.call_about_unconfirmed(client)
    lines = [json.loads(line) for line in client.hvals("calls")]
    assert [(line["ref"], line["why"], line["patient"]) for line in lines] == (
        [] if arrived else [("CC-0017", "not_delivered", PATIENT)]
    )


def test_of_many_at_once_one_gets_it(app_settings: Settings, client: redis.Redis) -> None:
    web = application(app_settings, client).application
    with ThreadPoolExecutor(16) as pool:
        whys = list(pool.map(lambda _: ask(web.test_client())["why"], range(48)))
    assert Counter(whys) == {"claimed": 1, "already": 47}


def test_a_call_whose_answer_was_lost_is_repeated_and_keeps_the_claim(client: redis.Redis) -> None:
    script = reminders.script("remind_elsewhere")
    keys, args = ["reminded:1:x:ahead", "delivery:r_1", "unconfirmed"], [60, "r_1 n8n a", "r_1", "p_1", 1, "{}", "{}"]
    assert [script(client, keys, args) for _ in range(2)] == [1, 1]
    assert client.xlen("audit") == 1
    assert script(client, keys, [60, "r_1 n8n b", *args[2:]]) == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        AGREED | {"start": "2026-11-24T10:00:00"},
        AGREED | {"start": "tomorrow"},
        AGREED | {"kind": "weekly"},
        AGREED | {"phone": "nobody"},
        AGREED | {"appointment_id": ""},
        AGREED | {"consent": "perhaps"},
    ],
    ids=str,
)
def test_a_mistake_is_a_problem_in_words(body: object, web: FlaskClient) -> None:
    answered = web.post("/reminders/claim", json=body, headers=HEADERS)
    assert answered.status_code == 422
    assert answered.mimetype == "application/problem+json"
    assert answered.json is not None
    assert answered.json["title"] == "unreadable request"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer no"}], ids=["none", "wrong"])
def test_without_the_key_nothing_is_claimed(headers: dict[str, str], web: FlaskClient, client: redis.Redis) -> None:
    assert web.post("/reminders/claim", json=AGREED, headers=headers).status_code == 401
    assert client.keys("reminded:*") == []


def test_the_webhook_process_has_the_route(app: Flask) -> None:
    assert app.test_client().post("/reminders/claim", json=AGREED).status_code == 401
