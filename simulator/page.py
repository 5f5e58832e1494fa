"""The chat page: be several patients in a browser and watch the agenda. Serves its files and one JSON to draw."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
from flask import Blueprint, Response, jsonify, request, send_from_directory

from simulator.bubbles import bubble
from simulator.people import Patient
from simulator.world import World

Json = dict[str, Any]
STATIC = Path(__file__).parent / "static"
SHOWN_MESSAGES = 150
SHOWN_PATIENTS = 100
PROBE_INTERVAL_S = 2.0
MIN_EVENT_INTERVAL_S = 0.08  # a burst of changes is one event


class WebhookProbe:
    """Knows whether somebody answers at the webhook's address; asks only while a page is open."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self.ready: bool | None = None

    def look(self) -> None:
        """Ask again if the last answer is old. Meta's own verification request is the question."""
        with self._lock:
            if time.monotonic() - self._asked_at < PROBE_INTERVAL_S:
                return
            self._asked_at = time.monotonic()
        threading.Thread(target=self._ask, daemon=True).start()

    def _ask(self) -> None:
        options = self._world.options
        query = {"hub.mode": "subscribe", "hub.challenge": "1158201444", "hub.verify_token": options.verify_token}
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.get(options.webhook_url, params=query, timeout=2, allow_redirects=False)
            ready = answer.status_code < 500
        except requests.RequestException:
            ready = False
        if ready != self.ready:
            self.ready = ready
            self._world.changes.bump()


def create_blueprint(world: World) -> Blueprint:
    """Return the page at /, its files, its state and its live updates."""
    blueprint = Blueprint("page", __name__)
    probe = WebhookProbe(world)

    @blueprint.get("/")
    def index() -> Response:
        answer = send_from_directory(STATIC, "index.html", max_age=0)
        answer.headers["Content-Security-Policy"] = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
        return answer

    @blueprint.get("/static/<path:name>")
    def static_file(name: str) -> Response:
        return send_from_directory(STATIC, name, max_age=0)

    @blueprint.get("/page/state")
    def state() -> Response:
        probe.look()
        agenda = world.agenda(45)
        alerts = world.store.alerts()[-30:]
        with world.changes:
            chosen = world.people.find(request.args.get("patient", ""))
            last = world.chats.messages
            body: Json = {
                "version": world.changes.version,
                "webhook": {"ready": probe.ready, **vars(world.webhooks.counts)},
                "patients": [_in_list(world, patient) for patient in _recent(world)],
                "chat": _chat(world, chosen) if chosen else None,
                "seq": last[-1].seq if last else 0,
            }
        return jsonify(body | {"agenda": agenda, "alerts": alerts, "now": world.store.now().isoformat()})

    @blueprint.get("/page/events")
    def events() -> Response:
        def stream() -> Iterator[bytes]:
            version = world.changes.version
            yield b"retry: 1000\n\ndata: hello\n\n"
            while not world.changes.closed.is_set():
                newer = world.changes.wait_newer(version, 15)
                yield b"data: changed\n\n" if newer != version else b": still here\n\n"
                version = newer
                world.changes.closed.wait(MIN_EVENT_INTERVAL_S)

        return Response(stream(), mimetype="text/event-stream", headers={"Cache-Control": "no-store"})

    return blueprint


def _recent(world: World) -> list[Patient]:
    """Return whom the list shows: those who were there from the start in their order, as many as it holds."""
    everybody = list(world.people)
    if len(everybody) <= SHOWN_PATIENTS:
        return everybody
    busiest = sorted(everybody, key=lambda p: world.chats.of(p.id)[-1].seq if world.chats.of(p.id) else 0, reverse=True)
    return busiest[:SHOWN_PATIENTS]


def _in_list(world: World, patient: Patient) -> Json:
    messages = world.chats.of(patient.id)
    last = messages[-1] if messages else None
    return {
        "id": patient.id,
        "name": patient.name,
        "number": f"+{patient.number}" if patient.number else None,
        "user_id": patient.user_id,
        "replies": sum(message.direction == "to_patient" for message in messages),
        "typing": patient.typing_until > world.clock.now(),
        "last": {"text": last.text, "at": last.at.isoformat(), "mine": last.direction == "to_clinic"} if last else None,
    }


def _chat(world: World, patient: Patient) -> Json:
    messages = world.chats.of(patient.id)[-SHOWN_MESSAGES:]
    return {"patient": patient.id, "bubbles": [bubble(message, world.templates) for message in messages]}
