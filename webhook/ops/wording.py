"""Numbers, times and reasons in the words that nurses read (pure). Spanish."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

from shared.alerts.kinds import kind_of, title_of
from shared.judgement import Problem
from shared.prediction import DangerCategory

_DAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")
_MONTHS = tuple("enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre".split())
_MINUTE_MS, _HOUR_MS, _DAY_MS = 60_000, 3_600_000, 86_400_000

WHY = {
    "not_delivered": "No le llegó el recordatorio",
    "failed": "WhatsApp no pudo entregarle el mensaje",
    "unknown": "No se sabe si le llegó el mensaje",
    "no_consent": "Falta su permiso para recibir recordatorios",
    "limit": "Se llegó al límite diario de WhatsApp",
    "late": "El recordatorio ya no salía a tiempo",
    "no_number": "Su cita no tiene un número que sirva",
    "pedido": "Pide hablar con una persona",
    "no_entendido": "El asistente no le entendió",
    "sin_numero": "Falta su número de teléfono",
    "resultado_desconocido": "No se sabe si su cita quedó registrada",
    "sin_registro": "Pide una cita y no figura en el sistema",
    "anular": "Pide anular su cita",
    "por_persona": "Pide un cambio que hace una persona",
    "urgencia": "Dice que es urgente",
}
LEVELS = {"emergencia": "Emergencia", "mismo_dia": "Atender hoy"}
CATEGORIES = {
    DangerCategory.HEMOPTISIS: "Sangre al toser",
    DangerCategory.RESPIRATORIO: "Dificultad para respirar",
    DangerCategory.ALERGIA_GRAVE: "Posible alergia grave",
    DangerCategory.NEUROLOGICO: "Señal neurológica",
    DangerCategory.SALUD_MENTAL: "Salud mental",
    DangerCategory.INTOXICACION: "Posible intoxicación",
    DangerCategory.ESTADO_GRAVE: "Estado general grave",
    DangerCategory.HIGADO: "Señal del hígado",
    DangerCategory.VISION: "Cambios en la visión",
    DangerCategory.VOMITO_PERSISTENTE: "Vómitos que no paran",
    DangerCategory.SANGRADO: "Sangrado",
}
KINDS = {
    "media": "foto, audio o archivo",
    "location": "ubicación",
    "contacts": "tarjeta de contacto",
    "reaction": "reacción",
    "choice": "botón",
    "unsupported": "algo que WhatsApp no muestra aquí",
}
SENT = {
    "queued": "en camino",
    "sending": "enviándose",
    "unknown": "no se sabe si llegó",
    "sent": "enviado",
    "delivered": "entregado",
    "read": "leído",
    "played": "leído",
    "failed": "no se pudo enviar",
    "dropped": "no se envió",
}
CAUSES = {
    "status": "WhatsApp avisó que no se entregó",
    "unreadable": "no se pudo leer",
    "PartnerRefused": "el otro sistema lo rechazó",
    "RetryLater": "falló varias veces",
    "OutcomeUnknown": "no se sabe si se hizo",
}
MODEL = {"ready": "listo", "loading": "cargando", "failed": "no cargó"}


def number(digits: str | None) -> str:
    """`59170000001` -> `+591 7000 0001`; other countries keep their digits together; "" for none."""
    if not digits:
        return ""
    if digits.startswith("591") and len(digits) == 11:
        return f"+591 {digits[3:7]} {digits[7:]}"
    return f"+{digits}"


def why(code: str) -> str:
    """A reason of the call list or of a hand-off, in words."""
    if code in CAUSES:  # the name of the error that ended a delivery
        return WHY["failed"]
    return WHY.get(code, f"Otro motivo ({code})" if code else "Sin motivo anotado")


def after(ms: int) -> str:
    """How long after the step before: `al momento`, `0,4 s después`, `6 min después`."""
    if ms < 50:
        return "al momento"
    return f"{ms / 1000:.1f} s después".replace(".", ",") if ms < _MINUTE_MS else f"{lasted(ms)} después"


def cause(name: str) -> str:
    """Why something became a dead letter; the name of an unknown error stands as it is."""
    return CAUSES.get(name, f"falló: {name}" if name else "sin causa anotada")


def who(by: str) -> str:
    """Who acknowledged: an operator, or the contact whose link was used."""
    return {"email": "el equipo, desde el correo", "slack": "el equipo, desde Slack"}.get(by, by or "alguien")


def category(code: str) -> str:
    return CATEGORIES.get(DangerCategory(code), code) if code in list(DangerCategory) else code.replace("_", " ")


def level(code: str) -> str:
    return LEVELS.get(code, code.replace("_", " "))


def lasted(ms: float) -> str:
    """A length of time, coarse enough that it changes once a minute: `menos de 1 min`, `5 min`, `3 h`, `2 días`."""
    if ms < _MINUTE_MS:
        return "menos de 1 min"
    if ms < _HOUR_MS:
        return f"{int(ms // _MINUTE_MS)} min"
    if ms < 2 * _DAY_MS:
        hours, minutes = int(ms // _HOUR_MS), int(ms % _HOUR_MS // _MINUTE_MS)
        return f"{hours} h {minutes} min" if minutes and hours < 6 else f"{hours} h"
    return f"{int(ms // _DAY_MS)} días"


def ago(ms: float, now_ms: float) -> str:
    """`hace 5 min`, as of now."""
    return f"hace {lasted(max(0, now_ms - ms))}"


def moment(ms: float, now_ms: float, zone: ZoneInfo) -> str:
    """The clinic's clock: `hoy 14:05`, `ayer 9:30`, `lunes 3 de agosto, 9:30`."""
    at, today = dt.datetime.fromtimestamp(ms / 1000, zone), dt.datetime.fromtimestamp(now_ms / 1000, zone).date()
    clock = f"{at.hour}:{at.minute:02}"
    match (today - at.date()).days:
        case 0:
            return f"hoy {clock}"
        case 1:
            return f"ayer {clock}"
        case -1:
            return f"mañana {clock}"
    return f"{_DAYS[at.weekday()]} {at.day} de {_MONTHS[at.month - 1]}, {clock}"


def visit(text: str, now_ms: float, zone: ZoneInfo) -> str:
    """A visit's ISO start in words; "" when it cannot be read."""
    try:
        at = dt.datetime.fromisoformat(text)
    except ValueError:
        return ""
    if at.tzinfo is None:
        at = at.replace(tzinfo=zone)
    return moment(at.timestamp() * 1000, now_ms, zone)


def problem(found: Problem) -> tuple[str, str]:
    """A problem of `shared.judgement` and what to do about it."""
    if found.incident:
        return title_of(found.incident), kind_of(found.incident).advice
    if found.text.startswith("no model is ready"):
        return "El modelo de lenguaje no está listo", "Se contesta con reglas y fichas. Si no carga solo, mire /model."
    if found.text.startswith("worker "):
        return "Un proceso se detuvo sin avisar", "Si los demás contestan, basta con mirar su registro y arrancarlo."
    return "Aviso del sistema", found.text
