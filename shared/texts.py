"""The fixed Spanish sentences that patients read, filled with the centre's data. Used by the webhook and the workers.

Loaded and checked once at process start: a missing key, an unknown placeholder or a text that is too long stops the
process then, never in front of a patient.
"""

from __future__ import annotations

import datetime as dt
import string
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict

from shared.prediction import Danger, DangerCategory, Level
from shared.setting_values import OpeningHours, parse_opening_hours
from shared.settings import Settings

TEXTS_FILE = Path(__file__).resolve().parent / "assets" / "texts.yaml"
MAX_CHARS = 500  # dialogue specification, section 9

# Keys that code asks for by name; the file must hold them all.
KEYS_LIST = """
    emergencia mismo_dia salud_mental recordatorio_alarma recordatorio_alarma_sin_aviso senales_alarma_aviso persona
    persona_espera pedir_numero presentacion saludo saludo_nombre ayuda despedida de_acuerdo sigo_aqui baja alta voz
    imagen documento sticker ubicacion contactos no_soportado no_seguro no_entendi fuera_de_tema insulto otro_idioma
    datos_de_otros solo_personal dosis resultados no_cambie_tratamiento ficha_sin_firma fallo limite mensaje_tardio
    seguimos_aqui citas_no_disponibles sin_modelo horarios direccion direccion_sin_datos telefono
"""
KEYS = frozenset(KEYS_LIST.split())
_ESCALATIONS = ("emergencia", "mismo_dia", "salud_mental")
_DAYS = ("lunes", "martes", "miércoles", "jueves", "viernes", "sábado", "domingo")


class TextsError(ValueError):
    """The file of fixed texts is wrong; the sentence says where."""


class _StaffSentence(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    told: str
    not_told: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    version: int
    reviewed_by: str | None
    reviewed_on: dt.date | None
    given: tuple[str, ...]
    staff: dict[str, _StaffSentence]
    texts: dict[str, str]


class Texts:
    """All fixed texts, with the centre's data already in place."""

    def __init__(self, texts: dict[str, str], staff: dict[str, tuple[str, str]], signed: bool) -> None:
        self._texts = texts
        self._staff = staff
        self.signed = signed

    @classmethod
    def load(cls, settings: Settings, path: Path = TEXTS_FILE) -> Texts:
        """Read, check and fill the texts.

        Raises:
            TextsError: when a key is missing, a placeholder is unknown, or a filled text exceeds MAX_CHARS.
        """
        try:
            file = _File.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        except (OSError, yaml.YAMLError, ValueError) as error:
            raise TextsError(f"{path.name} cannot be read: {error}") from error
        if lacking := KEYS - set(file.texts):
            raise TextsError(f"{path.name} lacks the texts {', '.join(sorted(lacking))}")
        if silent := set(_ESCALATIONS) - set(file.staff):
            raise TextsError(f"{path.name} lacks the staff sentences {', '.join(sorted(silent))}")
        facts = center_facts(settings)
        filled = {key: _fill(key, text, facts, file.given) for key, text in file.texts.items()}
        staff = {
            key: (_fill(key, pair.told, facts, ()), _fill(key, pair.not_told, facts, ()))
            for key, pair in file.staff.items()
        }
        for key in _ESCALATIONS:
            if "{staff}" not in filled[key]:
                raise TextsError(f"{key}: an escalation needs {{staff}}, the sentence on who was told")
        texts = cls(filled, staff, bool(file.reviewed_by and file.reviewed_on))
        for key, text in filled.items():
            longest = max(map(len, (text.replace("{staff}", s) for s in staff.get(key, ("",)))))
            if longest > MAX_CHARS:
                raise TextsError(f"{key}: {longest} characters, at most {MAX_CHARS} are allowed")
        return texts

    def get(self, key: str, **values: str) -> str:
        """Return a text with `values` in place of its remaining placeholders.

        Raises:
            KeyError: for an unknown key, or a placeholder without a value: a fault of the calling code.
        """
        return self._texts[key].format(**values)

    def sentences(self) -> tuple[str, ...]:
        """Return everything the fixed texts may say, for the check of replies that code put together."""
        told = [
            text.replace("{staff}", said) for key, text in self._texts.items() for said in self._staff.get(key, ("",))
        ]
        return tuple(told)

    def escalation(self, danger: Danger, staff_told: bool) -> str:
        """Return the fixed urgent text of a danger sign.

        Args:
            danger: what was found; its level chooses the text, mental health has its own.
            staff_told: a channel accepted the alert within its time; else the patient is asked to call.
        """
        is_mental_health = danger.category is DangerCategory.SALUD_MENTAL and danger.level is Level.EMERGENCIA
        key = "salud_mental" if is_mental_health else danger.level.value
        told, not_told = self._staff[key]
        return self.get(key, staff=told if staff_told else not_told)

    def alarm_reminder(self, staff_told: bool) -> str:
        """Return the short answer to further messages while an alarm is open."""
        return self.get("recordatorio_alarma" if staff_told else "recordatorio_alarma_sin_aviso")


def center_facts(settings: Settings) -> dict[str, str]:
    """Return the placeholders that the settings fill. Without an address the phone stands in for it."""
    return {
        "center_name": settings.CENTER_NAME,
        "phone": settings.CENTER_PHONE,
        "emergency_phone": settings.EMERGENCY_PHONE,
        "hours": describe_hours(parse_opening_hours(settings.OPENING_HOURS)),
        "address": settings.CENTER_ADDRESS or f"el centro (llame al {settings.CENTER_PHONE})",
    }


def describe_hours(hours: OpeningHours) -> str:
    """Say opening hours as a person would: `lunes a viernes de 8:00 a 12:00; sábado de 8:00 a 10:00`."""
    parts = []
    for days in _equal_runs(hours):
        first, last = _DAYS[days[0]], _DAYS[days[-1]]
        span = first if len(days) == 1 else f"{first} y {last}" if len(days) == 2 else f"{first} a {last}"
        ranges = [f"de {_clock(begin)} a {_clock(end)}" for begin, end in hours[days[0]]]
        spoken = ranges[0] if len(ranges) == 1 else f"{', '.join(ranges[:-1])} y {ranges[-1]}"
        parts.append(f"{span} {spoken}")
    return "; ".join(parts)


def _equal_runs(hours: OpeningHours) -> list[list[int]]:
    runs: list[list[int]] = []
    for day in sorted(hours):
        if runs and runs[-1][-1] == day - 1 and hours[runs[-1][-1]] == hours[day]:
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _clock(time: dt.time) -> str:
    return f"{time.hour}:{time.minute:02}"


def _fill(key: str, text: str, facts: dict[str, str], given: tuple[str, ...]) -> str:
    """Put the centre's facts in place and leave the given placeholders for later."""
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
    except ValueError as error:
        raise TextsError(f"{key}: {error}") from error
    if unknown := names - set(facts) - set(given):
        raise TextsError(f"{key}: unknown placeholder {', '.join(sorted(unknown)) or '{}'}")
    escaped = {name: value.replace("{", "{{").replace("}", "}}") for name, value in facts.items()}
    later = {name: "{" + name + "}" for name in given}
    return text.format(**escaped, **later)
