"""n8n in front of the whole system: simulator, webhook and worker as real processes, and a mail server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.processes import ROOT
from tests.n8n.n8n import N8n
from tests.processes.system import APP_SECRET, PHONE_NUMBER_ID, System, started
from tests.shared.alerts.mail import Mailbox, mail_server


@dataclass
class Front:
    """Patients write to n8n, which asks the system behind it."""

    n8n: N8n
    system: System
    mailbox: Mailbox
    imported: str  # what the import said


@pytest.fixture(scope="session")
def installed() -> Path:
    """Where n8n is; `make test-n8n` installs it there first."""
    folder = Path(os.environ.get("N8N_DIR") or ROOT / "var" / "n8n")
    done = subprocess.run(["bash", str(Path(__file__).parent / "install.sh"), str(folder)], check=False)
    assert done.returncode == 0, "n8n could not be installed"
    return folder.resolve()


@pytest.fixture(scope="session")
def front(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    n8n = N8n(installed, tmp_path_factory.mktemp("n8n"))
    behind = {"WEBHOOK_URL": f"{n8n.url}/webhook/whatsapp", "QUIET_HOURS": "0-0", "REMINDER_SPREAD_MINUTES": "0"}
    with mail_server() as (mailbox, smtp_port), started(tmp_path_factory.mktemp("system"), **behind) as system:
        system.start_worker()
        n8n.configure(
            ASSISTANT_URL=system.url,
            CHAT_API_KEY="chat-key",
            WHATSAPP_APP_SECRET=f"{APP_SECRET},the-old-secret",
            WHATSAPP_VERIFY_TOKEN="verify",
            WHATSAPP_ACCESS_TOKEN="test-token",
            WHATSAPP_PHONE_NUMBER_ID=PHONE_NUMBER_ID,
            WHATSAPP_API_URL=system.world,
            SEGUIMIENTO_SERVICE_URL=f"{system.world}/backend",
            SMTP_HOST="127.0.0.1",
            SMTP_PORT=str(smtp_port),
            SMTP_STARTTLS="false",
            ALERT_EMAIL_TO="enfermeria@ejemplo.bo",
            ALERT_EMAIL_FROM="asistente@ejemplo.bo",
        )
        imported = n8n.import_workflows(publish_also="canadaAvisos0001 canadaInforme001")
        for switched_off in ("canadaAvisos0001", "canadaInforme001"):
            n8n.cli("unpublish:workflow", f"--id={switched_off}")
        n8n.start()
        try:
            yield Front(n8n, system, mailbox, imported)
        finally:
            n8n.stop()
