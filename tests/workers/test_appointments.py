"""The appointments client keeps its promises against two backends: one in memory here, and the simulator's."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from shared.conversation import Appointment, PatientRecord
from shared.errors import AssistantError, BadCredentials, NotFound, OutcomeUnknown, RetryLater, SlotUnavailable
from shared.settings import Settings
from tests.workers.backends import (
    KNOWN,
    NAME,
    TOKEN,
    UNKNOWN,
    ZONE,
    Backend,
    MemoryBackend,
    SimulatedBackend,
    a_free_day,
    memory_backend,
    simulated_backend,
)
from tests.workers.http_server import closed_port
from workers.appointments import Appointments, build_appointments

DAY = a_free_day()
TEN = dt.datetime.combine(DAY, dt.time(10), ZONE)
ELEVEN = TEN + dt.timedelta(hours=1)


def settings(url: str, **more: Any) -> Settings:
    chosen: dict[str, Any] = {"SEGUIMIENTO_TOKEN": TOKEN, "SEGUIMIENTO_TIMEOUT": 5} | more
    return Settings(_env_file=None, SEGUIMIENTO_SERVICE_URL=url, **chosen)


@pytest.fixture(scope="module")
def simulator() -> Iterator[SimulatedBackend]:
    with simulated_backend() as backend:
        yield backend


@pytest.fixture(params=["memory", "simulator"])
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    if request.param == "memory":
        with memory_backend() as memory:
            yield memory
    else:
        simulator: SimulatedBackend = request.getfixturevalue("simulator")
        simulator.reset()
        yield simulator


@pytest.fixture
def agenda(backend: Backend) -> Iterator[Appointments]:
    client = build_appointments(settings(backend.url))
    yield client
    client.close()


def mine(agenda: Appointments) -> list[Appointment]:
    return [visit for visit in agenda.of_patient(KNOWN) if visit.start.date() == DAY]


def book(agenda: Appointments, start: dt.datetime = TEN, key: str = "libro-1") -> Appointment:
    return agenda.schedule(KNOWN, start, "medicamentos", NAME, key)


def test_a_visit_is_booked_moved_confirmed_and_cancelled(agenda: Appointments) -> None:
    booked = book(agenda)
    assert (booked.start, booked.status, booked.phone, booked.reason) == (TEN, "scheduled", KNOWN, "medicamentos")
    assert booked.ref.startswith("CC-")
    [listed] = mine(agenda)
    assert (listed.id, listed.ref, listed.start, listed.name) == (booked.id, booked.ref, TEN, NAME)
    assert listed.start.utcoffset() == dt.timedelta(hours=-4)
    moved = agenda.reschedule(booked.id, ELEVEN, "muevo-1")
    assert (moved.id, moved.start, moved.status) == (booked.id, ELEVEN, "rescheduled")
    agenda.confirm(booked.id, "confirmo-1")
    assert [(visit.start, visit.status) for visit in mine(agenda)] == [(ELEVEN, "confirmed")]
    agenda.cancel(booked.id, "cancelo-1")
    assert mine(agenda) == []


@pytest.mark.parametrize(
    ("start", "reason"),
    [(TEN, "slot_taken"), (TEN + dt.timedelta(days=5), "closed"), (TEN - dt.timedelta(days=70), "past")],
    ids=["taken", "a Sunday", "past"],
)
def test_a_time_that_is_not_free_says_why_and_offers_others(
    agenda: Appointments, start: dt.datetime, reason: str
) -> None:
    book(agenda)
    with pytest.raises(SlotUnavailable) as refused:
        agenda.schedule(UNKNOWN, start, None, None, "libro-2")
    assert (refused.value.reason, refused.value.alert) == (reason, False)
    assert all(other.tzinfo for other in refused.value.alternatives)
    if reason == "slot_taken":
        assert refused.value.alternatives
    visit = book(agenda, ELEVEN, "libro-3")
    with pytest.raises(SlotUnavailable):
        agenda.reschedule(visit.id, start, "muevo-2")


def test_a_visit_that_does_not_exist_is_not_found(agenda: Appointments) -> None:
    with pytest.raises(NotFound):
        agenda.cancel("apt-99999", "k-1")
    with pytest.raises(NotFound):
        agenda.confirm("apt-99999", "k-2")
    with pytest.raises(NotFound):
        agenda.reschedule("apt-99999", TEN, "k-3")


def test_the_same_key_books_once(agenda: Appointments) -> None:
    first, again = book(agenda), book(agenda)
    assert first.id == again.id
    assert len(mine(agenda)) == 1


def test_free_times_are_aware_and_shrink(agenda: Appointments) -> None:
    before = agenda.free_slots(DAY)
    assert TEN in before
    assert all(slot.tzinfo for slot in before)
    book(agenda)
    assert agenda.free_slots(DAY) == [slot for slot in before if slot != TEN]
    assert agenda.free_slots(DAY + dt.timedelta(days=5)) == []


def test_a_patient_is_known_or_not(agenda: Appointments) -> None:
    known = agenda.patient(KNOWN)
    assert (known.registered, known.name) == (True, NAME)
    assert known.last_visit is not None
    assert agenda.patient(UNKNOWN) == PatientRecord()
    assert agenda.of_patient(UNKNOWN) == []


def test_upcoming_looks_as_far_as_it_is_told(agenda: Appointments) -> None:
    booked = book(agenda)
    assert booked.id not in [visit.id for visit in agenda.upcoming()]
    assert booked.id in [visit.id for visit in agenda.upcoming(hours=24 * 30)]


def test_missed_visits_are_a_list_or_unknown(agenda: Appointments, backend: Backend) -> None:
    assert agenda.missed(DAY) == []
    backend.knows_missed(False)
    assert agenda.missed(DAY) is None


def test_an_alert_is_told_once_by_phone_or_user_id(agenda: Appointments, backend: Backend) -> None:
    for patient in (KNOWN, KNOWN, "BO.1349120865530274"):
        agenda.alert(patient, "hemoptisis", "emergencia", TEN)
    told = [(alert.get("phone"), alert.get("user_id"), alert["category"], alert["at"]) for alert in backend.alerts()]
    at = TEN.isoformat()
    assert told == [(KNOWN, None, "hemoptisis", at), (None, "BO.1349120865530274", "hemoptisis", at)]


DONE = [{"drop": "after"}, {"raw_body": "", "status": 502, "commit": True}]
NOT_DONE = [{"drop": "before"}, {"raw_body": "<html>Bad gateway</html>", "status": 502}]
LOST = pytest.mark.parametrize("fault", DONE + NOT_DONE, ids=["drop after", "502 after", "drop before", "502 before"])


@LOST
def test_a_booking_whose_answer_was_lost_is_made_exactly_once(
    agenda: Appointments, backend: Backend, fault: dict[str, Any]
) -> None:
    backend.fault(kind="schedule", **fault)
    booked = book(agenda)
    assert [visit.id for visit in mine(agenda)] == [booked.id]


@LOST
def test_a_move_whose_answer_was_lost_is_made(agenda: Appointments, backend: Backend, fault: dict[str, Any]) -> None:
    visit = book(agenda)
    backend.fault(kind="reschedule", **fault)
    assert agenda.reschedule(visit.id, ELEVEN, "muevo-1").start == ELEVEN
    assert [visit.start for visit in mine(agenda)] == [ELEVEN]


@LOST
@pytest.mark.parametrize("phone", [None, KNOWN])
def test_a_cancellation_whose_answer_was_lost_is_made(
    agenda: Appointments, backend: Backend, fault: dict[str, Any], phone: str | None
) -> None:
    visit = book(agenda)
    backend.fault(kind="cancel", **fault)
    agenda.cancel(visit.id, "cancelo-1", phone=phone)
    assert mine(agenda) == []


@LOST
def test_a_confirmation_whose_answer_was_lost_is_made(
    agenda: Appointments, backend: Backend, fault: dict[str, Any]
) -> None:
    visit = book(agenda)
    backend.fault(kind="confirm", **fault)
    agenda.confirm(visit.id, "confirmo-1")
    assert [visit.status for visit in mine(agenda)] == ["confirmed"]


def test_an_answer_lost_twice_is_still_read_back(agenda: Appointments, backend: Backend) -> None:
    backend.fault(kind="schedule", drop="before")
    backend.fault(kind="schedule", drop="after")
    booked = book(agenda)
    assert [visit.id for visit in mine(agenda)] == [booked.id]


def test_a_write_that_is_lost_for_ever_is_unknown(agenda: Appointments, backend: Backend) -> None:
    backend.fault(kind="schedule", drop="before", times=0)
    with pytest.raises(OutcomeUnknown):
        book(agenda)
    assert mine(agenda) == []


def test_a_write_that_nobody_can_read_back_is_unknown(agenda: Appointments, backend: Backend) -> None:
    backend.fault(kind=None, drop="after", times=0)
    with pytest.raises(OutcomeUnknown):
        book(agenda)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ({"body_status": 500}, RetryLater),
        ({"body_status": 404}, NotFound),
        ({"status": 503}, RetryLater),
        ({"status": 429, "headers": {"Retry-After": "7"}}, RetryLater),
    ],
    ids=["500 inside a 200", "404 inside a 200", "503", "429"],
)
def test_an_error_with_a_body_is_no_riddle(
    agenda: Appointments, backend: Backend, fault: dict[str, Any], expected: type[AssistantError]
) -> None:
    visit = book(agenda)
    backend.fault(kind="cancel", **fault)
    with pytest.raises(expected) as refused:
        agenda.cancel(visit.id, "cancelo-1")
    assert len(mine(agenda)) == 1
    if isinstance(refused.value, RetryLater):
        assert refused.value.after_s == (7.0 if "headers" in fault else None)


@pytest.mark.parametrize("fault", [{"status": 500}, {"raw_body": "", "status": 502}, {"body_status": 503}])
def test_a_read_that_fails_is_for_later(agenda: Appointments, backend: Backend, fault: dict[str, Any]) -> None:
    backend.fault(kind="list", **fault)
    with pytest.raises(RetryLater):
        agenda.of_patient(KNOWN)


def test_a_read_into_a_closing_connection_is_repeated(agenda: Appointments, backend: Backend) -> None:
    backend.fault(kind="list", drop="before")
    assert agenda.of_patient(UNKNOWN) == []


def test_a_wrong_token_is_a_matter_of_credentials(backend: Backend) -> None:
    agenda = Appointments(settings(backend.url, SEGUIMIENTO_TOKEN="otra"))
    with pytest.raises(BadCredentials):
        agenda.of_patient(KNOWN)
    with pytest.raises(BadCredentials):
        book(agenda)
    agenda.close()


def test_nobody_listening_means_that_nothing_was_done() -> None:
    agenda = Appointments(settings(f"http://127.0.0.1:{closed_port()}"))
    with pytest.raises(RetryLater):
        book(agenda)
    with pytest.raises(RetryLater):
        agenda.of_patient(KNOWN)
    agenda.close()


def test_no_number_name_or_token_reaches_a_log_or_an_error(
    agenda: Appointments, backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    book(agenda)
    agenda.patient(KNOWN)
    backend.fault(kind=None, drop="before", times=0)
    calls = (lambda: agenda.patient(KNOWN), lambda: agenda.of_patient(KNOWN), lambda: book(agenda, ELEVEN, "k"))
    for call in calls:
        with pytest.raises(AssistantError) as failed:
            call()
        logging.getLogger("prueba").error("falló", exc_info=failed.value)
    for secret in (KNOWN[1:], NAME, TOKEN):
        assert secret not in caplog.text


def test_the_memory_backend_is_what_these_tests_think(agenda: Appointments, backend: Backend) -> None:
    """Every write carried a key: the memory backend would have failed without one."""
    if isinstance(backend, MemoryBackend):
        book(agenda)
        assert list(backend.told) == ["libro-1"]
