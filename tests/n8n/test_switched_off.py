"""The two workflows that are off: what they do when somebody switches them on."""

from __future__ import annotations

import datetime as dt

import pytest

from shared.state import audit
from tests.n8n.conftest import Front
from tests.n8n.test_front import to_patient

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(900)]


@pytest.fixture
def stopped(front: Front) -> Front:
    """n8n's `execute` needs the instance for itself."""
    front.n8n.stop()
    return front


def visit_tomorrow(front: Front, phone: str, *, agreed: bool) -> str:
    consent = {"date": "2026-10-01", "source": "formulario"} if agreed else None
    front.system.control("agenda/patients", {"phone": phone, "name": "ANA PRUEBA", "whatsapp_consent": consent})
    start = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=23)).replace(microsecond=0)
    visit = front.system.control("agenda", {"phone": phone, "datetime": start.isoformat(), "name": "ANA PRUEBA"})
    return str(visit["appointment_id"])


def test_reminders_are_claimed_sent_once_and_only_to_those_who_agreed(stopped: Front) -> None:
    agreed, silent = "+59170000021", "+59170000022"
    visit_tomorrow(stopped, agreed, agreed=True)
    visit_tomorrow(stopped, silent, agreed=False)
    for _ in range(2):
        stopped.n8n.cli("execute", "--id=canadaAvisos0001")
    (reminder,) = to_patient(stopped.system, agreed)
    assert "Hola Ana" in reminder["text"]
    assert to_patient(stopped.system, silent) == []
    planned = [
        record
        for record in audit.read(stopped.system.store, dt.datetime.now(dt.UTC) - dt.timedelta(minutes=10))
        if record.event == "planned" and reminder["delivery_id"] in record.ids
    ]
    assert [record.detail["by"] for record in planned] == ["n8n"]


def test_the_summary_holds_sums_only(stopped: Front) -> None:
    before = len(stopped.mailbox.mails)
    stopped.n8n.cli("execute", "--id=canadaInforme001")
    (mail,) = stopped.mailbox.mails[before:]
    lines = mail.get_content().strip().splitlines()
    assert all(line.rpartition(": ")[2].isdigit() for line in lines)
    assert any(line.startswith("Mensajes recibidos: ") and not line.endswith(": 0") for line in lines)
