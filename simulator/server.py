"""Serves a WSGI app with one thread per connection, connections kept alive, and ends at once when told.

Werkzeug's own handler closes every connection after one answer; Meta keeps them, and a client's pool is worth testing.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from io import BytesIO
from typing import Any, ClassVar
from wsgiref.types import WSGIApplication

from werkzeug.serving import WSGIRequestHandler, make_server

MAX_BODY_BYTES = 8 * 1024 * 1024
IDLE_S = 75.0  # before a kept connection is closed
HANG_UP = "simulator.hang_up"  # environ key: call it and the client gets no answer, only a closed connection


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: Nagle would add 40 ms to each answer
    timeout: float
    connections: ClassVar[set[socket.socket]]

    def setup(self) -> None:
        super().setup()
        self.connections.add(self.connection)

    def finish(self) -> None:
        self.connections.discard(self.connection)
        super().finish()

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing: request lines hold phone numbers."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing, as above."""

    def run_wsgi(self) -> None:
        environ = self.make_environ()
        length = int(self.headers.get("Content-Length") or 0)
        if length > MAX_BODY_BYTES or "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            self.close_connection = True  # what follows on this connection is not a request line
        else:
            # The whole body is read before the app runs, so the next request always starts at its first byte.
            environ["wsgi.input"] = BytesIO(self.rfile.read(length))
        hung_up: list[bool] = []
        environ[HANG_UP] = lambda: hung_up.append(True)
        head: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            head[:] = [status, headers]
            return lambda data: None

        chunks: Iterable[bytes] = self.server.app(environ, start_response)
        try:
            if hung_up:
                self.close_connection = True
                return
            self._answer(head[0], head[1], chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()

    def _answer(self, status: str, headers: list[tuple[str, str]], chunks: Iterable[bytes]) -> None:
        code, _, reason = status.partition(" ")
        streamed = not any(name.lower() == "content-length" for name, _ in headers) and int(code) not in (204, 304)
        if streamed:
            self.close_connection = True  # the end of the connection is the end of the answer
        body = b"" if streamed else b"".join(chunks)
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if streamed:
            for chunk in chunks:
                self.wfile.write(chunk)
        else:
            self.wfile.write(body)


class Server:
    """A listening server in its own thread. `port` 0 takes a free one; `server.port` says which."""

    def __init__(self, host: str, port: int, app: WSGIApplication, idle_s: float = IDLE_S) -> None:
        self._connections: set[socket.socket] = set()
        handler = type("Handler", (_Handler,), {"connections": self._connections, "timeout": idle_s})
        self._server = make_server(host, port, app, threaded=True, request_handler=handler)
        self.host, self.port = host, self._server.port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Address without a final slash."""
        return f"http://{self.host}:{self.port}"

    def stop(self) -> None:
        """Close the door and every open connection."""
        self._server.shutdown()
        self._thread.join(2)
        self._server.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # the other side was quicker
