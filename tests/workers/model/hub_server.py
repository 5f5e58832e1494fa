"""A Hub on loopback: what a download and an upload need, with tags, private repositories, tokens and faults.

Errors carry X-Error-Code as the real Hub's do; the client library decides by it. Large files are served by a redirect
to another host name, as the Hub does with its CDN: no token may go there. Uploads are in `hub_upload`.
"""

from __future__ import annotations

import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from tests.workers.model import hub_upload
from tests.workers.model.hub_http import send, send_json
from tests.workers.model.hub_repo import Repo, checksum, is_large, sha256, sibling, tree_entry

__all__ = ["HubServer", "Repo"]

_ID = r"([\w.-]+/[\w.-]+)"
_API = re.compile(rf"/api/models/{_ID}(?:/(revision|tree)/([^/]+)|/(refs))?")
_FILE = re.compile(rf"/{_ID}/resolve/([^/]+)/(.+)")
_LARGE = re.compile(r"/cdn/([0-9a-f]{64})/(.+)")


class HubServer:
    """`with HubServer() as hub: hub.repos["clinic/gpt2"] = Repo()`; `hub.address` is the endpoint."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.writers: dict[str, str] = {}  # token -> namespace where it may write
        self.readers: set[str] = set()  # tokens that may only read
        self.stored: dict[str, bytes] = {}  # large files by sha256, uploaded and perhaps not committed
        self.requests: list[str] = []
        self.leaked_token = False
        self.ranges: list[str] = []  # Range headers of file requests
        # Faults
        self.down = False  # 503 to everything
        self.cut_after: int | None = None  # bytes of a file after which the connection drops, once
        self.stall_after: int | None = None  # bytes of a file after which nothing more comes, once
        self.stalled = threading.Event()  # a download stands there
        self.garbled: set[str] = set()  # files served with wrong bytes of the right length
        self.claimed_sizes: dict[str, int] = {}  # what the listing says instead of the truth
        self._closing = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub._answer(self)

            def do_HEAD(self) -> None:
                hub._answer(self)

            def do_POST(self) -> None:
                hub._answer(self)

            def do_PUT(self) -> None:
                hub._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def fetched(self) -> list[str]:
        """Names of the files whose content was asked for, in order."""
        lines = [line.removeprefix("GET ") for line in self.requests if line.startswith("GET ")]
        return [found[2] for line in lines if (found := _LARGE.fullmatch(line))] + [
            found[3] for line in lines if (found := _FILE.fullmatch(line)) and not is_large(found[3])
        ]

    def __enter__(self) -> HubServer:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def token_of(self, request: BaseHTTPRequestHandler) -> str | None:
        return (request.headers.get("Authorization") or "").removeprefix("Bearer ") or None

    def readable(self, name: str, token: str | None) -> Repo | None:
        """The repository, when it is there and open to this token; the Hub does not tell which of both it is."""
        repo = self.repos.get(name)
        allowed = repo is not None and (
            repo.token in (None, token) or self.writers.get(token or "") == name.split("/")[0]
        )
        return repo if allowed else None

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        self.requests.append(f"{request.command} {path}")
        if self.down:
            return send(request, 503, b"")
        if large := _LARGE.fullmatch(path):
            self.leaked_token |= "Authorization" in request.headers
            return self._send_file(request, large[2], self.stored[large[1]], {})
        if hub_upload.answer(self, request, path):
            return None
        if api := _API.fullmatch(path):
            return self._tell(request, api)
        if file := _FILE.fullmatch(path):
            return self._resolve(request, file)
        return send(request, 404, b"")

    def _tell(self, request: BaseHTTPRequestHandler, asked: re.Match[str]) -> None:
        name, what, revision = asked[1], asked[2] or asked[4], asked[3] or "main"
        repo = self.readable(name, self.token_of(request))
        if repo is None:
            return send(request, 401, b"", {"X-Error-Code": "RepoNotFound"})
        if what == "refs":
            branches = [{"name": "main", "ref": "refs/heads/main", "targetCommit": repo.refs.get("main")}]
            tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": sha} for tag, sha in repo.tags.items()]
            return send_json(request, {"branches": branches, "converts": [], "tags": tags})
        files = repo.files(revision)
        if files is None and (repo.refs or what):
            return send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        sizes = {file: self.claimed_sizes.get(file, len(data)) for file, data in (files or {}).items()}
        if what == "tree":
            return send_json(request, [tree_entry(file, data, sizes[file]) for file, data in (files or {}).items()])
        siblings = [sibling(file, data, sizes[file]) for file, data in (files or {}).items()]
        sha = repo.refs.get(revision, revision)
        return send_json(request, {"id": name, "sha": sha, "private": repo.token is not None, "siblings": siblings})

    def _resolve(self, request: BaseHTTPRequestHandler, asked: re.Match[str]) -> None:
        name, revision, file = asked[1], asked[2], asked[3]
        repo = self.readable(name, self.token_of(request))
        if repo is None:
            return send(request, 401, b"", {"X-Error-Code": "RepoNotFound"})
        files = repo.files(revision)
        if files is None:
            return send(request, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        if file not in files:
            return send(request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": repo.refs.get(revision, revision), "ETag": f'"{checksum(file, files[file])}"'}
        if not is_large(file):
            return self._send_file(request, file, files[file], headers)
        digest = sha256(files[file])
        self.stored[digest] = files[file]
        size = str(self.claimed_sizes.get(file, len(files[file])))
        linked = {
            "X-Linked-ETag": f'"{digest}"',
            "X-Linked-Size": size,
            "Location": f"{self.address.replace('127.0.0.1', 'localhost')}/cdn/{digest}/{file}",  # another host
        }
        return send(request, 302, b"", headers | linked)

    def _send_file(self, request: BaseHTTPRequestHandler, name: str, data: bytes, headers: dict[str, str]) -> None:
        if name in self.garbled:
            data = bytes(len(data))
        status, first = 200, 0
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
            self.ranges.append(asked[0])
            status, first = 206, int(asked[1])
            headers = headers | {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
        left = len(data) - first
        headers = headers | {"Accept-Ranges": "bytes"}
        if request.command == "GET" and self.cut_after is not None and left > self.cut_after:
            cut, self.cut_after = self.cut_after, None
            request.close_connection = True
            return send(request, status, data[first:], headers, only=cut)
        if request.command == "GET" and self.stall_after is not None and left > self.stall_after:
            cut, self.stall_after = self.stall_after, None
            send(request, status, data[first:], headers, only=cut)
            self.stalled.set()
            self._closing.wait()
            return None
        return send(request, status, data[first:], headers)
