"""A Hub on loopback: the routes a download needs, with branches, tags, private repositories and faults.

Errors carry X-Error-Code as the real Hub's do; the client library decides by it.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any


class Repo:
    """Files by commit; branches and tags point at commits."""

    def __init__(self, token: str | None = None) -> None:
        self.token = token
        self.commits: dict[str, dict[str, bytes]] = {}
        self.refs: dict[str, str] = {}

    def commit(self, files: dict[str, bytes], *refs: str) -> str:
        content = b"".join(name.encode() + data for name, data in sorted(files.items()))
        sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        self.commits[sha] = files
        for ref in ("main", *refs):
            self.refs[ref] = sha
        return sha

    def commit_folder(self, folder: Path, *refs: str, **extra: bytes) -> str:
        return self.commit({file.name: file.read_bytes() for file in folder.iterdir()} | extra, *refs)


class HubServer:
    """`with HubServer() as hub: hub.repos["clinic/gpt2"] = Repo()`; `hub.address` is the endpoint."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.down = False  # 503 to everything
        self.cut_after: int | None = None  # bytes of a file after which the connection drops, once
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self)

            def do_HEAD(self) -> None:
                hub._answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.requests.append(f"{request.command} {path}")
        if self.down:
            return _send(request, 503, b"")
        api = re.fullmatch(r"/api/models/([\w.-]+/[\w.-]+)(?:/(revision|tree)/([^/]+))?", path)
        file = re.fullmatch(r"/([\w.-]+/[\w.-]+)/resolve/([^/]+)/(.+)", path)
        match = api or file
        if not match:
            return _send(request, 404, b"")
        repo = self.repos.get(match[1])
        if repo is None or (repo.token and request.headers.get("Authorization") != f"Bearer {repo.token}"):
            return _send(request, 401, b"", {"X-Error-Code": "RepoNotFound"})
        revision = (match[3] if api else match[2]) or "main"
        sha = repo.refs.get(revision, revision)
        if sha not in repo.commits:
            return _send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        files = repo.commits[sha]
        if file:
            return self._send_file(request, sha, files.get(match[3]))
        if match[2] == "tree":
            return _send_json(request, [_entry(name, data) for name, data in files.items()])
        return _send_json(request, {"id": match[1], "sha": sha, "siblings": [{"rfilename": name} for name in files]})

    def _send_file(self, request: BaseHTTPRequestHandler, sha: str, data: bytes | None) -> None:
        if data is None:
            return _send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": sha, "ETag": f'"{_digest(data)}"', "Accept-Ranges": "bytes"}
        status, first = 200, 0
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
            status, first = 206, int(asked[1])
            headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
        if self.cut_after is not None and request.command == "GET" and len(data) - first > self.cut_after:
            cut, self.cut_after = self.cut_after, None
            request.close_connection = True
            return _send(request, status, data[first:], headers, only=cut)
        return _send(request, status, data[first:], headers)


def _digest(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(data), "oid": _digest(data)}


def _send_json(request: BaseHTTPRequestHandler, content: object) -> None:
    _send(request, 200, json.dumps(content).encode(), {"Content-Type": "application/json"})


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    body: bytes,
    headers: dict[str, str] | None = None,
    only: int | None = None,
) -> None:
    request.send_response(status)
    for name, value in (headers or {}).items():
        request.send_header(name, value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(body[:only])
