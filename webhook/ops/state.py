"""The first page, Estado: health that is understood in two seconds, what waits for a person, queues, workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.alerts.kinds import KINDS, Sort, kind_of, title_of
from shared.judgement import is_canary_late, problems
from shared.state import alarms, health
from shared.state.incidents import Incident, RedisIncidents
from webhook.ops import wording
from webhook.ops.desk import Desk
from webhook.ops.pieces import Piece
from webhook.status import judge

DAY_MS = 86_400_000
_HEADLINES = {
    "ok": ("Todo funciona", "Se contesta a los pacientes."),
    "degraded": ("Funciona con limitaciones", "Se contesta a los pacientes, pero algo necesita atención."),
    "down": ("Hay pacientes sin respuesta", "Sus mensajes están guardados. Llame a quien esté de guardia técnica."),
}


_NOTHING_IS_SENT = frozenset({"credentials", "account_restricted"})
_COUNTED_ELSEWHERE = "handoff_"  # events that stand in the lists of calls and hand-offs
_EVENT_TITLES = frozenset(kind.title for kind in KINDS.values() if kind.sort is Sort.EVENT)


@dataclass(frozen=True, slots=True)
class Counts:
    """How much waits for a person, for the menu and the first page."""

    alarms: int
    calls: int
    handoffs: int
    dead: int
    optouts: int


def count(desk: Desk) -> Counts:
    """Count what waits, in three round trips."""
    recent = alarms.recent(desk.client, desk.now_ms() - DAY_MS)
    with desk.client.pipeline(transaction=False) as pipe:
        pipe.hlen("calls")
        pipe.llen("dead")
        pipe.zcard("optouts")
        calls, dead, optouts = pipe.execute()
    waiting = sum(not alarm.acknowledged_ms for alarm in recent)
    return Counts(waiting, calls, len(handed_over(desk)), dead, optouts)


def handed_over(desk: Desk) -> list[str]:
    """Patients whom a person has, those whose hand-off ends first in front. One that ended is not among them."""
    ids: Any = desk.client.zrangebyscore("handoffs", desk.now_ms(), "+inf")
    with desk.client.pipeline(transaction=False) as pipe:
        for patient in ids:
            pipe.exists(f"handoff:{patient}")
        alive = pipe.execute()
    return [patient for patient, exists in zip(ids, alive, strict=True) if exists]


def page(desk: Desk) -> list[Piece]:
    """The pieces of Estado."""
    facts = health.look(desk.client)
    opened = [i for i in RedisIncidents(desk.client).listed() if not i.works_ms]  # one that works closes by itself
    status = _status(facts, opened)
    found = _troubles(facts, opened)
    title, sentence = _HEADLINES[status]
    first = found[0]["title"] if found and status != "ok" else ""
    banner = {"status": status, "title": title, "sentence": sentence, "first": first}
    return [
        Piece("salud", "salud", banner),
        Piece("pendiente", "pendiente", {"counts": count(desk)}),
        Piece("problemas", "problemas", {"troubles": found}),
        Piece("colas", "colas", {"queues": _queues(desk, facts)}),
        Piece("procesos", "procesos", {"workers": _workers(facts), "canary": _canary(facts)}),
    ]


def _status(facts: health.Facts, opened: Sequence[Incident]) -> str:
    """What GET /health says, and never better than what staff were told: an open condition limits us, some stop us."""
    told = str(judge(facts)["status"])
    kinds = {incident.kind.partition(":")[0] for incident in opened}
    if kinds & _NOTHING_IS_SENT:
        return "down"
    limited = any(kind_of(kind).sort is Sort.CONDITION for kind in kinds)
    return "degraded" if told == "ok" and limited else told


def _troubles(facts: health.Facts, opened: Sequence[Incident]) -> list[dict[str, Any]]:
    """What is wrong now, then incidents that are open beside it; each once, the urgent ones first."""
    left = {incident.kind: incident for incident in opened if not incident.kind.startswith(_COUNTED_ELSEWHERE)}
    troubles: list[dict[str, Any]] = []
    for problem in problems(facts):
        title, advice = wording.problem(problem)
        incident = left.pop(problem.incident, None) if problem.incident else None
        if all(title != known["title"] for known in troubles):
            since = incident.opened_ms if incident else 0
            troubles.append({"title": title, "advice": advice, "since": since, "down": problem.down})
    for kind, incident in sorted(left.items(), key=lambda item: -item[1].last_ms):
        row = {"title": title_of(kind), "advice": kind_of(kind).advice, "since": incident.opened_ms}
        row["down"] = kind.partition(":")[0] in _NOTHING_IS_SENT
        troubles.append(row | {"count": incident.count})
    return sorted(troubles, key=lambda trouble: (not trouble["down"], trouble["title"] in _EVENT_TITLES))


def _queues(desk: Desk, facts: health.Facts) -> list[dict[str, Any]]:
    now = desk.now_ms()
    planned: int = desk.client.zcard("reminders")
    first: Any = desk.client.zrange("reminders", 0, 0, withscores=True)
    late_s = max(0.0, (now - first[0][1]) / 1000) if first else None

    def row(name: str, count: int, late_s: float | None, limit_s: float) -> dict[str, Any]:
        if not count:
            return {"name": name, "count": 0, "word": "Nada pendiente", "tone": "ok"}
        if late_s is not None and late_s > limit_s:
            return {"name": name, "count": count, "word": f"Retraso: {wording.lasted(late_s * 1000)}", "tone": "bad"}
        return {"name": name, "count": count, "word": "Al día", "tone": "ok"}

    return [
        row("Sin revisar por señales de peligro", facts.depths["fresh"], facts.oldest_fresh_s, 30),
        row("Pacientes que esperan respuesta", facts.depths["waiting"], facts.oldest_waiting_s, 120),
        row("Envíos a WhatsApp", facts.depths["outgoing"], facts.oldest_outgoing_s, 300),
        row("Recordatorios programados", planned, late_s, 3600),
        {
            "name": "Mensajes apartados (cartas muertas)",
            "count": facts.depths["dead"],
            "word": "Revise la lista" if facts.depths["dead"] else "Ninguno",
            "tone": "warn" if facts.depths["dead"] else "ok",
        },
    ]


def _workers(facts: health.Facts) -> list[dict[str, Any]]:
    rows = []
    for worker in facts.workers:
        model = worker.get("model") or {}
        state = str(worker.get("model_state") or "")
        rows.append(
            {
                "name": str(worker.get("name") or "").partition("@")[0] or "worker",
                "word": "Trabaja" if worker.get("consuming") else "No toma trabajo",
                "tone": "ok" if worker.get("consuming") else "bad",
                "model": wording.MODEL.get(state, state or "desconocido"),
                "revision": str(model.get("revision") or "")[:12],
            }
        )
    rows += [
        {"name": name.partition("@")[0], "word": "Se detuvo sin avisar", "tone": "bad", "model": "", "revision": ""}
        for name in facts.dead
    ]
    return sorted(rows, key=lambda row: row["name"])


def _canary(facts: health.Facts) -> dict[str, str]:
    """The test message that walks the whole road."""
    if facts.canary_age_s is None:
        return {"word": "Todavía no hubo ninguno", "tone": "quiet"}
    age = f"El último volvió hace {wording.lasted(facts.canary_age_s * 1000)}"
    return {"word": age, "tone": "bad" if is_canary_late(facts) else "ok"}
