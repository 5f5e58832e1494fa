"""What the test Hub answers to an upload: who are you, new repository, large files, commit, tag."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING

from tests.workers.model.hub_http import read_body, send, send_json
from tests.workers.model.hub_repo import Repo, checksum, is_large, sha256

if TYPE_CHECKING:
    from tests.workers.model.hub_server import HubServer

_ID = r"([\w.-]+/[\w.-]+)"
Handler = Callable[["HubServer", BaseHTTPRequestHandler, re.Match[str]], None]


def answer(hub: HubServer, request: BaseHTTPRequestHandler, path: str) -> bool:
    """Answer a request that belongs to an upload; False when it does not."""
    for method, pattern, handler in _ROUTES:
        if request.command == method and (found := re.fullmatch(pattern, path)):
            handler(hub, request, found)
            return True
    return False


def _who(hub: HubServer, request: BaseHTTPRequestHandler, _: re.Match[str]) -> None:
    token = hub.token_of(request)
    if token in hub.writers or token in hub.readers:
        return send_json(request, {"type": "user", "name": hub.writers.get(token or "", "guest"), "orgs": []})
    return send(request, 401, b"", {"X-Error-Message": "Invalid credentials in Authorization header"})


def _validate(hub: HubServer, request: BaseHTTPRequestHandler, _: re.Match[str]) -> None:
    content = json.loads(read_body(request))["content"]
    if not content.startswith("---\n"):
        return send_json(request, {"errors": [{"message": "no metadata"}], "warnings": []}, 400)
    return send_json(request, {"errors": [], "warnings": []})


def _create(hub: HubServer, request: BaseHTTPRequestHandler, _: re.Match[str]) -> None:
    asked = json.loads(read_body(request))
    token, name = hub.token_of(request), f"{asked['organization']}/{asked['name']}"
    if hub.writers.get(token or "") != asked["organization"]:
        return send(request, 403, b"", {"X-Error-Message": "You don't have the rights to create a model"})
    if name in hub.repos:
        return send(request, 409, b"{}")
    hub.repos[name] = Repo(token if asked.get("visibility") == "private" else None)
    hub.repos[name].commit({".gitattributes": b"*.safetensors filter=lfs"})
    return send_json(request, {"url": f"{hub.address}/{name}"})


def _writable(hub: HubServer, request: BaseHTTPRequestHandler, name: str) -> Repo | None:
    """The repository, or None after an answer that refuses."""
    token = hub.token_of(request)
    repo = hub.readable(name, token)
    if repo is None:
        send(request, 404, b"", {"X-Error-Code": "RepoNotFound"})
    elif hub.writers.get(token or "") != name.split("/")[0]:
        send(request, 403, b"", {"X-Error-Message": "You don't have write access"})
    else:
        return repo
    return None


def _preupload(hub: HubServer, request: BaseHTTPRequestHandler, found: re.Match[str]) -> None:
    asked = json.loads(read_body(request))["files"]
    if repo := _writable(hub, request, found[1]):
        present = repo.files("main") or {}
        files = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if is_large(file["path"]) else "regular",
                "shouldIgnore": False,
                **({"oid": checksum(file["path"], present[file["path"]])} if file["path"] in present else {}),
            }
            for file in asked
        ]
        send_json(request, {"files": files})


def _batch(hub: HubServer, request: BaseHTTPRequestHandler, found: re.Match[str]) -> None:
    objects = json.loads(read_body(request))["objects"]
    if _writable(hub, request, found[1]):
        for one in objects:
            if one["oid"] not in hub.stored:
                one["actions"] = {"upload": {"href": f"{hub.address}/upload/{one['oid']}"}}
        send_json(request, {"transfer": "basic", "objects": objects})


def _put(hub: HubServer, request: BaseHTTPRequestHandler, found: re.Match[str]) -> None:
    data = read_body(request)
    if sha256(data) != found[1]:
        return send(request, 400, b"")
    hub.stored[found[1]] = data
    return send(request, 200, b"")


def _commit(hub: HubServer, request: BaseHTTPRequestHandler, found: re.Match[str]) -> None:
    lines = [json.loads(line) for line in read_body(request).splitlines()]
    repo = _writable(hub, request, found[1])
    if repo is None:
        return
    files = dict(repo.files("main") or {})
    for line in lines:
        value = line["value"]
        if line["key"] == "file":
            files[value["path"]] = base64.b64decode(value["content"])
        elif line["key"] == "lfsFile":
            files[value["path"]] = hub.stored[value["oid"]]
        elif line["key"] == "deletedFile":
            del files[value["path"]]
    sha = repo.commit(files)
    send_json(request, {"commitUrl": f"{hub.address}/{found[1]}/commit/{sha}", "commitOid": sha})


def _tag(hub: HubServer, request: BaseHTTPRequestHandler, found: re.Match[str]) -> None:
    tag = json.loads(read_body(request))["tag"]
    if repo := _writable(hub, request, found[1]):
        status = 409 if tag in repo.refs else 200
        repo.refs.setdefault(tag, repo.refs.get(found[2], found[2]))
        send(request, status, b"")


_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", r"/api/whoami-v2", _who),
    ("POST", r"/api/validate-yaml", _validate),
    ("POST", r"/api/repos/create", _create),
    ("POST", rf"/api/models/{_ID}/preupload/[^/]+", _preupload),
    ("POST", rf"/{_ID}\.git/info/lfs/objects/batch", _batch),
    ("PUT", r"/upload/([0-9a-f]{64})", _put),
    ("POST", rf"/api/models/{_ID}/commit/[^/]+", _commit),
    ("POST", rf"/api/models/{_ID}/tag/([^/]+)", _tag),
)
