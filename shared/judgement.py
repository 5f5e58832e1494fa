"""What is wrong with the system, from one look at it (pure). Asked by GET /health and by the watch of the alerts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from shared import canary
from shared.state import health

FRESH_LATE_S = 30  # a message not searched for danger for so long: nobody consumes
TURN_LATE_S = 120
DELIVERY_LATE_S = 300
PULSE_LATE_S = 3 * health.PULSE_S


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. `incident` is its kind in `shared.alerts.kinds`; None: it is shown, nobody is woken."""

    text: str
    down: bool  # patients wait unanswered; else they are answered from rules and cards, or by other workers
    incident: str | None = None


# Every incident that this module can find: those that it does not find are over.
JUDGED = frozenset(
    {
        "no_worker",
        "queue_stuck",
        "triage_late",
        "turns_late",
        "deliveries_late",
        "canary_late",
        "model_failed",
        "danger_rules_broken",
    }
)


def is_canary_late(facts: health.Facts) -> bool:
    """No canary yet is not late."""
    if facts.canary_age_s is None or not facts.canary_period_s:
        return False
    return facts.canary_age_s > canary.LATE_PERIODS * facts.canary_period_s


def problems(facts: health.Facts) -> list[Problem]:
    """All problems, those that keep patients waiting first."""
    return sorted(_problems(facts), key=lambda problem: not problem.down)


def _problems(facts: health.Facts) -> Iterator[Problem]:
    if not facts.workers:
        yield Problem("no worker is alive", True, "no_worker")
    elif not any(w.get("consuming") for w in facts.workers):
        yield Problem("workers are alive but none consumes", True, "no_worker")
    elif stale := [q for q, age in facts.pulses.items() if age is None or age > PULSE_LATE_S]:
        yield Problem(f"queues not consumed: {', '.join(sorted(stale))}", True, "queue_stuck")
    for what, age, limit, incident in (
        ("messages not searched for danger", facts.oldest_fresh_s, FRESH_LATE_S, "triage_late"),
        ("turns late", facts.oldest_waiting_s, TURN_LATE_S, "turns_late"),
        ("deliveries late", facts.oldest_outgoing_s, DELIVERY_LATE_S, "deliveries_late"),
    ):
        if age is not None and age > limit:
            yield Problem(f"{what}: {age:.0f} s", True, incident)
    if is_canary_late(facts):
        yield Problem(f"canary late: none came back for {facts.canary_age_s:.0f} s", True, "canary_late")
    if facts.workers and not any(w.get("model_state") == "ready" for w in facts.workers):
        states = sorted({str(w.get("model_state")) for w in facts.workers})
        yield Problem(f"no model is ready ({', '.join(states)}): rules and cards answer", False)
    for worker in facts.workers:
        name = worker.get("name")
        if worker.get("model_state") == "failed":
            yield Problem(f"worker {name} has no model: {worker.get('model_error')}", False, "model_failed")
        if worker.get("danger_rules", "ok") != "ok":
            text = f"danger rules of {name} are broken, every message is an alarm: {worker['danger_rules']}"
            yield Problem(text, False, "danger_rules_broken")
    for name in facts.dead:
        yield Problem(f"worker {name} stopped without saying good-bye", False)
