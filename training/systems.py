"""The systems that are measured side by side: keywords, rules, the model alone, and all together as patients meet it.

Called by `training.evaluate`. Rules and the whole are `workers.understand`, the very code of the road.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tqdm import tqdm

from shared.conversation import PatientRecord
from shared.errors import AssistantError
from shared.prediction import Intent, Slots
from shared.settings import ProcessRole, Settings, load
from shared.texts import Texts
from training.gold import NOW, Gold, slots_of_words
from workers.known import build_known
from workers.language import ngrams
from workers.language.slots import keep_for
from workers.model.holder import ModelHolder
from workers.model.reader import Reading
from workers.safety.danger import find_danger
from workers.understand import Reader
from workers.understanding import read_rules

AT_ONCE = 8
LOADING_S = 300.0
DEADLINE_S = 120.0


@dataclass(frozen=True)
class Row:
    """What one system made of one message."""

    intent: Intent | None  # None: no readable answer
    confidence: float
    danger: bool
    slots: Slots = field(default_factory=Slots)
    reply: str | None = None
    took_ms: float = 0.0

    @property
    def valid(self) -> bool:
        return self.intent is not None


System = Callable[[Gold], Row]

# A dozen words a first version would have looked for; what anything better is compared with.
_KEYWORDS: tuple[tuple[Intent, str], ...] = (
    (Intent.URGENCIA, r"sangre|respirar|ahog|desmay|convuls|morir|amarill|vomit"),
    (Intent.BAJA, r"\bbaja\b|no me (mand|escrib)"),
    (Intent.REPROGRAMAR_CITA, r"cambiar|reprogram|otro dia|otra fecha"),
    (Intent.CANCELAR_CITA, r"cancel|anul|no (voy a poder|podre|puedo) ir"),
    (Intent.CONFIRMAR_ASISTENCIA, r"confirm|ahi estare"),
    (Intent.CONSULTAR_CITA, r"(cuando|que dia|a que hora) (es|tengo|me toca)"),
    (Intent.AGENDAR_CITA, r"\bcita|ficha|turno|consulta"),
    (Intent.HABLAR_HUMANO, r"persona|enfermera|llamen"),
    (Intent.DOSIS_OLVIDADA, r"olvid|se me acab"),
    (Intent.EFECTOS_SECUNDARIOS, r"nausea|orin|comezon|hormigue"),
    (Intent.PREVENCION_CONTAGIO, r"contag|barbijo|familia"),
    (Intent.HORARIOS_UBICACION_COSTOS, r"horario|direccion|donde|cuesta|atienden|gratis"),
    (Intent.DIAGNOSTICO_PRUEBAS, r"examen|resultado|flema|placa|analisis"),
    (Intent.SINTOMAS, r"sintoma|\btos|fiebre|sudo"),
    (Intent.TRATAMIENTO, r"pastilla|tratamiento|remedio|medic"),
    (Intent.CONSULTAR_INFO, r"informacion|tuberculosis"),
    (Intent.DESPEDIDA_GRACIAS, r"gracias|chau|hasta luego"),
    (Intent.SALUDO, r"hola|buen[oa]s"),
    (Intent.NEGAR, r"^no\b"),
    (Intent.AFIRMAR, r"^(si|ok|ya)\b"),
    (Intent.INFORMAR_DATO, r"\d|lunes|martes|miercoles|jueves|viernes|sabado"),
)


def keywords(gold: Gold) -> Row:
    """The first word of a short list that occurs decides."""
    text = gold.text.lower()
    intent = next((intent for intent, words in _KEYWORDS if re.search(words, text)), Intent.FUERA_DE_TEMA)
    return Row(intent, 1.0, intent is Intent.URGENCIA)


def letters(gold: Gold) -> Row:
    """The n-gram classifier alone."""
    began = time.perf_counter()
    chances = ngrams.chances(gold.text, gold.state)
    intent = max(chances, key=lambda each: chances[each])
    return Row(intent, chances[intent], intent is Intent.URGENCIA, took_ms=_ms(began))


def rules(gold: Gold) -> Row:
    """The hand-written rules alone."""
    began = time.perf_counter()
    if find_danger(gold.text):
        return Row(Intent.URGENCIA, 1.0, True, took_ms=_ms(began))
    said = read_rules(gold.text, gold.now or NOW, gold.state)
    intent = said.reading.intent
    slots = keep_for(said.slots, (intent, *said.reading.secondary))
    return Row(intent, said.reading.strength, intent is Intent.URGENCIA, slots, took_ms=_ms(began))


class NoModel:
    """Stands where the model would be."""

    def reader_or_none(self) -> None:
        return None


@dataclass(frozen=True)
class Bench:
    """Everything that the systems share."""

    settings: Settings
    holder: ModelHolder
    texts: Texts

    def without_model(self) -> System:
        """The whole system while no model can answer: rules, n-grams, cards."""
        return self._understanding(NoModel())

    def full(self) -> System:
        return self._understanding(self.holder)

    def model(self) -> System:
        """The model's own tags, its words resolved by code, nothing from the rules."""

        def system(gold: Gold) -> Row:
            began = time.perf_counter()
            try:
                reading = self.read(gold, needs_reply=False)
            except AssistantError:
                return Row(None, 0.0, False)
            slots = slots_of_words(dict(reading.spans), reading.reason, gold.now or NOW)
            return Row(reading.intent, reading.confidence, reading.danger, slots, took_ms=_ms(began))

        return system

    def read(self, gold: Gold, *, needs_reply: bool) -> Reading:
        """Let the model read a message: in the surroundings it was generated in, else as the first of a stranger."""
        reader = self.holder.wait(LOADING_S)
        around = gold.sample.around if gold.sample else None
        return reader.read(
            record=around.record if around else PatientRecord(),
            appointments=around.visits if around else (),
            state=gold.state,
            turns=around.turns if around else (),
            question=gold.text,
            tz=self.settings.timezone,
            needs_reply=needs_reply,
            deadline_s=DEADLINE_S,
        )

    def _understanding(self, model: Any) -> System:
        settings = self.settings.model_copy(update={"ALLOW_UNREVIEWED_CARDS": True})
        reader = Reader(settings, self.texts, build_known(settings, self.texts), model)

        def system(gold: Gold) -> Row:
            began = time.perf_counter()
            now: dt.datetime = gold.now or NOW
            line = {"id": gold.id, "text": gold.text, "now": now.isoformat(), "state": gold.state}
            said = reader.read(json.dumps(line))
            took_ms = _ms(began)
            if "error" in said:
                return Row(None, 0.0, False, took_ms=took_ms)
            slots = Slots.model_validate(said["slots"])
            return Row(Intent(said["intent"]), said["confidence"], said["danger"], slots, said["reply"], took_ms)

        return system


@contextmanager
def open_bench(folder: Path) -> Iterator[Bench]:
    """Load a model folder as a worker would, but past the release gate: what is bad shall be measured too."""
    settings = load(ProcessRole.TOOL).model_copy(update={"MODEL_NAME": str(folder), "MODEL_REVISION": None})
    holder = ModelHolder(settings, check=lambda reader, tagged: "measured, not judged")
    holder.start()
    try:
        holder.wait(LOADING_S)
        yield Bench(settings, holder, Texts.load(settings))
    finally:
        holder.close()


T = TypeVar("T")


def answers(system: Callable[[Gold], T], golds: Sequence[Gold], name: str) -> list[T]:
    """Let a system answer every message, several at a time as in a worker."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(tqdm(pool.map(system, golds), total=len(golds), desc=name, mininterval=2))


def _ms(began: float) -> float:
    return (time.perf_counter() - began) * 1000
