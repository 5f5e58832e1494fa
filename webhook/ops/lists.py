"""The lists that wait for a person: alarms, calls, hand-offs, opt-outs, dead letters. Each becomes pieces of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.setting_values import parse_ladder
from shared.settings import Settings
from shared.state import alarms, audit, dead
from shared.state.dead import LetterKind, Refusal
from webhook.ops.desk import Desk
from webhook.ops.patients import read_json, read_many
from webhook.ops.pieces import Piece
from webhook.ops.state import DAY_MS, handed_over

MESSAGES_SHOWN = 4
LETTERS_SHOWN = 100
_CONTACTS = {"email": "correo del equipo", "slack": "Slack"}
_REFUSALS = {
    Refusal.STATUS: "WhatsApp ya lo había aceptado y no pudo entregarlo; el texto no se guarda.",
    Refusal.CHAT: "Quien preguntaba ya no espera.",
    Refusal.UNREADABLE: "El programa no puede leerlo.",
}
_LETTERS = {
    LetterKind.MESSAGE: "Mensaje del paciente sin respuesta",
    LetterKind.DELIVERY: "Respuesta que no se pudo enviar",
    LetterKind.STATUS: "Respuesta que WhatsApp no entregó",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One line of the call list."""

    id: str
    patient: str
    why: str  # code
    at_ms: int
    start: str  # of the visit, ISO 8601, or ""
    ref: str
    danger: bool
    wish: str = ""  # when the patient wants to come, ISO 8601, or ""


def _empty(sentence: str) -> Piece:
    return Piece("vacio", "vacio", {"sentence": sentence})


def alarm_list(desk: Desk, _: Mapping[str, str]) -> list[Piece]:
    """Alarms of the last day, those that nobody has taken first."""
    found = alarms.recent(desk.client, desk.now_ms() - DAY_MS)
    if not found:
        return [_empty("Ninguna señal de peligro en las últimas 24 horas.")]
    found.sort(key=lambda alarm: (alarm.acknowledged_ms > 0, -alarm.raised_ms))
    patients = read_many(desk.client, (alarm.patient for alarm in found))
    return [
        Piece(
            alarm.id,
            "alarma",
            {
                "alarm": alarm,
                "patient": patients.get(alarm.patient),
                "lines": patients[alarm.patient].last(MESSAGES_SHOWN) if alarm.patient in patients else (),
                "told": told_whom(desk.settings, alarm),
            },
        )
        for alarm in found
    ]


def told_whom(settings: Settings, alarm: alarms.Alarm) -> str:
    """Who was told of an alarm until now: the steps of ALERT_LADDER before the next one, as far as they can be reached.

    "" when nobody was. Without e-mail and Slack it was the appointments system that took the first alert.
    """
    rungs = parse_ladder(settings.ALERT_LADDER)[: alarm.rung]
    contacts = dict.fromkeys(contact for rung in rungs for contact in rung.contacts)
    reached = [c for c in contacts if (settings.SLACK_WEBHOOK_URL if c == "slack" else settings.SMTP_HOST)]
    names = [_CONTACTS.get(contact, contact) for contact in reached] or ["sistema de citas"]
    return ", ".join(names) if alarm.rung else ""


def read_calls(desk: Desk) -> list[Call]:
    """The call list: danger first, then the oldest. A line that cannot be read is shown too."""
    rows: Any = desk.client.hgetall("calls")
    calls = []
    for id_, text in rows.items():
        line = read_json(text) or {}
        at = line.get("at")
        calls.append(
            Call(
                id=id_,
                patient=str(line.get("patient") or ""),
                why=str(line.get("why") or ""),
                at_ms=int(at) if isinstance(at, int | float) else 0,
                start=str(line.get("start") or ""),
                ref=str(line.get("ref") or ""),
                danger=line.get("kind") == "danger" or line.get("why") == "urgencia",
                wish=str(line.get("wish") or ""),
            )
        )
    return sorted(calls, key=lambda call: (not call.danger, call.at_ms))


def call_list(desk: Desk, query: Mapping[str, str]) -> list[Piece]:
    """Whom to call, filtered by `motivo`."""
    calls = read_calls(desk)
    chosen = query.get("motivo", "")
    reasons = sorted(Counter(call.why for call in calls).items(), key=lambda item: -item[1])
    shown = [call for call in calls if not chosen or call.why == chosen]
    pieces = [Piece("filtro", "filtro", {"reasons": reasons, "chosen": chosen, "total": len(calls)})] if calls else []
    if not shown:
        other = "Nadie espera una llamada por este motivo." if calls else "Nadie espera una llamada."
        return [*pieces, _empty(other)]
    patients = read_many(desk.client, (call.patient for call in shown))
    return pieces + [
        Piece(f"c-{call.id}", "llamada", {"call": call, "patient": patients.get(call.patient)}) for call in shown
    ]


def handoff_list(desk: Desk, _: Mapping[str, str]) -> list[Piece]:
    """Patients whom a person has: danger first, then who waits longest."""
    patients = read_many(desk.client, handed_over(desk))
    shown = [p for p in patients.values() if p.handoff is not None]
    shown.sort(key=lambda p: (p.handoff is None or p.handoff.get("reason") != "alarm", p.handoff_ms))
    if not shown:
        return [_empty("Ningún paciente está derivado: el asistente contesta a todos.")]
    return [Piece(p.id, "derivacion", {"patient": p, "lines": p.last(MESSAGES_SHOWN)}) for p in shown]


def optout_list(desk: Desk, _: Mapping[str, str]) -> list[Piece]:
    """Who wants no messages, the latest first."""
    rows: Any = desk.client.zrevrange("optouts", 0, 499, withscores=True)
    if not rows:
        return [_empty("Nadie se dio de baja.")]
    patients = read_many(desk.client, (patient for patient, _ in rows))
    return [Piece(p, "baja", {"patient": patients[p], "since": int(since)}) for p, since in rows]


def letter_list(desk: Desk, _: Mapping[str, str]) -> list[Piece]:
    """Dead letters, the newest first."""
    letters = dead.list_letters(desk.client, LETTERS_SHOWN)
    if not letters:
        return [_empty("No hay mensajes apartados.")]
    patients = read_many(desk.client, (letter.patient for letter in letters))
    total: int = desk.client.llen(dead.KEY)
    can = sum(letter.refusal is None for letter in letters)
    pieces = [Piece("todas", "cartas", {"total": total, "shown": len(letters), "can": can})]
    for letter in letters:
        data = {
            "letter": letter,
            "what": _LETTERS[letter.kind],
            "refusal": _REFUSALS.get(letter.refusal) if letter.refusal else None,
            "patient": patients.get(letter.patient),
        }
        pieces.append(Piece(letter.id, "carta", data))
    return pieces


def last_messages(desk: Desk, patient: str, at_most: int = 8) -> list[tuple[str, int]]:
    """Ids of a patient's latest messages and when they came (ms), newest first, from the last two days of the audit."""
    found: dict[str, int] = {}
    oldest = desk.now_ms() - 2 * DAY_MS
    end = "+"
    for _ in range(20):  # 20,000 events: a busy clinic's two days
        rows: Any = desk.client.xrevrange(audit.KEY, end, str(oldest), count=1000)
        for position, fields in rows:
            if fields.get("p") == patient and fields.get("e") == audit.Event.ACCEPTED:
                found.setdefault(fields.get("ids", ""), int(position.partition("-")[0]))
        if len(found) >= at_most or len(rows) < 1000:
            break
        end = f"({rows[-1][0]}"
    return list(found.items())[:at_most]
