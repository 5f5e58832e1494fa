"""What became of a message, step by step, in Spanish sentences (pure). Fed by `shared.timeline`; no text is in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shared.state.audit import Event
from shared.timeline import WRITTEN, Standing, Step
from webhook.ops import wording

_PLAIN = {
    WRITTEN: "El paciente lo escribió",
    Event.ACCEPTED: "Llegó y quedó guardado",
    Event.NOTICED: "Se le dice al paciente que su mensaje espera",
    Event.DRAINED: "Un proceso lo tomó para contestar",
    Event.SENT: "WhatsApp aceptó la respuesta",
    Event.UNKNOWN: "No se sabe si el envío salió",
    Event.CALL_SETTLED: "Llegó después: salió de la lista de llamadas",
}
_STATUS = {"sent": "enviada", "delivered": "entregada", "read": "leída", "played": "leída", "failed": "no entregada"}
_ACTIONS = {
    "escalate": "se respondió con el aviso de urgencia",
    "handoff": "pasó a una persona",
    "opt_in": "vuelve a recibir mensajes",
    "opt_out": "se dio de baja",
    "failed": "no se pudo contestar",
}
_PARTNERS = {"model": "el modelo de lenguaje está cargando"}


def sentence(step: Step) -> tuple[str, str]:
    """What happened, and a remark in small print."""
    detail = step.detail
    if step.what in _PLAIN:
        return _PLAIN[step.what], _remark(step.what, detail)
    told = _TOLD.get(step.what)
    if told is None:
        return step.what.replace("_", " "), ""
    return told(detail), _remark(step.what, detail)


def where(standing: Standing) -> str:
    """Where it stands now."""
    if standing.letter:
        return "Quedó apartado entre las cartas muertas: se puede reintentar."
    if standing.place is not None:
        if standing.in_hand:
            return "Un proceso lo está contestando ahora."
        if standing.delayed_s:
            return f"Espera un nuevo intento (faltan unos {round(standing.delayed_s)} s)."
        return "Espera su turno."
    if standing.deliveries:
        last = list(standing.deliveries.values())[-1]
        return f"Respuesta: {wording.SENT.get(last, last)}."
    return ""


def _by(detail: Mapping[str, Any]) -> str:
    return str(detail.get("by") or "una persona")


def _alarm(detail: Mapping[str, Any]) -> str:
    what = wording.category(str(detail.get("category") or ""))
    told = "se avisó al personal" if detail.get("told") else "no se pudo avisar al personal al momento"
    return f"Señal de peligro ({what}): {told}"


def _waits(detail: Mapping[str, Any]) -> str:
    why = str(detail.get("why") or "")
    return f"Espera: {_PARTNERS.get(why, f'hubo un problema ({why})')}"


def _understood(detail: Mapping[str, Any]) -> str:
    return f"Se entendió como «{str(detail.get('intent') or '?').replace('_', ' ')}»"


def _committed(detail: Mapping[str, Any]) -> str:
    action = _ACTIONS.get(str(detail.get("action")))
    return f"Quedó contestado: {action}" if action else "Quedó contestado"


def _status(detail: Mapping[str, Any]) -> str:
    status = str(detail.get("status"))
    return f"WhatsApp dice: {_STATUS.get(status, status)}"


_TOLD: dict[str, Callable[[Mapping[str, Any]], str]] = {
    Event.ALARM: _alarm,
    Event.ACKNOWLEDGED: lambda d: f"{_by(d)} atendió la alerta",
    Event.WAITS: _waits,
    Event.UNDERSTOOD: _understood,
    Event.BACKEND: lambda d: f"Sistema de citas: {d.get('call', '?')}, {d.get('outcome', '?')}",
    Event.COMMITTED: _committed,
    Event.GIVEN_UP: lambda d: "Se apartó después de varios intentos",
    Event.PLANNED: lambda d: "Se programó un recordatorio de cita",
    Event.SENDING: lambda d: f"Se envía a WhatsApp (intento {d.get('attempt', 1)})",
    Event.QUEUED: lambda d: "No salió; se intentará de nuevo",
    Event.FAILED: lambda d: "No se pudo enviar",
    Event.DROPPED: lambda d: "Ya no hacía falta: no se envió",
    Event.STATUS: _status,
    Event.CALL: lambda d: f"A la lista de llamadas: {wording.why(str(d.get('why') or ''))}",
    Event.CALL_DONE: lambda d: f"{_by(d)} marcó la llamada como hecha",
    Event.RETURNED: lambda d: f"{_by(d)} devolvió al paciente al asistente",
    Event.WRITTEN: lambda d: f"{_by(d)} escribió al paciente",
    Event.REACTIVATED: lambda d: f"{_by(d)} anotó que el paciente quiere mensajes otra vez",
    Event.REPLAYED: lambda d: f"{_by(d)} pidió un nuevo intento",
}


def _remark(what: str, detail: Mapping[str, Any]) -> str:
    """Technical details worth a line: how sure, how long, which code."""
    parts = []
    if what == Event.UNDERSTOOD and isinstance(detail.get("confidence"), int | float):
        parts.append(f"seguridad {round(100 * detail['confidence'])} %")
    if what == Event.UNDERSTOOD and detail.get("source"):
        parts.append(f"por {detail['source']}")
    if what == Event.BACKEND and isinstance(detail.get("seconds"), int | float):
        parts.append(f"{detail['seconds']:.1f} s".replace(".", ","))
    if detail.get("code"):
        parts.append(f"código {detail['code']}")
    if what in (Event.GIVEN_UP, Event.FAILED, Event.QUEUED, Event.DROPPED) and detail.get("why"):
        parts.append(str(detail["why"]))
    return " · ".join(parts)
