"""200 messages of 40 patients in bursts, shuffled, each POST twice, one worker killed: one reply each, in order."""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from demo import processes
from shared.identity import message_id
from tests.processes.system import (
    APP_SECRET,
    PATIENT_ID_KEY,
    PHONE_NUMBER_ID,
    System,
    assert_answered_once_and_in_order,
    started,
)

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]

PATIENTS, EACH = 40, 5
SAID = ["hola", "¿qué es la tuberculosis?", "quiero una cita", "gracias", "¿hay que pagar algo?"]


def body(phone: str, wamid: str, text: str) -> bytes:
    message = {
        "from": phone,
        "id": wamid,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "59122000000", "phone_number_id": PHONE_NUMBER_ID},
        "contacts": [{"profile": {"name": "X"}, "wa_id": phone}],
        "messages": [message],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()


def signed_headers(content: bytes) -> dict[str, str]:
    signature = hmac.new(APP_SECRET.encode(), content, hashlib.sha256).hexdigest()
    return {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}


def post(system: System, content: bytes) -> None:
    headers = signed_headers(content)
    assert requests.post(f"{system.url}/webhook/whatsapp", data=content, headers=headers, timeout=10).status_code == 200


def test_every_message_is_covered_by_exactly_one_reply_in_order(tmp_path: Path) -> None:
    shuffle = random.Random(7)
    with started(tmp_path, RATE_LIMIT_PER_MINUTE="1000") as system:
        # The simulator did not send these messages itself, so it does not know their ids.
        system.control("rules", {"check_wamids": False})
        system.start(processes.beat(system.environment, tmp_path))
        doomed, _ = system.start_worker("doomed"), system.start_worker("steady")
        phones = [f"5917{n:07d}" for n in range(PATIENTS)]
        wamids = {(p, n): f"wamid.{p}.{n}" for p in phones for n in range(EACH)}

        def write(phone: str) -> None:
            for number in range(EACH):
                content = body(phone, wamids[phone, number], shuffle.choice(SAID))
                post(system, content)
                post(system, content)
                time.sleep(shuffle.choice([0, 0.05, 0.4]))

        order = list(phones)
        shuffle.shuffle(order)
        with ThreadPoolExecutor(8) as pool:
            written = [pool.submit(write, phone) for phone in order]
            system.wait_for(lambda: len(system.sent_deliveries()) > 5)
            doomed.kill()
            for one in written:
                one.result()
        system.wait_for(system.everything_is_answered, 120)

        ids = {p: [message_id(PATIENT_ID_KEY.encode(), wamids[p, n]) for n in range(EACH)] for p in phones}
        assert_answered_once_and_in_order(system, ids)
        assert system.store.hlen("calls") == 0
