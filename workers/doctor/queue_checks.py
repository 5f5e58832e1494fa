"""Who consumes: workers alive, their models, the queues' pulses, Beat, and what waits too long."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import redis

from shared.judgement import DELIVERY_LATE_S, FRESH_LATE_S, PULSE_LATE_S, TURN_LATE_S, is_canary_late
from shared.settings import Settings
from shared.state import health, store
from workers.doctor.check import Check, failed, off, ok, warning
from workers.doctor.runner import TIMEOUT_S

WORKERS, MODELS, DANGER_RULES, QUEUES, BEAT, CANARY, WAITING, SET_ASIDE = (
    "workers",
    "workers' models",
    "danger rules",
    "queues",
    "beat",
    "canary",
    "waiting messages",
    "set aside",
)
BEAT_LATE_S = 60  # it rings every ten seconds
_LOGS = "docker compose logs worker"


@dataclass(frozen=True)
class QueueFacts:
    """What Redis knows of the running system."""

    facts: health.Facts
    beat_s_ago: float | None  # since something that Beat rang was consumed; None: never


def check(settings: Settings) -> list[Check]:
    client = store.connect(settings, timeout_s=TIMEOUT_S)
    try:
        known = read(client)
    except redis.RedisError:
        names = (WORKERS, MODELS, DANGER_RULES, QUEUES, BEAT, CANARY, WAITING, SET_ASIDE)
        return [off(name, "not checked: no connection to Redis") for name in names]
    finally:
        client.close()
    return judge(known)


def read(client: redis.Redis) -> QueueFacts:
    """Look at Redis.

    Raises:
        redis.RedisError
    """
    rung = client.hget("pulse", health.BEAT)
    return QueueFacts(health.look(client), None if rung is None else max(0.0, time.time() - float(rung)))


def judge(known: QueueFacts) -> list[Check]:
    facts = known.facts
    unseen = "not checked: no worker is alive"
    if not facts.workers:
        found = "none is alive: no message is answered and no danger sign is found"
        return [
            failed(WORKERS, found, f"start one (docker compose up -d worker) and read why it ended ({_LOGS})"),
            *(off(name, unseen) for name in (MODELS, DANGER_RULES, QUEUES, BEAT, CANARY)),
            _judge_ages(facts),
            _judge_set_aside(facts),
        ]
    return [
        _judge_workers(facts),
        _judge_models(facts.workers),
        _judge_rules(facts.workers),
        _judge_pulses(facts),
        _judge_beat(known.beat_s_ago),
        _judge_canary(facts),
        _judge_ages(facts),
        _judge_set_aside(facts),
    ]


def _judge_workers(facts: health.Facts) -> Check:
    consuming = [worker for worker in facts.workers if worker.get("consuming")]
    found = f"{len(facts.workers)} alive, {len(consuming)} consuming"
    if not consuming:
        return failed(WORKERS, found, f"restart them (docker compose restart worker); {_LOGS}")
    if len(consuming) < len(facts.workers):
        names = ", ".join(str(w.get("name")) for w in facts.workers if not w.get("consuming"))
        return warning(WORKERS, f"{found}; not {names}", "wait while it starts, else restart it")
    if facts.dead:
        lost = ", ".join(facts.dead)
        return warning(
            WORKERS, f"{found}; {lost} ended without saying good-bye", f"see why: {_LOGS}, or dmesg (memory)"
        )
    return ok(WORKERS, found)


def _judge_models(workers: list[dict[str, Any]]) -> Check:
    states = [str(worker.get("model_state")) for worker in workers]
    revisions = {str((w.get("model") or {}).get("revision")) for w in workers if w.get("model_state") == "ready"}
    if "failed" in states:
        reason = next(str(w.get("model_error")) for w in workers if w.get("model_state") == "failed")
        return warning(
            MODELS, f"a worker has none, rules and cards answer: {reason}", "see the lines of the model below"
        )
    if "ready" not in states:
        return warning(MODELS, f"{', '.join(sorted(set(states)))}: rules and cards answer", "wait while it loads")
    if len(revisions) > 1:
        found = f"workers answer with different revisions: {', '.join(sorted(revisions))}"
        return warning(MODELS, found, "stop the old workers when the new ones are ready")
    return ok(MODELS, f"{states.count('ready')} of {len(states)} ready")


def _judge_rules(workers: list[dict[str, Any]]) -> Check:
    broken = next((str(w["danger_rules"]) for w in workers if w.get("danger_rules", "ok") != "ok"), None)
    if broken:
        found = f"cannot be read, every message is an alarm: {broken}"
        return failed(DANGER_RULES, found, "put back the rule files of the release and restart the workers")
    return ok(DANGER_RULES, "read by all workers")


def _judge_pulses(facts: health.Facts) -> Check:
    stale = sorted(queue for queue, age in facts.pulses.items() if age is None or age > PULSE_LATE_S)
    if stale:
        advice = "see whether a worker started a minute ago; else restart the workers and look at the broker"
        return failed(QUEUES, f"not consumed: {', '.join(stale)}", advice)
    return ok(QUEUES, f"all {len(facts.pulses)} consumed within {max(age or 0 for age in facts.pulses.values()):.0f} s")


def _judge_beat(age: float | None) -> Check:
    advice = "start it (docker compose up -d beat): without it there are no reminders and no report"
    if age is None:
        return failed(BEAT, "has never rung", advice)
    if age > BEAT_LATE_S:
        return failed(BEAT, f"rang {age:,.0f} s ago, it should every 10 s", advice)
    return ok(BEAT, f"rang {age:.0f} s ago")


def _judge_canary(facts: health.Facts) -> Check:
    """The test message that walks the whole road: webhook, worker, reply."""
    if facts.canary_age_s is None:
        return off(CANARY, "none has come back yet (CANARY_MINUTES says how often one is sent)")
    found = f"came back {facts.canary_age_s:,.0f} s ago"
    if is_canary_late(facts):
        advice = "a message does not get through: see the lines on workers and queues, and CANARY_URL"
        return failed(CANARY, f"the last one {found}", advice)
    return ok(CANARY, found)


def _judge_ages(facts: health.Facts) -> Check:
    ages = (
        ("to be searched for danger", facts.oldest_fresh_s, FRESH_LATE_S),
        ("to be answered", facts.oldest_waiting_s, TURN_LATE_S),
        ("to be sent", facts.oldest_outgoing_s, DELIVERY_LATE_S),
    )
    late = [f"{age:,.0f} s late {what}" for what, age, limit in ages if age is not None and age > limit]
    if late:
        advice = "see the lines on workers, WhatsApp and the backend; call patients whose alarm may wait"
        return failed(WAITING, "the oldest is " + ", ".join(late), advice)
    waiting = max(facts.depths[name] for name in ("fresh", "waiting", "outgoing"))
    return ok(WAITING, f"{waiting}, none late")


def _judge_set_aside(facts: health.Facts) -> Check:
    given_up = {name: facts.depths[name] for name in ("dead", "unreadable") if facts.depths[name]}
    if given_up:
        found = ", ".join(f"{count} in the list {name}" for name, count in given_up.items())
        return warning(SET_ASIDE, found, "see them and their causes (docs/running.md, Looking after it)")
    return ok(SET_ASIDE, "nothing")
