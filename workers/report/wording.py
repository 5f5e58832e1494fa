"""Spanish words and numbers of the report (pure)."""

from __future__ import annotations

from enum import Enum

INTENTS = {
    "agendar_cita": "Pedir una cita",
    "cancelar_cita": "Cancelar una cita",
    "reprogramar_cita": "Cambiar una cita",
    "confirmar_asistencia": "Confirmar que vendrá",
    "consultar_cita": "Preguntar por su cita",
    "consultar_info": "Información general",
    "sintomas": "Síntomas",
    "diagnostico_pruebas": "Pruebas y resultados",
    "tratamiento": "Tratamiento",
    "dosis_olvidada": "Dosis olvidada",
    "efectos_secundarios": "Efectos de los medicamentos",
    "prevencion_contagio": "Contagio y prevención",
    "horarios_ubicacion_costos": "Horarios, lugar y costos",
    "urgencia": "Urgencia",
    "hablar_humano": "Hablar con una persona",
    "saludo": "Saludo",
    "despedida_gracias": "Gracias o despedida",
    "afirmar": "Sí",
    "negar": "No",
    "informar_dato": "Dar un dato pedido",
    "baja": "No recibir más avisos",
    "fuera_de_tema": "Otro tema",
}
SOURCES = {
    "both": "Reglas y modelo de acuerdo",
    "model": "Modelo",
    "rules": "Reglas",
    "fallback": "Sin certeza",
    "safety": "Regla de peligro",
}
ACTIONS = {
    "ask": "Volvió a preguntar",
    "inform": "Informó",
    "query": "Consultó la agenda",
    "schedule": "Agendó",
    "reschedule": "Cambió una cita",
    "cancel": "Canceló una cita",
    "confirm": "Confirmó una cita",
    "handoff": "Pasó con una persona",
    "escalate": "Avisó de un peligro",
    "opt_in": "Anotó un permiso de avisos",
    "opt_out": "Anotó una baja",
    "keep": "Dejó la cita como estaba",
    "none": "Conversó",
}
LEVELS = {"emergencia": "Emergencia", "mismo_dia": "Atender el mismo día"}
VISITS = {"schedule": "Agendadas", "reschedule": "Cambiadas", "cancel": "Canceladas", "confirm": "Confirmadas"}
OUTCOMES = {
    "refused": "Rechazadas por el sistema de citas",
    "unknown": "Sin saber si quedaron",
    "missing": "La cita ya no estaba",
}
REMINDERS = {
    "planned": "Planificados",
    "sent": "Enviados",
    "delivered": "Entregados",
    "read": "Leídos",
    "failed": "Fallidos",
    "dropped": "Ya no hacían falta",
}
CALLS = {
    "not_delivered": "no llegó a tiempo",
    "failed": "WhatsApp no lo entregó",
    "unknown": "no se sabe si llegó",
    "no_consent": "sin permiso del paciente",
    "limit": "límite diario de WhatsApp",
    "late": "ya era tarde para enviarlo",
    "template": "WhatsApp no acepta su texto",
    "no_number": "el paciente no tiene número",
    "pedido": "pidió hablar con una persona",
    "no_entendido": "no se le entendió",
    "sin_numero": "sin número conocido",
    "resultado_desconocido": "espera saber si su cita quedó",
    "sin_registro": "pidió una cita y no figura en el sistema",
    "anular": "pidió anular su cita",
    "por_persona": "pidió un cambio que hace una persona",
    "urgencia": "dice que es urgente",
}
WAITS = {
    "model": "El modelo estaba cargando",
    "RetryLater": "Otro sistema no respondía",
    "BadCredentials": "Otro sistema no aceptó la clave",
    "EngineBusy": "El modelo estaba ocupado",
}
NOTHING = "–"


class Unit(Enum):
    """What a figure is; None is 'not measured'."""

    COUNT = "count"
    SHARE = "share"  # 0 to 1
    SECONDS = "seconds"


def label(names: dict[str, str], name: str) -> str:
    """The Spanish name, or the name itself with spaces when we have none."""
    return names.get(name, name.replace("_", " "))


def say(value: float | None, unit: Unit) -> str:
    """A figure as people read it: `1.234`, `12,5`, `87 %`, `2,4 s`, `12 min`, `3 h 5 min`."""
    if value is None:
        return NOTHING
    if unit is Unit.SHARE:
        return f"{value * 100:.0f} %"
    return _duration(value) if unit is Unit.SECONDS else number(value)


def number(value: float) -> str:
    """Thousands with a point; one decimal after a comma where it is not whole."""
    whole = abs(value - round(value)) < 0.05 or abs(value) >= 100
    text = f"{round(value):,}" if whole else f"{value:,.1f}"
    return text.translate(str.maketrans(",.", ".,"))


def _duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.1f} s".replace(".", ",") if seconds < 9.95 else f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def raw(value: float | None, unit: Unit) -> str:
    """A figure for Excel in Spanish: decimal comma, shares in percent, durations in seconds; empty: not measured."""
    if value is None:
        return ""
    value = value * 100 if unit is Unit.SHARE else value
    return f"{value:.2f}".rstrip("0").rstrip(".").replace(".", ",")


def change(today: float | None, other: float | None, unit: Unit) -> str:
    """`12 más que hace 7 días`, `3 menos …`, `igual que …`; in words too when there is nothing to compare with."""
    if today is None or other is None:
        return "sin dato de hace 7 días"
    said = say(abs(today - other), unit)
    if said in (say(0, unit), NOTHING):
        return "igual que hace 7 días"
    return f"{said} {'más' if today > other else 'menos'} que hace 7 días"
