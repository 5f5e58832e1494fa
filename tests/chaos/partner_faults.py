"""What Meta and the backend do: refuse, hang, hang up, do it and not say so; statuses and webhooks in disorder."""

from __future__ import annotations

from typing import Any

from tests.chaos.fault import Fault, Heal, Inject
from tests.chaos.posting import Posting
from tests.chaos.stage import BACKEND_TIMEOUT_S, Stage

META_TIMEOUT_S = 10  # of workers.whatsapp.client


def meta(**fields: Any) -> Inject:
    return _partner({"times": 0, **fields})


def backend(**fields: Any) -> Inject:
    return _partner({"times": 0, "target": "backend", **fields})


def _partner(fields: dict[str, Any]) -> Inject:
    def inject(stage: Stage, _: Posting) -> Heal:
        id_ = stage.system.control("faults", fields)["id"]
        return lambda: stage.system.control(f"faults/{id_}", method="DELETE")

    return inject


def webhooks(switch: str) -> Inject:
    def inject(_: Stage, posting: Posting) -> Heal:
        setattr(posting, switch, True)
        return lambda: setattr(posting, switch, False)

    return inject


PARTNERS = [
    Fault("Meta answers 500", "meta", 5, meta(status=500, code=131000)),
    Fault("Meta answers 503 with a page of HTML", "meta", 4, meta(status=503, raw_body="<html>busy</html>")),
    Fault("Meta answers 429", "meta", 4, meta(status=429, code=4)),
    Fault("Meta answers 130429 (throughput)", "meta", 4, meta(code=130429)),
    Fault("Meta answers 131056 (pair rate)", "meta", 4, meta(code=131056)),
    Fault("Meta accepts and does not answer in time", "meta", 3, meta(delay_answer_s=META_TIMEOUT_S + 2)),
    Fault("Meta hangs up before accepting", "meta", 2, meta(drop="before")),
    Fault("Meta hangs up after accepting", "meta", 4, meta(drop="after")),
    Fault("Meta hangs up after accepting, no status", "meta", 2, meta(drop="after", statuses="none")),
    Fault("statuses late", "meta", 4, meta(statuses="late", status_delay_s=8)),
    Fault("statuses repeated", "meta", 4, meta(statuses="repeated")),
    Fault("statuses reversed", "meta", 4, meta(statuses="reversed")),
    Fault("statuses missing", "meta", 4, meta(statuses="none")),
    Fault("status before the answer", "meta", 4, meta(statuses="before_answer")),
    Fault("backend answers 503", "backend", 5, backend(status=503)),
    Fault("backend slow", "backend", 5, backend(delay_s=1.5)),
    Fault("backend says 404 under 200", "backend", 4, backend(body_status=404)),
    Fault(
        "backend times out after it booked",
        "backend",
        8,
        backend(kind="schedule", delay_answer_s=BACKEND_TIMEOUT_S + 1),
    ),
    Fault("backend hangs up after it booked", "backend", 8, backend(kind="schedule", drop="after")),
    Fault("webhooks twice", "posts", 5, webhooks("twice")),
    Fault("webhooks of one patient side by side", "posts", 5, webhooks("together")),
    Fault("old webhooks again", "posts", 5, webhooks("old_again")),
]
