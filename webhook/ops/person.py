"""One patient's page: number, what was said, hand-off, alarms, and the box to write to them."""

from __future__ import annotations

from shared.state import alarms
from webhook.ops.desk import Desk
from webhook.ops.lists import last_messages, told_whom
from webhook.ops.patients import Patient
from webhook.ops.pieces import Piece
from webhook.ops.state import DAY_MS


def is_known(desk: Desk, patient: Patient) -> bool:
    """Whether anything is kept of this patient: an id of nobody has no page."""
    return bool(patient.digits or patient.wrote_ms or patient.lines or patient.handoff or patient.optout_ms) or bool(
        desk.client.exists(f"address:{patient.id}")
    )


def page(desk: Desk, patient: Patient, draft: str = "") -> list[Piece]:
    """The pieces of the page; `draft` is what was written and could not be sent."""
    since = desk.now_ms() - DAY_MS
    raised = [alarm for alarm in alarms.recent(desk.client, since) if alarm.patient == patient.id]
    pieces = [Piece("ficha", "ficha", {"patient": patient})]
    pieces += [
        Piece(
            alarm.id,
            "alarma",
            {"alarm": alarm, "patient": patient, "lines": (), "told": told_whom(desk.settings, alarm), "here": True},
        )
        for alarm in raised
    ]
    pieces += [
        Piece("conversacion", "conversacion", {"patient": patient}),
        Piece("escribir", "escribir", {"patient": patient, "draft": draft, "back": "paciente"}),
        Piece("mensajes", "mensajes", {"messages": last_messages(desk, patient.id)}),
    ]
    return pieces
