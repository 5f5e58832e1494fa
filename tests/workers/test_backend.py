"""What odd answers of the appointments backend do to the client: one bad row costs one row, a riddle is never a yes."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared.conversation import PatientRecord
from shared.errors import AssistantError, NotFound, OutcomeUnknown, PartnerRefused, RetryLater, SlotUnavailable
from shared.settings import Settings
from tests.workers.http_server import Answer, Asked, Handler, HttpServer, script, serving
from workers.appointments import Appointments

ZONE = ZoneInfo("America/La_Paz")
START = dt.datetime(2026, 11, 24, 10, tzinfo=ZONE)
PHONE = "+59170000001"
ROW = {"appointment_id": "a1", "ref": "CC-0001", "datetime": "2026-11-24T10:00:00-04:00", "status": "scheduled"}


@contextmanager
def agenda(handler: Handler, **more: Any) -> Iterator[tuple[Appointments, HttpServer]]:
    with serving(handler) as server:
        chosen: dict[str, Any] = {"SEGUIMIENTO_SERVICE_URL": server.url, "SEGUIMIENTO_TIMEOUT": 0.3} | more
        client = Appointments(Settings(_env_file=None, **chosen))
        try:
            yield client, server
        finally:
            client.close()


def test_an_odd_row_is_skipped_and_counted() -> None:
    odd = [
        None,
        "x",
        {},
        ROW | {"datetime": "2026-11-24T10:00:00"},
        ROW | {"datetime": 5},
        ROW | {"appointment_id": None},
        ROW | {"datetime": "9999-12-31T23:59:59-12:00"},
    ]
    secret = {"user": {"contrasena": "x"}, "name": None, "phone": 7}
    rows = [*odd, ROW | secret, ROW | {"appointment_id": 42, "datetime": "2026-11-24T14:00:00.000Z"}]
    with agenda(script(Answer(body=rows))) as (client, _):
        first, second = client.of_patient(PHONE)
        assert client.skipped_rows == len(odd)
    assert (first.start, first.name, first.phone) == (START, "", "")
    assert (second.id, second.start) == ("42", START)


def test_odd_times_and_alternatives_are_skipped() -> None:
    slots = {"free": ["10:00", "25:00", None, "8:30", "08:30", "09:00+02:00"]}
    taken = {"error": "slot_taken", "alternatives": ["2026-11-24T10:30:00-04:00", "mañana", "2026-11-24T11:00:00", 4]}
    with agenda(script(Answer(body=slots), Answer(409, taken), Answer(409, b"no"))) as (client, _):
        assert [slot.time() for slot in client.free_slots(START.date())] == [dt.time(8, 30), dt.time(10)]
        with pytest.raises(SlotUnavailable) as refused:
            client.schedule(PHONE, START, None, None, "k")
        assert refused.value.alternatives == (START + dt.timedelta(minutes=30),)
        with pytest.raises(SlotUnavailable) as refused:
            client.schedule(PHONE, START, None, None, "k")
        assert (refused.value.reason, refused.value.alternatives) == ("slot_taken", ())


@pytest.mark.parametrize("body", [{}, {"data": []}, None, "x", b"<html>"])
def test_a_list_of_another_shape_is_for_later(body: Any) -> None:
    with agenda(script(Answer(body=body))) as (client, _):
        for read in (lambda: client.of_patient(PHONE), lambda: client.free_slots(START.date())):
            with pytest.raises(RetryLater):
                read()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(404, {"error": "not_found"}), NotFound),
        (Answer(404, {"message": "Cannot GET /appointments", "statusCode": 404}), PartnerRefused),
        (Answer(404, b"<html>"), PartnerRefused),
        (Answer(400, {"message": ["x"]}), PartnerRefused),
        (Answer(302, b"", {"Location": "/login"}), PartnerRefused),
        (Answer(408, {}), RetryLater),
        (Answer(500, {}), RetryLater),
    ],
)
def test_the_status_of_a_read_names_its_error(answer: Answer, expected: type[AssistantError]) -> None:
    with agenda(script(answer)) as (client, _), pytest.raises(AssistantError) as failed:
        client.of_patient(PHONE)
    assert type(failed.value) is expected


@pytest.mark.parametrize(
    ("body", "record"),
    [
        (
            {"name": "Rosa", "registered": True, "last_visit": "2026-10-24T09:00:00-04:00"},
            PatientRecord(registered=True, name="Rosa", last_visit=dt.date(2026, 10, 24)),
        ),
        ({"name": 5, "registered": "sí", "last_visit": "ayer"}, PatientRecord()),
        ({"name": ""}, PatientRecord(registered=True)),
    ],
)
def test_a_patient_is_read_defensively(body: dict[str, Any], record: PatientRecord) -> None:
    with agenda(script(Answer(body=body))) as (client, server):
        assert client.patient(PHONE) == record
    assert server.asked[0].path == f"/patients/{PHONE}"


def test_both_tries_carry_the_same_key() -> None:
    answers = script(Answer(then="hang up"), Answer(body=[]), Answer(201, ROW))
    with agenda(answers) as (client, server):
        assert client.schedule(PHONE, START, None, None, "clave-7").id == "a1"
    first, read, second = server.asked
    assert (first.path, read.path, second.path) == ("/appointments/schedule", "/appointments", "/appointments/schedule")
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == "clave-7"
    assert first.body == second.body == {"phone": PHONE, "datetime": "2026-11-24T10:00:00-04:00"}


def test_a_slot_taken_by_our_own_lost_try_is_our_booking() -> None:
    """The first try was still under way when it was looked for."""
    row = ROW | {"phone": PHONE}
    answers = script(Answer(then="hang up"), Answer(body=[]), Answer(409, {"error": "slot_taken"}), Answer(body=[row]))
    with agenda(answers) as (client, _):
        assert client.schedule(PHONE, START, None, None, "k").ref == "CC-0001"


def test_a_slot_taken_by_somebody_else_stays_taken() -> None:
    answers = script(Answer(then="hang up"), Answer(body=[]), Answer(409, {"error": "slot_taken"}), Answer(body=[]))
    with agenda(answers) as (client, _), pytest.raises(SlotUnavailable):
        client.schedule(PHONE, START, None, None, "k")


def test_a_refusal_that_cannot_be_checked_is_unknown() -> None:
    """ "Taken" after a lost try may be ourselves, and the list does not answer."""
    answers = script(Answer(then="hang up"), Answer(500, {}), Answer(409, {"error": "slot_taken"}), Answer(500, {}))
    with agenda(answers) as (client, _), pytest.raises(OutcomeUnknown):
        client.schedule(PHONE, START, None, None, "k")


def test_a_success_without_its_content_is_read_back() -> None:
    with agenda(script(Answer(201, {"ok": True}), Answer(body=[ROW]))) as (client, _):
        assert client.schedule(PHONE, START, None, None, "k").id == "a1"


def test_an_odd_row_still_counts_as_a_visit_that_was_not_cancelled() -> None:
    odd = [ROW | {"datetime": "??"}]
    answers = script(Answer(then="hang up"), Answer(body=odd), Answer(then="hang up"), Answer(body=odd))
    with agenda(answers) as (client, server), pytest.raises(OutcomeUnknown):
        client.cancel("a1", "k", phone=PHONE)
    assert [asked.method for asked in server.asked] == ["POST", "GET", "POST", "GET"]


def test_a_hung_read_is_given_up_after_one_timeout() -> None:
    with agenda(script(Answer(then="never"))) as (client, server):
        begin = time.monotonic()
        with pytest.raises(RetryLater):
            client.of_patient(PHONE)
        assert time.monotonic() - begin < 2
    assert len(server.asked) == 1


def test_an_alert_waits_no_longer_than_it_is_told() -> None:
    with agenda(script(Answer(then="never")), SEGUIMIENTO_TIMEOUT=30) as (client, server):
        begin = time.monotonic()
        with pytest.raises(OutcomeUnknown):
            client.alert(PHONE, "hemoptisis", "emergencia", START, timeout_s=0.2)
        assert time.monotonic() - begin < 2
    assert len(server.asked) == 1


def test_an_idle_connection_that_was_closed_costs_no_request() -> None:
    def handler(asked: Asked) -> Answer:
        return Answer(body=[], then="close after")

    with agenda(handler) as (client, server):
        for _ in range(5):
            assert client.of_patient(PHONE) == []
            assert server.closed.acquire(timeout=5)
    assert len({asked.client_port for asked in server.asked}) == 5


def test_a_time_without_zone_is_a_mistake_of_ours() -> None:
    with agenda(script(Answer(201, ROW))) as (client, server), pytest.raises(ValueError, match="without zone"):
        client.schedule(PHONE, dt.datetime(2026, 11, 24, 10), None, None, "k")  # noqa: DTZ001
    assert server.asked == []
