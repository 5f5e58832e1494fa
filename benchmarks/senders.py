"""Closed-loop senders: N keep-alive connections, each posting its next prepared request when the last was answered.

Requests are prepared before the clock starts, so that the sender's own work on the shared cores stays small.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import http.client
import json
import socket
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Load:
    """Outcome of one round: answers by status, latencies in seconds, duration in seconds.

    `acknowledged` says of each request that was answered 200, by its place in the list, when (`time.perf_counter`).
    """

    statuses: dict[int, int]
    latencies: list[float]
    seconds: float
    acknowledged: dict[int, float] = field(default_factory=dict)

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def signed_request(port: int, secret: bytes, number: int, run: str, patients: int, text: str = "") -> bytes:
    """One distinct text message of one of `patients` patients, signed, as raw HTTP/1.1 bytes.

    Its id is `wamid.{run}.{number}`; without a text it asks for a visit.
    """
    phone = f"5917{number % patients:07d}"
    body = json.dumps(
        {
            "object": "whatsapp_business_account",
            "entry": [
                {
                    "id": "100",
                    "changes": [
                        {
                            "field": "messages",
                            "value": {
                                "messaging_product": "whatsapp",
                                "metadata": {
                                    "display_phone_number": "59122000000",
                                    "phone_number_id": "200000000000002",
                                },
                                "contacts": [{"profile": {"name": "Ana"}, "wa_id": phone}],
                                "messages": [
                                    {
                                        "from": phone,
                                        "id": f"wamid.{run}.{number}",
                                        "timestamp": str(int(time.time())),
                                        "type": "text",
                                        "text": {"body": text or f"Quiero una cita mañana, ficha {number}"},
                                    }
                                ],
                            },
                        }
                    ],
                }
            ],
        },
        separators=(",", ":"),
    ).encode()
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    head = (
        f"POST /webhook/whatsapp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: sha256={signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Connection:
    """One keep-alive connection that posts one prepared request after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def post(self, request: bytes) -> tuple[int, float]:
        """Return status and seconds; a connection that the server closed meanwhile is opened anew."""
        for fresh in (False, True):
            began = time.perf_counter()
            try:
                status = self._exchange(request, fresh)
            except OSError:
                self.close()
                if fresh:
                    raise
            else:
                return status, time.perf_counter() - began
        raise AssertionError("unreachable")

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def _exchange(self, request: bytes, fresh: bool) -> int:
        if self._socket is None or fresh:
            self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=30)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(request)
        with http.client.HTTPResponse(self._socket) as answer:
            answer.begin()
            answer.read()
            if answer.will_close:
                self.close()
            return answer.status


class _Sender(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: list[bytes], deadline: float, load: Load, done: asyncio.Future[None]) -> None:
        self.requests, self.deadline, self.load, self.done = requests, deadline, load, done
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.send()

    def send(self) -> None:
        if not self.requests or time.perf_counter() > self.deadline:
            self.transport.close()
            return
        self.began = time.perf_counter()
        request = self.requests.pop()
        self.number = len(self.requests)
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, found, body = self.received.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line[15:])
        if len(body) < length:
            return
        now = time.perf_counter()
        self.load.latencies.append(now - self.began)
        status = int(head[9:12])
        if status == 200:
            self.load.acknowledged[self.number] = now
        self.load.statuses[status] = self.load.statuses.get(status, 0) + 1
        self.received = b""
        self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


async def _run(port: int, requests: list[bytes], senders: int, seconds: float) -> Load:
    loop = asyncio.get_running_loop()
    began = time.perf_counter()
    load = Load({}, [], 0.0)
    waits = []
    for _ in range(senders):
        done: asyncio.Future[None] = loop.create_future()
        waits.append(done)
        await loop.create_connection(
            lambda done=done: _Sender(requests, began + seconds, load, done),  # type: ignore[misc]
            "127.0.0.1",
            port,
        )
    await asyncio.wait_for(asyncio.gather(*waits), seconds + 30)
    return Load(load.statuses, load.latencies, time.perf_counter() - began, load.acknowledged)


def send(port: int, requests: list[bytes], *, senders: int, seconds: float) -> Load:
    """Post `requests` over `senders` connections for at most `seconds`; each request is sent once."""
    return asyncio.run(_run(port, list(requests), senders, seconds))
