"""Every kind of incident: how it ends, what it is called, and what the person on call does.

A *condition* lasts until somebody sees that it works again (`Alerts.resolve`). An *event* happened: it is over when it
did not happen again for a quarter of an hour. A kind may name what it is about after a colon (`template_paused:aviso`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
QUIET_MS = 15 * MINUTE_MS  # an event that did not recur for so long is over
REPEAT_MS = 6 * HOUR_MS  # an incident that is still open is told again
SETTLE_MS = 30_000  # a condition is over when it was not seen for so long: one success among failures ends nothing
UNSTEADY_MS = 15 * MINUTE_MS  # ... and for so long when it had just been closed and came back


class Sort(StrEnum):
    CONDITION = "condition"
    EVENT = "event"


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. `title` and `advice` are read by staff."""

    sort: Sort
    title: str
    advice: str
    repeat_ms: int = REPEAT_MS


def _condition(title: str, advice: str) -> Kind:
    return Kind(Sort.CONDITION, title, advice)


def _event(title: str, advice: str, repeat_ms: int = REPEAT_MS) -> Kind:
    return Kind(Sort.EVENT, title, advice, repeat_ms)


KINDS: dict[str, Kind] = {
    # Conditions
    "redis_down": _condition(
        "Redis no responde",
        "Revise el servidor de Redis y su disco; mientras tanto no se contesta y los mensajes esperan en el disco.",
    ),
    "broker_down": _condition(
        "El intermediario de tareas no responde",
        "Revise CELERY_BROKER_URL y su servidor; los mensajes esperan guardados en Redis.",
    ),
    "no_worker": _condition(
        "Ningún proceso contesta a los pacientes",
        "Arranque los workers y mire su registro; los mensajes esperan guardados.",
    ),
    "queue_stuck": _condition("Hay una cola que nadie atiende", "Mire /health y reinicie los workers que no consumen."),
    "triage_late": _condition(
        "Hay mensajes sin revisar por señales de peligro",
        "Es urgente: reinicie los workers y revise a mano las conversaciones recientes.",
    ),
    "turns_late": _condition(
        "Las respuestas van con retraso", "Mire /health: el modelo, el sistema de citas o la carga las detienen."
    ),
    "deliveries_late": _condition(
        "Los envíos a WhatsApp van con retraso", "Mire el estado de WhatsApp y el registro de los workers."
    ),
    "canary_late": _condition(
        "El mensaje de prueba no recorrió todo el camino",
        "Escriba usted al número de prueba; si no contesta, mire /health y el registro del webhook.",
    ),
    "backend_down": _condition(
        "El sistema de citas no responde",
        "Revise SEGUIMIENTO_SERVICE_URL y su servidor; no se puede agendar hasta que responda.",
    ),
    "credentials": _condition(
        "WhatsApp no acepta nuestras credenciales",
        "Renueve WHATSAPP_ACCESS_TOKEN o revise la cuenta en Meta; nada se envía hasta entonces.",
    ),
    "model_failed": _condition(
        "Un modelo no cargó o fue rechazado",
        "Mire /model; se contesta con reglas y fichas hasta que haya un modelo bueno.",
    ),
    "danger_rules_broken": _condition(
        "Las reglas de peligro no se pueden leer",
        "Corrija shared/assets/danger_signs.yaml; hasta entonces cada mensaje es una alarma.",
    ),
    "spool_full": _condition(
        "El almacén de emergencia del webhook está lleno", "Recupere Redis o libere disco antes de perder mensajes."
    ),
    "template_paused": _condition(
        "Una plantilla no se puede usar",
        "Revísela en el administrador de WhatsApp; los recordatorios pasan a la lista de llamadas.",
    ),
    "template_quality": _condition(
        "Una plantilla recibe quejas", "Revise su texto y a quién se envía antes de que Meta la detenga."
    ),
    "template_category": _condition(
        "Una plantilla pasó a la categoría de publicidad",
        "Pida su revisión en el administrador de WhatsApp: así cuesta más y no siempre se entrega.",
    ),
    "number_quality": _condition(
        "Nuestro número de WhatsApp perdió calidad o límite",
        "Envíe menos avisos y revise quién los bloquea; el límite diario puede haber bajado.",
    ),
    "account_restricted": _condition(
        "Meta restringió la cuenta de WhatsApp", "Abra el administrador de WhatsApp y apele o corrija lo que indica."
    ),
    "report_failed": _condition(
        "El informe diario no se pudo enviar",
        "Revise SMTP_… y REPORT_EMAIL_TO. Se intenta cada diez minutos; «make report» lo escribe en un archivo.",
    ),
    # Events
    "report_unknown": _event(
        "No se sabe si el informe diario llegó",
        "Mire el buzón; si falta, envíelo con «python -m workers.report --send».",
    ),
    "dead_letter": _event(
        "Un mensaje quedó sin respuesta", "Mire la lista «dead» y conteste al paciente por otro medio."
    ),
    "unreadable": _event(
        "Llegó de Meta algo que no se pudo leer", "Está guardado en la lista «unreadable»; avise a soporte técnico."
    ),
    "turn_failed": _event("Falló una respuesta", "Se intenta de nuevo; si se repite, avise a soporte técnico."),
    "backend_refused": _event(
        "El sistema de citas rechazó una operación", "Compare la cita del paciente en el sistema y llámelo."
    ),
    "backend_unknown": _event(
        "No se sabe si una cita quedó registrada", "Búsquela en el sistema y confírmela con el paciente."
    ),
    "send_refused": _event(
        "WhatsApp rechazó un envío", "Mire el código en la lista «dead»; llame al paciente si hace falta."
    ),
    "account_alert": _event("Meta envió un aviso sobre la cuenta", "Léalo en el administrador de WhatsApp."),
    "handoff_pedido": _event(
        "Un paciente pide hablar con una persona", "Atienda la lista de llamadas.", repeat_ms=QUIET_MS
    ),
    "handoff_no_entendido": _event(
        "No se entendió a un paciente dos veces seguidas", "Atienda la lista de llamadas.", repeat_ms=QUIET_MS
    ),
    "handoff_sin_numero": _event(
        "Un paciente sin número conocido necesita a una persona", "Atienda la lista de llamadas.", repeat_ms=QUIET_MS
    ),
    "handoff_resultado_desconocido": _event(
        "Un paciente espera saber si su cita quedó hecha", "Atienda la lista de llamadas.", repeat_ms=QUIET_MS
    ),
    "handoff_sin_registro": _event(
        "Un paciente pide una cita y no figura en el sistema, o su tratamiento no está en curso",
        "Atienda la lista de llamadas: dice el día y la hora que pidió.",
        repeat_ms=QUIET_MS,
    ),
    "handoff_anular": _event(
        "Un paciente pide anular una cita y el sistema no tiene cómo",
        "Anúlela a mano y confírmeselo: está en la lista de llamadas.",
        repeat_ms=QUIET_MS,
    ),
    "handoff_por_persona": _event(
        "Un paciente pide un cambio que solo hace una persona",
        "Atienda la lista de llamadas: dice el día y la hora que pidió.",
        repeat_ms=QUIET_MS,
    ),
    "handoff_urgencia": _event(
        "Un paciente dice que es urgente", "Llámelo cuanto antes: está en la lista de llamadas.", repeat_ms=QUIET_MS
    ),
}
_UNKNOWN = _event("Incidente", "Mire el registro de los procesos.")


def kind_of(name: str) -> Kind:
    """The row of a kind, whatever stands after its colon; one that is not in the table is an event."""
    return KINDS.get(name.partition(":")[0], _UNKNOWN)


def title_of(name: str) -> str:
    """The Spanish title, with what it is about: `Una plantilla no se puede usar (recordatorio_cita)`."""
    base, _, subject = name.partition(":")
    known = KINDS.get(base)
    if known is None:
        return f"{_UNKNOWN.title} {name}"
    return f"{known.title} ({subject})" if subject else known.title
