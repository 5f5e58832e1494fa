"""What becomes of a reply by the error that meets it."""

from __future__ import annotations

import pytest

from shared.errors import AssistantError, BadCredentials, OutcomeUnknown, PartnerRefused, RetryLater
from shared.messages import DeliveryState, Template
from tests.workers.fakes import Clinic
from workers.deliver import PAIR_RATE, incident_of, next_state


@pytest.mark.parametrize(
    ("error", "attempts", "state", "wait_s"),
    [
        (OutcomeUnknown(), 1, DeliveryState.UNKNOWN, 1),
        (BadCredentials(code=190), 9, DeliveryState.QUEUED, 60),
        (RetryLater(after_s=7.0), 1, DeliveryState.QUEUED, 7),
        (RetryLater(code=PAIR_RATE), 4, DeliveryState.QUEUED, 1),
        (RetryLater(), 50, DeliveryState.QUEUED, 60),
        (RetryLater(partner_down=False), 2, DeliveryState.QUEUED, 5),
        (RetryLater(partner_down=False), 3, DeliveryState.FAILED, 0),
        (PartnerRefused(code=131026), 1, DeliveryState.FAILED, 0),
    ],
    ids=str,
)
def test_the_next_state_follows_from_the_error(
    error: AssistantError, attempts: int, state: DeliveryState, wait_s: float
) -> None:
    assert next_state(error, attempts) == (state, wait_s)


def test_a_refusal_for_the_pair_rate_waits_as_meta_asks_whatever_else_failed_before() -> None:
    waits = [next_state(RetryLater(code=PAIR_RATE), 4 + n, n)[1] for n in range(6)]
    assert waits == [1, 4, 16, 64, 256, 256]


def queue_a_reply(clinic: Clinic) -> None:
    clinic.says("¿qué es la tuberculosis?")
    clinic.drain()


def test_a_rate_limit_keeps_the_reply_and_its_order(clinic: Clinic) -> None:
    queue_a_reply(clinic)
    clinic.says("gracias")
    clinic.drain()
    clinic.whatsapp.errors = [RetryLater(code=PAIR_RATE)]
    clinic.deliver()
    assert clinic.received() == []
    clinic.deliver()
    assert "bacteria" in clinic.received()[0]
    assert len(clinic.received()) == 2


def test_a_refused_reply_is_set_aside_and_staff_are_told(clinic: Clinic) -> None:
    queue_a_reply(clinic)
    clinic.whatsapp.errors = [PartnerRefused(code=131026)]
    clinic.deliver()
    assert clinic.client.llen("dead") == 1
    assert "send_refused" in clinic.alerts.incidents
    assert clinic.client.exists(f"outbox:{clinic.patient}:normal") == 0


def test_a_timeout_is_not_repeated_at_once(clinic: Clinic) -> None:
    queue_a_reply(clinic)
    clinic.whatsapp.errors = [OutcomeUnknown()]
    clinic.deliver()
    clinic.deliver()
    assert clinic.received() == []
    key = next(clinic.client.scan_iter("delivery:*"))
    assert clinic.client.hget(key, "state") == "unknown"


def test_outside_the_window_free_text_is_not_sent(clinic: Clinic) -> None:
    import datetime as dt

    queue_a_reply(clinic)
    clinic.clock = lambda: dt.datetime.now(dt.UTC) + dt.timedelta(hours=25)
    clinic.deliver()
    assert clinic.received() == []
    key = next(clinic.client.scan_iter("delivery:*"))
    assert clinic.client.hget(key, "code") == "131047"


def test_an_urgent_reply_finds_a_seat_when_all_others_wait_for_meta(clinic: Clinic) -> None:
    while clinic.services.deliveries.take():
        pass
    queue_a_reply(clinic)
    clinic.says("no puedo respirar")
    clinic.triage()
    clinic.deliver("normal")
    assert clinic.received() == []
    clinic.deliver("urgent")
    assert "AHORA" in clinic.received()[0]


def test_refused_credentials_wait_and_call_somebody(clinic: Clinic) -> None:
    queue_a_reply(clinic)
    clinic.whatsapp.errors = [BadCredentials(code=190)]
    clinic.deliver()
    assert clinic.client.llen(f"outbox:{clinic.patient}:normal") == 1
    assert clinic.client.zscore("outgoing", f"{clinic.patient}:normal") > clinic.client.time()[0] * 1000 + 50_000
    assert clinic.alerts.incidents == ["credentials"]
    clinic.deliver()
    assert "credentials" in clinic.alerts.resolved


@pytest.mark.parametrize("code", [132015, 132016])
def test_a_template_that_meta_stopped_is_an_incident_of_its_own(code: int) -> None:
    template = Template(name="recordatorio_cita", language="es")
    assert incident_of(PartnerRefused(code=code), template) == "template_paused:recordatorio_cita"
    assert incident_of(PartnerRefused(code=131026), template) == "send_refused"
