"""What was understood of a patient's message: the closed list of intents, the slots, and where it came from.

Source: dialogue specification sections 2-4. Used by `workers` (rules, model, dialogue) and `training`.
"""

from __future__ import annotations

import datetime as dt
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class Intent(StrEnum):
    AGENDAR_CITA = "agendar_cita"
    CANCELAR_CITA = "cancelar_cita"
    REPROGRAMAR_CITA = "reprogramar_cita"
    CONFIRMAR_ASISTENCIA = "confirmar_asistencia"
    CONSULTAR_CITA = "consultar_cita"
    CONSULTAR_INFO = "consultar_info"
    SINTOMAS = "sintomas"
    DIAGNOSTICO_PRUEBAS = "diagnostico_pruebas"
    TRATAMIENTO = "tratamiento"
    DOSIS_OLVIDADA = "dosis_olvidada"
    EFECTOS_SECUNDARIOS = "efectos_secundarios"
    PREVENCION_CONTAGIO = "prevencion_contagio"
    HORARIOS_UBICACION_COSTOS = "horarios_ubicacion_costos"
    URGENCIA = "urgencia"
    HABLAR_HUMANO = "hablar_humano"
    SALUDO = "saludo"
    DESPEDIDA_GRACIAS = "despedida_gracias"
    AFIRMAR = "afirmar"
    NEGAR = "negar"
    INFORMAR_DATO = "informar_dato"
    BAJA = "baja"
    FUERA_DE_TEMA = "fuera_de_tema"


# The intents marked (i): one family, answered from the knowledge cards.
INFORMATION_INTENTS = frozenset(
    {
        Intent.CONSULTAR_INFO,
        Intent.SINTOMAS,
        Intent.DIAGNOSTICO_PRUEBAS,
        Intent.TRATAMIENTO,
        Intent.DOSIS_OLVIDADA,
        Intent.EFECTOS_SECUNDARIOS,
        Intent.PREVENCION_CONTAGIO,
        Intent.HORARIOS_UBICACION_COSTOS,
    }
)


class TimeWindow(StrEnum):
    MANANA = "manana"
    TARDE = "tarde"
    NOCHE = "noche"
    PRIMERA_HORA = "primera_hora"
    ULTIMA_HORA = "ultima_hora"


class Reason(StrEnum):
    CONTROL = "control"
    MEDICAMENTOS = "medicamentos"
    LABORATORIO = "laboratorio"
    RESULTADOS = "resultados"
    RADIOGRAFIA = "radiografia"
    PRIMERA_CONSULTA = "primera_consulta"
    CONTACTOS = "contactos"
    EFECTOS = "efectos"
    OTRO = "otro"


class DangerCategory(StrEnum):
    HEMOPTISIS = "hemoptisis"
    RESPIRATORIO = "respiratorio"
    ALERGIA_GRAVE = "alergia_grave"
    NEUROLOGICO = "neurologico"
    SALUD_MENTAL = "salud_mental"
    INTOXICACION = "intoxicacion"
    ESTADO_GRAVE = "estado_grave"
    HIGADO = "higado"
    VISION = "vision"
    VOMITO_PERSISTENTE = "vomito_persistente"
    SANGRADO = "sangrado"


class Level(StrEnum):
    """How fast a person must look at it, and which fixed text the patient reads."""

    EMERGENCIA = "emergencia"
    MISMO_DIA = "mismo_dia"


class Source(StrEnum):
    SAFETY = "safety"  # a danger rule
    RULES = "rules"
    MODEL = "model"
    BOTH = "both"  # rules and model agree
    FALLBACK = "fallback"  # neither was sure


class Slots(BaseModel):
    """Data stated in a message. Everything is optional and null by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    date: dt.date | None = None
    time: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    time_window: TimeWindow | None = None  # only when no clock time is given
    old_date: dt.date | None = None
    old_time: str | None = Field(default=None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    appointment_ref: str | None = Field(default=None, pattern=r"^CC-\d{4}$")
    reason: Reason | None = None
    name: str | None = None


class Danger(BaseModel):
    """A danger sign found in a message."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    category: DangerCategory
    level: Level


class Prediction(BaseModel):
    """What one turn of a patient means, before anybody decides what to do about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: Intent
    confidence: float = Field(ge=0, le=1)
    secondary: tuple[Intent, ...] = Field(default=(), max_length=2)
    danger: Danger | None = None
    slots: Slots = Slots()
    alternatives: tuple[Intent, ...] = ()  # next best intents, for asking back
    reply: str | None = None  # the model's wording, placeholders unfilled, not yet reviewed
    topic: str | None = None  # knowledge topic the message asks about
    source: Source = Source.RULES
