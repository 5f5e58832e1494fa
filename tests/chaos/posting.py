"""Patients who write, posted to the webhook as Meta posts: signed, again until it is answered 200.

Four sorts of patients, each message of which can be found again in what the simulator received:

* tapping: each message is the tap of a topic's button, a turn of its own; the n-th reply must be the n-th topic's text
* writing: questions in words, for which the model is asked; several may be answered together
* in danger: each message gets the fixed reply of its own, side by side in the urgent lane, in no order
* booking (`tests.chaos.booking`): an appointment each, whose write at the backend must be there once
"""

from __future__ import annotations

import hashlib
import hmac
import json
import random
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import requests

from tests.processes.system import APP_SECRET, PHONE_NUMBER_ID

SENDERS = 12  # one patient's messages always go through one of them
AGAIN_S = (0.2, 0.5, 1.0, 2.0)
TIMEOUT_S = 5.0
TOPICS = ("sintomas", "pruebas", "tratamiento", "dosis", "efectos", "contagio", "alarma", "llegar", "llamar")
QUESTIONS = (  # all of them clear without a model too: what is not clear then is an alarm, to be on the safe side
    "hola buenas",
    "¿qué es la tuberculosis?",
    "¿hay que pagar algo?",
    "¿a qué hora atienden?",
    "gracias",
)
DANGER = "estoy escupiendo sangre y no puedo respirar"
TAPPING, WRITING, IN_DANGER, BOOKING = "tapping", "writing", "in danger", "booking"


@dataclass
class Said:
    """One message. `rank`: its place among the messages of this patient; equal ranks were posted side by side."""

    patient: str
    sort: str
    rank: int
    wamid: str
    topic: str
    body: bytes
    acknowledged_at: float = 0.0


@dataclass
class Posting:
    """All that was posted; the switches are faults of Meta (`tests.chaos.partner_faults`)."""

    url: str
    random: random.Random
    patients: int = 60
    twice: bool = False
    together: bool = False
    old_again: bool = False
    said: list[Said] = field(default_factory=list)
    refused: int = 0  # posts that were not answered 200
    repeated: int = 0  # posts of what had been acknowledged before
    _ranks: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._lanes: list[deque[list[Said]]] = [deque() for _ in range(SENDERS)]
        self._ready = [threading.Semaphore(0) for _ in range(SENDERS)]
        self._pending = 0
        self._threads = [threading.Thread(target=self._send, args=(n,), daemon=True) for n in range(SENDERS)]
        for thread in self._threads:
            thread.start()

    def one_more(self) -> int:
        """Let one patient write, or, while `together`, two messages side by side; returns how many."""
        number = self.random.randrange(self.patients)
        sort = TAPPING if number % 10 < 5 else IN_DANGER if number % 10 == 9 else WRITING
        patient = f"5917{number:07d}"
        count = 2 if self.together and sort is not WRITING else 1
        rank = self._ranks[patient] = self._ranks.get(patient, 0) + 1
        bundle = [self._said(patient, sort, rank) for _ in range(count)]
        self._queue(number % SENDERS, bundle)
        return count

    def say(self, patient: str, sort: str, content: dict[str, Any]) -> Said:
        """Post one message of a patient and wait until it is acknowledged."""
        rank = self._ranks[patient] = self._ranks.get(patient, 0) + 1
        said = self._made(patient, sort, rank, "", content)
        self._until_acknowledged(requests.Session(), said)
        return said

    def is_idle(self) -> bool:
        with self._lock:
            return self._pending == 0

    def close(self) -> None:
        for ready in self._ready:
            ready.release()

    def _said(self, patient: str, sort: str, rank: int) -> Said:
        with self._lock:
            number = len(self.said)
        if sort is TAPPING:
            topic = TOPICS[number % len(TOPICS)]
            return self._made(patient, sort, rank, topic, tap(f"go:{topic}", topic))
        words = DANGER if sort is IN_DANGER else self.random.choice(QUESTIONS)
        return self._made(patient, sort, rank, "", {"type": "text", "text": {"body": words}})

    def _made(self, patient: str, sort: str, rank: int, topic: str, content: dict[str, Any]) -> Said:
        with self._lock:
            wamid = f"wamid.chaos.{len(self.said)}"
            said = Said(patient, sort, rank, wamid, topic, webhook_body(patient, wamid, content))
            self.said.append(said)
        return said

    def _queue(self, lane: int, bundle: list[Said]) -> None:
        with self._lock:
            self._pending += 1
            self._lanes[lane].append(bundle)
        self._ready[lane].release()

    def _send(self, lane: int) -> None:
        with requests.Session() as session, requests.Session() as beside:
            while True:
                self._ready[lane].acquire()
                if not self._lanes[lane]:
                    return
                first, *others = self._lanes[lane].popleft()
                threads = [threading.Thread(target=self._until_acknowledged, args=(beside, o)) for o in others]
                for thread in threads:
                    thread.start()
                self._until_acknowledged(session, first)
                for thread in threads:
                    thread.join()
                if self.twice:
                    self._repeat(session, first)
                if self.old_again:
                    with self._lock:
                        old = self.said[max(0, len(self.said) - 200)]
                    if old.acknowledged_at:
                        self._repeat(session, old)
                with self._lock:
                    self._pending -= 1

    def _until_acknowledged(self, session: requests.Session, said: Said) -> None:
        attempt = 0
        while not self._post(session, said.body):
            with self._lock:
                self.refused += 1
            time.sleep(AGAIN_S[min(attempt, len(AGAIN_S) - 1)])
            attempt += 1
        said.acknowledged_at = time.time()

    def _repeat(self, session: requests.Session, said: Said) -> None:
        self._post(session, said.body)
        with self._lock:
            self.repeated += 1

    def _post(self, session: requests.Session, body: bytes) -> bool:
        signature = hmac.new(APP_SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-Hub-Signature-256": f"sha256={signature}", "Content-Type": "application/json"}
        try:
            return session.post(self.url, data=body, headers=headers, timeout=TIMEOUT_S).status_code == 200
        except requests.RequestException:
            return False


def tap(id_: str, title: str) -> dict[str, Any]:
    reply = {"type": "button_reply", "button_reply": {"id": id_, "title": title}}
    return {"type": "interactive", "interactive": reply}


def webhook_body(patient: str, wamid: str, content: dict[str, Any]) -> bytes:
    """What Meta posts for one message."""
    message = {"from": patient, "id": wamid, "timestamp": str(int(time.time())), **content}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "59122000000", "phone_number_id": PHONE_NUMBER_ID},
        "contacts": [{"profile": {"name": "X"}, "wa_id": patient}],
        "messages": [message],
    }
    entry = {"id": "1", "changes": [{"field": "messages", "value": value}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}).encode()
