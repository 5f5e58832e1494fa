"""Requests and answers of the test Hub, down to the bytes."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler


def send(
    request: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    only: int | None = None,
) -> None:
    """Answer; `only` sends so many bytes of the body that the header promises."""
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body[:only])
        request.wfile.flush()


def send_json(request: BaseHTTPRequestHandler, content: object, status: int = 200) -> None:
    send(request, status, json.dumps(content).encode(), {"Content-Type": "application/json"})


def read_body(request: BaseHTTPRequestHandler) -> bytes:
    """Read what was sent, whole or in chunks."""
    if "chunked" not in (request.headers.get("Transfer-Encoding") or ""):
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    parts = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        parts.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(parts)
