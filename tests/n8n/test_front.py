"""n8n in front, for real: a patient's message goes through n8n to the assistant, and its reply back, once."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from shared.settings import Settings
from shared.texts import Texts
from tests.n8n.conftest import Front
from tests.processes.system import APP_SECRET, System, texts

pytestmark = [pytest.mark.n8n, pytest.mark.timeout(900)]

QUESTION = "¿Cuánto tiempo dura el tratamiento?"


def to_patient(system: System, patient: str) -> list[dict[str, Any]]:
    received = system.control("messages", direction="to_patient", limit=1000)["messages"]
    return [message for message in received if message["patient"] == patient.lstrip("+")]


def payload(wamid: str, text: str, patient: str) -> bytes:
    message = {
        "from": patient.lstrip("+"),
        "id": wamid,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "59122000000", "phone_number_id": "200000000000002"},
        "messages": [message],
    }
    change = {"field": "messages", "value": value}
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [change]}]}).encode()


def post(front: Front, body: bytes, secret: str = APP_SECRET, **headers: str) -> requests.Response:
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return requests.post(
        f"{front.n8n.url}/webhook/whatsapp",
        data=body,
        headers={"Content-Type": "application/json", "X-Hub-Signature-256": signature, **headers},
        timeout=30,
    )


def test_all_five_are_imported_and_published_without_a_warning(front: Front) -> None:
    assert "Successfully imported 5 workflows." in front.imported
    assert front.imported.count("Publishing workflow") == 5


def test_metas_challenge_is_answered_with_the_right_key_only(front: Front) -> None:
    asked = {"hub.mode": "subscribe", "hub.verify_token": "verify", "hub.challenge": "1158201444"}
    url = f"{front.n8n.url}/webhook/whatsapp"
    right = requests.get(url, params=asked, timeout=10)
    assert (right.status_code, right.text) == (200, "1158201444")
    assert requests.get(url, params=asked | {"hub.verify_token": "no"}, timeout=10).status_code == 403


def test_a_signed_message_is_answered_once_however_often_it_comes(front: Front) -> None:
    patient = "+59170000011"
    body = payload("wamid.once", QUESTION, patient)
    with ThreadPoolExecutor(3) as pool:  # Meta may send again before we are done
        assert [r.status_code for r in pool.map(lambda _: post(front, body), range(3))] == [200] * 3
    front.system.wait_for(front.n8n.is_idle)
    assert front.n8n.count(
        """select staticData like '%"seen":{"_%' from workflow_entity where id = 'canadaEntrada001'"""
    )
    assert post(front, body).status_code == 200  # and again later
    front.system.wait_for(front.n8n.is_idle)
    assert ["6 meses" in texts(reply) for reply in to_patient(front.system, patient)] == [True]


def test_the_secret_before_counts_while_it_is_being_changed(front: Front) -> None:
    patient = "+59170000019"
    assert post(front, payload("wamid.old", QUESTION, patient), secret="the-old-secret").status_code == 200
    front.system.wait_for(lambda: to_patient(front.system, patient))


@pytest.mark.parametrize("headers", [{"secret": "wrong"}, {"X-Hub-Signature-256": ""}], ids=["wrong", "none"])
def test_a_wrong_signature_is_refused_and_nobody_hears_of_it(headers: dict[str, str], front: Front) -> None:
    patient = "+59170000012"
    before = front.system.store.hgetall("metrics").get("messages_total|outcome=accepted")
    assert post(front, payload("wamid.forged", QUESTION, patient), **headers).status_code == 401
    assert post(front, payload("wamid.fence", "hola", "+59170000013")).status_code == 200
    front.system.wait_for(lambda: to_patient(front.system, "+59170000013"))
    assert to_patient(front.system, patient) == []
    after = front.system.store.hgetall("metrics").get("messages_total|outcome=accepted")
    assert int(after or 0) <= int(before or 0) + 1


def test_buttons_go_out_through_n8n_and_their_taps_come_back_through_it(front: Front) -> None:
    patient, system = "+59170000018", front.system
    system.says(patient, "hola")
    reply = system.reply(patient)
    assert reply["body"]["type"] == "interactive"
    action = reply["body"]["interactive"]["action"]
    choices = [b["reply"] for b in action.get("buttons", [])] or [r for s in action["sections"] for r in s["rows"]]
    assert all(choice["id"].startswith("n8n:") for choice in choices)
    kind = "button_reply" if "buttons" in action else "list_reply"
    tap = {"patient": patient, "kind": kind, "id": choices[0]["id"], "title": choices[0]["title"]}
    system._seen[patient] = system.control("messages", tap | {"context": reply["wamid"]})["messages"][0]["seq"]
    assert texts(system.reply(patient)) != texts(reply)


def test_danger_is_told_to_the_patient_and_to_staff(front: Front) -> None:
    patient, system = "+59170000014", front.system
    system.says(patient, "estoy tosiendo sangre")
    assert "168" in texts(system.reply(patient))
    system.wait_for(lambda: system.store.zcard("alarms") > 0)


def test_what_is_no_text_goes_to_the_assistants_own_door(front: Front) -> None:
    patient, system = "+59170000015", front.system
    sent = system.control("messages", {"patient": patient, "kind": "voice"})["messages"][0]
    system._seen[patient] = sent["seq"]
    assert "¿Me lo escribe, por favor?" in texts(system.reply(patient))
    # Its statuses come back through n8n to the same door.
    delivery = to_patient(system, patient)[0]["delivery_id"]
    system.wait_for(lambda: system.store.hget(f"delivery:{delivery}", "status") in ("delivered", "read"))


def test_an_old_message_goes_to_the_door_which_knows_when_it_was_written(front: Front) -> None:
    patient, system = "+59170000020", front.system
    system.says(patient, "hola", timestamp=int(time.time()) - 3600)
    reply = system.reply(patient)
    assert reply["delivery_id"].startswith("d_")  # sent by the assistant itself


def test_a_signed_body_that_cannot_be_read_is_kept(front: Front) -> None:
    before = front.system.store.llen("unreadable")
    for body in (b"[]", b'{"entry": 1}'):
        assert post(front, body).status_code == 200
    front.system.wait_for(lambda: front.system.store.llen("unreadable") == before + 2)


def test_who_writes_too_much_is_heard_at_the_door(front: Front) -> None:
    """Each answered in order; what is over the limit is kept, searched for danger and answered together later."""
    patient, system = "+59170000023", front.system
    bodies = [json.loads(payload(f"wamid.many{n}", QUESTION, patient)) for n in range(22)]
    whole = bodies[0]
    whole["entry"][0]["changes"][0]["value"]["messages"] = [
        body["entry"][0]["changes"][0]["value"]["messages"][0] for body in bodies
    ]
    assert post(front, json.dumps(whole).encode()).status_code == 200
    system.wait_for(lambda: system.store.hget("metrics", "messages_total|outcome=over_limit") == "2")
    assert len(to_patient(system, patient)) == 20


def test_a_patient_without_a_number_is_answered(front: Front) -> None:
    system = front.system
    patient = system.control("patients", {"name": "Sin Número", "identity": "user_id"})["id"]
    system.says(patient, QUESTION)
    assert "recipient" in system.reply(patient)["body"]


def test_a_send_that_fails_is_tried_again(front: Front) -> None:
    patient, system = "+59170000016", front.system
    system.control("faults", {"patient": patient, "code": 131000})
    system.says(patient, QUESTION)
    assert "6 meses" in texts(system.reply(patient))
    assert front.mailbox.mails == []


def test_without_the_assistant_the_patient_hears_an_apology_and_staff_an_alert(front: Front) -> None:
    patient, system = "+59170000017", front.system
    webhook = next(process for process in system.running if process.name == "webhook")
    webhook.stop()
    began = time.monotonic()
    try:
        system.says(patient, QUESTION)
        apology = system.reply(patient, timeout_s=120)
        took = time.monotonic() - began
        mail = system.wait_for(lambda: next((m for m in front.mailbox.mails if "preguntar" in m.get_content()), None))
    finally:
        system.start_webhook()
    settings = Settings(_env_file=None, DEMO=True)
    assert texts(apology) == Texts.load(settings).get("fallo")
    assert took >= 2 + 6 + 18  # three tries with growing waits
    assert "3 reintentos" in mail.get_content()
    assert "tratamiento" not in str(mail)
    assert patient.lstrip("+") not in str(mail)
    system.says(patient, QUESTION)  # it works again
    assert "6 meses" in texts(system.reply(patient))


def test_what_patients_wrote_is_gone_from_n8ns_database_after_a_minute(front: Front) -> None:
    held = "select count(*) from execution_data where data like '%tratamiento%'"
    front.system.wait_for(lambda: front.n8n.count(held) == 0, timeout_s=150)


def test_n8n_logs_each_send_without_text_or_number(front: Front) -> None:
    log = front.n8n.log()
    assert '"event":"n8n send"' in log
    for secret in ("tratamiento", "tosiendo", "70000011", APP_SECRET, "test-token", "chat-key"):
        assert secret not in log
