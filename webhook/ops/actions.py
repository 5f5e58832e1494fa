"""What a button of /ops does. Each checks what is still true and says what happened; nothing of a patient is logged.

Every POST has passed the login and the CSRF token (`webhook.ops.blueprint`) and ends in a redirect.
"""

from __future__ import annotations

import logging
import re

from flask import Blueprint, abort, flash, redirect, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from shared.state import alarms, dead, staff
from shared.state.staff import Wrote
from webhook.ops import login, wording
from webhook.ops.desk import Desk
from webhook.ops.lists import LETTERS_SHOWN
from webhook.ops.views import person_page

log = logging.getLogger(__name__)

PATIENT = re.compile(r"p_\w{1,64}", re.ASCII)
_FORM_ID = re.compile(r"[0-9a-f]{24}")
_NOT_WRITTEN = {
    Wrote.BEFORE: "Este mensaje ya se había enviado: no se envió dos veces.",
    Wrote.NO_HANDOFF: "El paciente ya no está derivado: otra persona lo devolvió o venció el plazo. No se envió nada.",
    Wrote.WINDOW_CLOSED: "Pasaron 24 horas desde su último mensaje y WhatsApp ya no deja escribirle. No se envió nada.",
}


def patient_in_form() -> str:
    """The patient a form is about; 400 when it names none."""
    patient = request.form.get("patient", "")
    if not PATIENT.fullmatch(patient):
        abort(400)
    return patient


def _back(page: str, patient: str = "") -> BaseResponse:
    """To the page the form was on."""
    if request.form.get("back") == "paciente" and PATIENT.fullmatch(patient):
        return redirect(url_for("ops.person_view", patient=patient), 303)
    return redirect(url_for(f"ops.{page}"), 303)


def _done(what: str, opaque: str, happened: bool) -> None:
    log.info("operator", extra={"did": what, "about": opaque, "happened": happened})


def add(routes: Blueprint, desk: Desk) -> None:
    """Add the POST routes."""

    @routes.post("/alertas/atendido")
    def acknowledge() -> BaseResponse:
        id_, by = request.form.get("alarm", ""), login.operator() or ""
        done = alarms.acknowledge(desk.client, id_, by, desk.now_ms())
        _done("acknowledge", id_, done is not None and done.first)
        if done is None:
            flash("Esa alerta ya no existe.", "warn")
        elif done.first:
            flash("Alerta atendida: ya no se avisa a nadie más. Llame al paciente si todavía no lo hizo.", "ok")
        else:
            flash(f"Esa alerta ya la había atendido {done.by}, {wording.ago(done.at_ms, desk.now_ms())}.", "warn")
        return _back("alertas", request.form.get("patient", ""))

    @routes.post("/llamadas/hecho")
    def call_done() -> BaseResponse:
        id_ = request.form.get("call", "")
        done = staff.call_done(desk.client, id_, login.operator() or "")
        _done("call_done", id_, done)
        if done:
            flash("Llamada hecha: salió de la lista.", "ok")
        else:
            flash("Esa llamada ya no estaba en la lista: otra persona la hizo o el mensaje llegó.", "warn")
        return _back("llamadas")

    @routes.post("/derivaciones/devolver")
    def give_back() -> BaseResponse:
        patient = patient_in_form()
        done = staff.give_back(desk.client, patient, login.operator() or "")
        _done("give_back", patient, done)
        if done:
            flash("Devuelto: el asistente contesta su próximo mensaje.", "ok")
        else:
            flash("El asistente ya atendía a este paciente.", "warn")
        return _back("derivaciones", patient)

    @routes.post("/derivaciones/escribir")
    def write() -> BaseResponse | tuple[str, int]:
        patient = patient_in_form()
        text = request.form.get("text", "").replace("\x00", "").replace("\r\n", "\n").strip()
        form_id = request.form.get("form_id", "")
        if not _FORM_ID.fullmatch(form_id):
            abort(400)
        if not text or len(text) > staff.MAX_CHARS:
            said = f"El mensaje pasa de {staff.MAX_CHARS} letras." if text else "El mensaje está vacío."
            flash(f"{said} No se envió nada.", "warn")
            return person_page(desk, patient, text), 409
        wrote, delivery = staff.reply(desk.client, patient, form_id, text, login.operator() or "", desk.now())
        _done("write", delivery, wrote is Wrote.QUEUED)
        if wrote is Wrote.QUEUED:
            desk.doorbell.ring_delivery(patient, "normal")
            flash("Mensaje en camino al paciente.", "ok")
            return _back("derivaciones", patient)
        flash(_NOT_WRITTEN[wrote], "warn")
        return _back("derivaciones", patient) if wrote is Wrote.BEFORE else (person_page(desk, patient, text), 409)

    @routes.post("/bajas/reactivar")
    def reactivate() -> BaseResponse:
        patient = patient_in_form()
        if request.form.get("asked") != "yes":
            flash("No se cambió nada: marque que el paciente lo pidió.", "warn")
            return _back("bajas", patient)
        done = staff.reactivate(desk.client, patient, login.operator() or "")
        _done("reactivate", patient, done)
        if done:
            flash("Reactivado: el paciente puede recibir avisos otra vez.", "ok")
        else:
            flash("Este paciente ya no estaba de baja.", "warn")
        return _back("bajas", patient)

    @routes.post("/cartas/reintentar")
    def replay() -> BaseResponse:
        asked, by = request.form.get("letter", ""), login.operator() or ""
        if asked != "all":
            done = dead.replay(desk.client, asked, by)
            _done("replay", asked, done)
            if done:
                flash("Se intentará de nuevo en unos segundos.", "ok")
            else:
                flash("No se pudo reintentar: otra persona ya lo hizo, o el mensaje llegó mientras tanto.", "warn")
            return _back("cartas")
        letters = [one for one in dead.list_letters(desk.client, LETTERS_SHOWN) if one.refusal is None]
        count = sum(dead.replay(desk.client, one.id, by) for one in reversed(letters))  # the oldest first
        _done("replay", "all", count > 0)
        flash(
            f"Se intentarán de nuevo {count}." if count else "No había nada que reintentar.", "ok" if count else "warn"
        )
        return _back("cartas")
