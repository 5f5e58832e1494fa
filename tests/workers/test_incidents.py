"""What workers see of their partners opens an incident, and their next success closes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.alerts.kinds import title_of
from shared.errors import BadCredentials, PartnerRefused, RetryLater
from shared.messages import Delivery, DeliveryKind, Reply, Template
from shared.state.inbox import Outgoing
from tests.shared.alerts.conftest import Office, office, post_office  # noqa: F401 - fixtures
from tests.workers.fakes import Clinic
from workers.deliver import deliver
from workers.drain import drain
from workers.services import Services


def ask(clinic: Clinic, services: Services) -> None:
    clinic.end_delay()
    clinic.says("¿cuándo es mi cita?")
    drain(services, clinic.patient)


def send(clinic: Clinic, services: Services) -> None:
    ask(clinic, services)
    deliver(services, clinic.patient, "normal")


def break_backend(clinic: Clinic) -> None:
    clinic.agenda.errors = [RetryLater("down"), RetryLater("down")]


def break_credentials(clinic: Clinic) -> None:
    clinic.whatsapp.errors = [BadCredentials(code=190), BadCredentials(code=190)]


@pytest.mark.parametrize(
    ("kind", "break_it", "step"),
    [("backend_down", break_backend, ask), ("credentials", break_credentials, send)],
)
def test_a_partner_that_fails_is_told_once_and_closed_by_the_next_success(
    office: Office,  # noqa: F811
    clinic: Clinic,
    kind: str,
    break_it: Callable[[Clinic], None],
    step: Callable[[Clinic, Services], None],
) -> None:
    one, two = (replace(clinic.services, alerts=office.process()) for _ in range(2))
    break_it(clinic)
    step(clinic, one)
    step(clinic, two)
    assert office.subjects() == [f"incidente abierto: {title_of(kind)}"]
    office.pass_(minutes=3)
    two.alerts.incidents.refresh()
    step(clinic, two)
    step(clinic, one)
    assert office.subjects() == [f"incidente cerrado: {title_of(kind)}"]


def test_a_template_that_meta_paused_is_told_by_its_name(office: Office, clinic: Clinic) -> None:  # noqa: F811
    services = replace(clinic.services, alerts=office.process())
    reply = Reply(template=Template(name="recordatorio_cita", language="es"))
    delivery = Delivery(id="d_1", kind=DeliveryKind.REMINDER, reply=reply, created_at=services.now())
    clinic.says("hola")
    queue(clinic, Outgoing(delivery))
    clinic.whatsapp.errors = [PartnerRefused(code=132015)]
    deliver(services, clinic.patient, "normal")
    assert office.subjects() == ["incidente abierto: Una plantilla no se puede usar (recordatorio_cita)"]


def queue(clinic: Clinic, outgoing: Outgoing) -> None:
    """Put a delivery at the head of the lane, as a commit does."""
    delivery = outgoing.delivery
    clinic.client.rpush(f"outbox:{clinic.patient}:normal", f"{delivery.id}|{delivery.to_json()}")
    clinic.client.hset(f"delivery:{delivery.id}", mapping={"kind": delivery.kind.value, "state": "queued"})
