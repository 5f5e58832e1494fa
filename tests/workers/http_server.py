"""A small real HTTP server whose answers a test decides: any status or body, a hung-up connection, no answer at all."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass
class Asked:
    """One request as it arrived; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any
    client_port: int


@dataclass
class Answer:
    status: int = 200
    body: Any = None  # bytes go out as they are, anything else as JSON
    headers: dict[str, str] = field(default_factory=dict)
    then: Literal["answer", "hang up", "never", "close after"] = "answer"


Handler = Callable[[Asked], Answer]


class HttpServer:
    """Listens on a free port of loopback; `asked` holds every request, in order of arrival."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[Asked] = []
        self.ended = threading.Event()
        self.closed = threading.Semaphore(0)  # released once per connection that was closed
        outer = self

        class Door(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                outer._serve(self)

            do_POST = do_GET  # noqa: N815 - the library looks for this name

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        class Listener(ThreadingHTTPServer):
            def shutdown_request(self, request: Any) -> None:
                super().shutdown_request(request)
                outer.closed.release()

        self._server = Listener(("127.0.0.1", 0), Door)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def _serve(self, door: BaseHTTPRequestHandler) -> None:
        url = urlsplit(door.path)
        raw = door.rfile.read(int(door.headers.get("Content-Length") or 0))
        asked = Asked(
            method=door.command,
            path=unquote(url.path),
            query={key: values[0] for key, values in parse_qs(url.query).items()},
            headers={key.lower(): value for key, value in door.headers.items()},
            body=json.loads(raw) if raw else None,
            client_port=door.client_address[1],
        )
        self.asked.append(asked)
        answer = self.handler(asked)
        if answer.then == "never":
            self.ended.wait(30)
        if answer.then in ("hang up", "never"):
            door.close_connection = True
            door.connection.shutdown(socket.SHUT_RDWR)
            return
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        door.send_response(answer.status)
        for name, value in answer.headers.items():
            door.send_header(name, value)
        door.send_header("Content-Length", str(len(body)))
        door.end_headers()
        door.wfile.write(body)
        if answer.then == "close after":
            door.close_connection = True  # without saying so in a header, as an idle timeout does

    def stop(self) -> None:
        self.ended.set()
        self._server.shutdown()
        self._thread.join(5)
        self._server.server_close()


@contextmanager
def serving(handler: Handler) -> Iterator[HttpServer]:
    server = HttpServer(handler)
    try:
        yield server
    finally:
        server.stop()


def script(*answers: Answer) -> Handler:
    """Answer one after the other; the last one stays."""
    waiting = list(answers)

    def handler(_: Asked) -> Answer:
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]

    return handler


def closed_port() -> int:
    """A port of loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
