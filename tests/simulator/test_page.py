"""The chat page in a real browser, against a tiny assistant that answers with buttons."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from simulator.app import Simulator
from simulator.options import Options
from simulator.server import Server

pytestmark = pytest.mark.browser
ASK = {
    "type": "interactive",
    "interactive": {
        "type": "button",
        "body": {"text": "¿Confirma su cita de *mañana a las 10:00*?"},
        "action": {
            "buttons": [
                {"type": "reply", "reply": {"id": "cita:si", "title": "Confirmar"}},
                {"type": "reply", "reply": {"id": "cita:no", "title": "Otra hora"}},
            ]
        },
    },
}
OFFER = {
    "type": "interactive",
    "interactive": {
        "type": "list",
        "body": {"text": "Elija un horario"},
        "action": {"button": "Ver horarios", "sections": [{"rows": [{"id": "h9", "title": "9:00"}]}]},
    },
}


class Assistant:
    """Asks after a text, offers a list after a voice note, thanks after a choice."""

    def __init__(self) -> None:
        self.simulator_url = ""
        self.heard: list[dict[str, Any]] = []
        app = Flask("assistant")
        app.add_url_rule("/webhook/whatsapp", view_func=self._receive, methods=["GET", "POST"])
        self.server = Server("127.0.0.1", 0, app)

    def _receive(self) -> Response:
        if request.method == "POST":
            value = request.get_json()["entry"][0]["changes"][0]["value"]
            for message in value.get("messages", []):
                self.heard.append(message)
                threading.Thread(target=self._answer, args=(message,)).start()
        return Response(request.args.get("hub.challenge", ""))

    def _answer(self, message: dict[str, Any]) -> None:
        thanks = {"type": "text", "text": {"body": "Listo, *anotado*. <b>Gracias</b>"}}
        reply = {"text": ASK, "audio": OFFER}.get(message["type"], thanks)
        for body in ({"status": "read", "message_id": message["id"]}, {"to": "+" + message["from"], **reply}):
            requests.post(
                f"{self.simulator_url}/v26.0/200000000000002/messages",
                json={"messaging_product": "whatsapp", **body},
                headers={"Authorization": "Bearer demo-token"},
                timeout=5,
            )


@pytest.fixture
def assistant() -> Iterator[Assistant]:
    assistant = Assistant()
    yield assistant
    assistant.server.stop()


@pytest.fixture
def simulator(assistant: Assistant) -> Iterator[Simulator]:
    with Simulator(Options(port=0, webhook_url=f"{assistant.server.url}/webhook/whatsapp")) as simulator:
        assistant.simulator_url = simulator.url
        yield simulator


@pytest.fixture
def page(browser: Any, simulator: Simulator) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(simulator.url)
    yield page
    page.close()
    assert problems == []


def test_writing_tapping_and_seeing_ticks(page: Any, assistant: Assistant) -> None:
    page.get_by_label("Mensaje").fill("Quiero una cita mañana a las 10")
    page.get_by_role("button", name="Enviar").click()
    page.get_by_role("button", name="Confirmar").click()
    thanks = page.locator(".bubble.in").filter(has_text="Listo, anotado. <b>Gracias</b>")
    thanks.wait_for(timeout=8000)
    assert thanks.locator("strong").inner_text() == "anotado"
    page.locator('.bubble.in [data-testid="tick"][data-state="read"]').nth(1).wait_for(timeout=8000)
    mine = page.locator(".bubble.out")
    assert mine.count() == 2
    mine.first.locator('[data-testid="tick"][data-state="read"]').wait_for(timeout=8000)
    tap = assistant.heard[1]
    assert tap["interactive"]["button_reply"] == {"id": "cita:si", "title": "Confirmar"}
    asked = page.locator(".bubble.in").first.get_attribute("data-wamid")
    assert tap["context"]["id"] == asked


def test_a_voice_note_and_a_row_of_a_list(page: Any, assistant: Assistant) -> None:
    page.get_by_test_id("attach-button").click()
    page.get_by_test_id("attach-voice").click()
    page.get_by_test_id("list-open").click(timeout=8000)
    page.get_by_test_id("list-row").click()
    page.locator(".bubble.in").filter(has_text="anotado").wait_for(timeout=8000)
    assert assistant.heard[0]["audio"]["voice"] is True
    assert assistant.heard[1]["interactive"]["list_reply"] == {"id": "h9", "title": "9:00"}


def test_the_agenda_and_alerts_change_while_one_watches(page: Any, simulator: Simulator) -> None:
    page.get_by_test_id("agenda-row").first.wait_for(timeout=8000)
    before = page.get_by_test_id("agenda-row").count()
    refusal = requests.post(
        f"{simulator.backend_url}/appointments",
        json={"phone": "+59170000001", "datetime": "2020-01-06T10:00:00-04:00"},
        timeout=5,
    )
    free = refusal.json()["alternatives"][0]
    booked = requests.post(
        f"{simulator.backend_url}/appointments",
        json={"phone": "+59170000001", "name": "Rosa Mamani", "datetime": free},
        timeout=5,
    ).json()
    row = page.locator(f'[data-testid="agenda-row"][data-ref="{booked["ref"]}"]')
    row.wait_for(timeout=8000)
    assert row.get_attribute("data-datetime") == booked["datetime"]
    assert page.get_by_test_id("agenda-row").count() == before + 1
    own = {"appointment_id": booked["appointment_id"]}
    requests.post(f"{simulator.backend_url}/appointments/cancel", json=own, timeout=5)
    page.locator(f'[data-ref="{booked["ref"]}"][data-status="cancelled"]').wait_for(timeout=8000)
    alert = {"phone": "+59170000001", "category": "hemoptisis", "level": "emergencia", "at": booked["datetime"]}
    requests.post(f"{simulator.backend_url}/alerts", json=alert, timeout=5)
    page.locator('[data-testid="alert"][data-category="hemoptisis"]').wait_for(timeout=8000)


def test_a_webhook_that_is_not_there_is_said_in_spanish(page: Any, assistant: Assistant) -> None:
    page.get_by_test_id("agenda-row").first.wait_for(timeout=8000)
    assert page.get_by_test_id("webhook-banner").is_hidden()
    assistant.server.stop()
    page.get_by_text("El asistente todavía no está listo").wait_for(timeout=10_000)


def test_a_new_patient_without_number_has_an_own_chat_on_a_phone(page: Any, simulator: Simulator) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.get_by_role("button", name="Pacientes").click()
    page.get_by_test_id("add-patient").click()
    page.get_by_test_id("patient-name").fill("Eva Rojas")
    page.get_by_test_id("patient-no-number").check()
    page.get_by_test_id("patient-save").click()
    page.get_by_text("Usted escribe como Eva Rojas · sin número").wait_for(timeout=8000)
    assert page.locator(".bubble").count() == 0
    names = [one["name"] for one in requests.get(f"{simulator.url}/control/patients", timeout=5).json()["patients"]]
    assert "Eva Rojas" in names
