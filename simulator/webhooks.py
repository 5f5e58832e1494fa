"""Posts to the webhook as Meta does: bytes escaped and signed, patients side by side, and again when not answered 200.

Used by `writing` (what patients send), `statuses` and the control API.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

from simulator.changes import Changes
from simulator.rules import Rules
from simulator.timers import Timers

LANES = 8


def encode(payload: Any) -> bytes:
    r"""Return the bytes that Meta sends: compact, `á` as \u00e1 (lowercase hex), `/` as \/.

    Source: whatsapp-cloud-api.md 1.2. Slashes stand only inside JSON strings, so replacing them is safe.
    """
    return json.dumps(payload, ensure_ascii=True, separators=(",", ":")).replace("/", "\\/").encode("ascii")


def sign(secret: str, body: bytes) -> str:
    """Return the value of X-Hub-Signature-256 over exactly these bytes."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def envelope(account_id: str, changes: list[dict[str, Any]]) -> dict[str, Any]:
    """Wrap elements of `changes[]` in one entry."""
    return {"object": "whatsapp_business_account", "entry": [{"id": account_id, "changes": changes}]}


@dataclass(frozen=True)
class Result:
    """How a POST ended. `final`: it will not be tried again."""

    ok: bool
    final: bool
    attempts: int
    status: int | None  # None: no HTTP answer
    error: str = ""


@dataclass
class _Job:
    lane: int
    done: Callable[[Result], None]
    body: bytes | None = None  # ready bytes …
    change: dict[str, Any] | None = None  # … or a status, which may share a POST with others
    attempts: int = 0


@dataclass
class Counts:
    """What became of the POSTs so far."""

    pending: int = 0
    accepted: int = 0
    refused: int = 0
    gave_up: int = 0
    last_error: str = ""


@dataclass
class _Lane:
    jobs: deque[_Job] = field(default_factory=deque)
    ready: threading.Condition = field(default_factory=threading.Condition)


class Webhooks:
    """Eight senders. One patient's POSTs go through one of them, so they start out in order."""

    def __init__(
        self, url: str, secret: str, account_id: str, rules: Callable[[], Rules], timers: Timers, changes: Changes
    ) -> None:
        self.url, self.secret, self.account_id = url, secret, account_id
        self.counts = Counts()
        self._rules, self._timers, self._changes = rules, timers, changes
        self._generation = 0  # a reset raises it: what was waiting then is forgotten
        self._lanes = [_Lane() for _ in range(LANES)]
        self._threads = [threading.Thread(target=self._run, args=(lane,), daemon=True) for lane in self._lanes]
        for thread in self._threads:
            thread.start()

    def send_body(self, patient: str, body: bytes, done: Callable[[Result], None]) -> None:
        """Post ready bytes until they are answered 200; `done` hears of every try."""
        self._submit(_Job(zlib.crc32(patient.encode()) % LANES, done, body=body))

    def send_change(self, patient: str, change: dict[str, Any], done: Callable[[Result], None]) -> None:
        """Post an element of `changes[]`; those that wait for the same sender share a POST."""
        self._submit(_Job(zlib.crc32(patient.encode()) % LANES, done, change=change))

    def post_now(self, body: bytes, headers: dict[str, str] | None = None) -> requests.Response:
        """Post once, in the caller's thread.

        Raises:
            requests.RequestException: if there was no answer.
        """
        with requests.Session() as session:
            return self._post(session, body, headers or {})

    def clear(self) -> None:
        """Forget what waits and count from zero."""
        with self._changes:
            self._generation += 1
            for lane in self._lanes:
                with lane.ready:
                    lane.jobs.clear()
            self.counts = Counts()

    def close(self) -> None:
        for lane in self._lanes:
            with lane.ready:
                lane.jobs.clear()
                lane.ready.notify_all()
        for thread in self._threads:
            thread.join(0.5)

    def _submit(self, job: _Job) -> None:
        with self._changes:
            self.counts.pending += 1
        self._enqueue(job)

    def _enqueue(self, job: _Job) -> None:
        lane = self._lanes[job.lane]
        with lane.ready:
            lane.jobs.append(job)
            lane.ready.notify()

    def _run(self, lane: _Lane) -> None:
        with requests.Session() as session:
            while not self._changes.closed.is_set():
                with lane.ready:
                    while not lane.jobs and not self._changes.closed.is_set():
                        lane.ready.wait()
                    jobs = [lane.jobs.popleft()] if lane.jobs else []
                    most = self._rules().status_batch if jobs and jobs[0].change is not None else 1
                    while lane.jobs and len(jobs) < most and lane.jobs[0].change is not None:
                        jobs.append(lane.jobs.popleft())
                if jobs:
                    self._deliver(session, jobs)

    def _deliver(self, session: requests.Session, jobs: list[_Job]) -> None:
        generation = self._generation
        changes = [job.change for job in jobs if job.change is not None]
        body = jobs[0].body if jobs[0].body is not None else encode(envelope(self.account_id, changes))
        status, error = None, ""
        try:
            status = self._post(session, body, {}).status_code
            error = "" if status == 200 else f"HTTP {status}"
        except requests.RequestException as problem:
            error = type(problem).__name__
        if generation == self._generation:
            for job in jobs:
                self._settle(job, status, error)

    def _settle(self, job: _Job, status: int | None, error: str) -> None:
        rules, ok = self._rules(), status == 200
        job.attempts += 1
        final = ok or job.attempts >= rules.webhook_max_attempts
        with self._changes:
            self.counts.pending -= int(final)
            self.counts.accepted += int(ok)
            self.counts.refused += int(not ok)
            self.counts.gave_up += int(final and not ok)
            self.counts.last_error = error
            job.done(Result(ok, final, job.attempts, status, error))
        self._changes.bump()
        if not final:
            delay_s = rules.webhook_retry_s[min(job.attempts, len(rules.webhook_retry_s)) - 1]
            generation = self._generation
            self._timers.after(delay_s, lambda: self._enqueue(job) if generation == self._generation else None)

    def _post(self, session: requests.Session, body: bytes, headers: dict[str, str]) -> requests.Response:
        """Post through the session's adapter, past its proxies, cookies and redirects: half the CPU of `post()`."""
        prepared = requests.PreparedRequest()
        prepared.method, prepared.url, prepared.body = "POST", self.url, body
        prepared.headers = CaseInsensitiveDict(
            {
                "Content-Type": "application/json",
                "Content-Length": str(len(body)),
                "User-Agent": "facebookexternalua",
                "X-Hub-Signature-256": sign(self.secret, body),
            }
            | headers
        )
        answer = session.get_adapter(self.url).send(prepared, timeout=self._rules().webhook_timeout_s)
        _ = answer.content  # read to the end, so that the connection goes back to the pool
        return answer
