"""A running simulator on a free port, and a webhook that records what it is sent. Real HTTP on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from flask import Flask, Response, request

from simulator.app import Simulator
from simulator.options import Options
from simulator.server import Server

ROSA = "+59170000001"
LUZ = "BO.1349120865530274"  # known by her user id only
QUICK = {"sent_after_ms": 0, "delivered_after_ms": 10, "read_after_ms": 20, "webhook_retry_s": [0.01]}


class Hook:
    """A webhook that answers as told (200 when nothing was) and keeps every POST."""

    def __init__(self) -> None:
        self.posts: list[tuple[bytes, str]] = []  # body, signature
        self.answers: list[int] = []
        self._changed = threading.Condition()
        app = Flask("hook")
        app.add_url_rule("/webhook/whatsapp", view_func=self._receive, methods=["GET", "POST"])
        self.server = Server("127.0.0.1", 0, app)

    @property
    def url(self) -> str:
        return f"{self.server.url}/webhook/whatsapp"

    def _receive(self) -> Response:
        if request.method == "GET":
            return Response(request.args.get("hub.challenge", ""))
        with self._changed:
            self.posts.append((request.get_data(), request.headers["X-Hub-Signature-256"]))
            answer = self.answers.pop(0) if self.answers else 200
            self._changed.notify_all()
        return Response(status=answer)

    def values(self) -> list[dict[str, Any]]:
        """Return `value` of every change received so far, in order."""
        bodies = [json.loads(body) for body, _ in list(self.posts)]
        return [change["value"] for body in bodies for entry in body["entry"] for change in entry["changes"]]

    def messages(self) -> list[dict[str, Any]]:
        return [message for value in self.values() for message in value.get("messages", [])]

    def statuses(self) -> list[dict[str, Any]]:
        return [status for value in self.values() for status in value.get("statuses", [])]

    def wait_for(self, count: int) -> None:
        """Wait until `count` POSTs came."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.posts) >= count, 5), f"only {len(self.posts)} POSTs came"


class World:
    """The simulator as a program sees it: addresses and a few short hands."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator, self.url, self.backend = simulator, simulator.url, simulator.backend_url
        self.http = requests.Session()
        self.http.trust_env = False

    def control(self, path: str, body: dict[str, Any] | None = None, expect: int | None = None) -> Any:
        """GET a control route, or POST to it when a body is given."""
        method = "GET" if body is None else "POST"
        answer = self.http.request(method, f"{self.url}/control/{path}", json=body, timeout=20)
        assert answer.ok if expect is None else answer.status_code == expect, answer.text
        return answer.json()

    def send(self, body: dict[str, Any], token: str = "demo-token", number: str = "200000000000002") -> Any:
        """POST to the Graph API as the worker does; `body` is completed with product and recipient."""
        whole = {"messaging_product": "whatsapp"} | ({} if "recipient" in body else {"to": ROSA}) | body
        url = f"{self.url}/v26.0/{number}/messages"
        return self.http.post(url, json=whole, headers={"Authorization": f"Bearer {token}"}, timeout=5)

    def say(self, text: str = "Hola", **more: Any) -> Any:
        """Send a text to Rosa."""
        return self.send({"type": "text", "text": {"body": text}, **more})

    def settle(self) -> None:
        """Wait until every webhook and status has gone out."""
        assert self.control("idle?timeout=10")["idle"]


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()
    yield hook
    hook.server.stop()


@pytest.fixture
def world(hook: Hook) -> Iterator[World]:
    with Simulator(Options(port=0, webhook_url=hook.url)) as simulator:
        world = World(simulator)
        world.control("rules", QUICK)
        yield world
        world.http.close()
