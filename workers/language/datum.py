"""Is a message nothing but the datum that was (or could have been) asked? Called by `intents`. Pure."""

from __future__ import annotations

import datetime as dt
import re

from shared.prediction import Slots
from workers.language.dates import without_times
from workers.language.names import bare_name
from workers.language.normalise import normalise, words
from workers.language.word_lists import word_set

# Words that may accompany a date or an hour without asking for anything.
_FILLER = word_set(
    """
    a al la las el los lo de del en por para que si ya no mejor bueno bien ok dale claro pues nomas favor doctor
    doctora licenciada hola buenas buenos buen dia dias tarde tardes noches gracias seria sea ser puede podria
    puedo pueda mi me cuando hora horas fecha dia ese esa este esta entonces mas o y u cualquier cualquiera
    igual tipo como eso perdon digo perfecto listo pero solo tal vez quizas quiza creo tambien prefiero
    preferiria parece gustaria quisiera viene vendria conviene queda quedaria exacto nuevo mismo ah eh con gusto
    da disculpe disculpa sino es seran viernes senorita senora don temprano posible aproximadamente mediodia hay
    tengo libre disponible estoy te le anote pongame ponga
    """
)
_IN_FLOW = word_set(
    """
    quiero ir iria voy puedo podemos venir asistir estar anoteme agende cita ficha hay habra espacio lugar libre
    disponible tiene necesito pasar llegar
    """
)
_ANY_TIME = re.compile(
    r"(?:(?:si|ya|bueno|mejor|para|en|,|por favor|la|el|lo|a|seria|puede ser) )*(?:(?:mas|antes) "
    r"(?:pronto|rapido|antes|posible)(?: posible)?|cuanto antes|cualquier (?:dia|hora|horario|"
    r"fecha|momento)|"
    r"cuando (?:sea|pueda|puedan|haya|usted diga|quiera)|que sea|primera|primero|segunda|segundo|"
    r"tercera|tercero|ultima|ultimo|proxima semana|otra semana|semana que viene|esta semana|mes "
    r"que viene|fin de semana|da igual)"
    r"(?: (?:por favor|nomas|pues|,|\.|doctora?|gracias|posible))*"
)
_ONLY_TIMES = re.compile(
    r"\b(?:lunes|martes|miercoles|jueves|viernes|sabado|domingo|enero|febrero|marzo|abril|mayo|"
    r"junio|julio|agosto|septiembre|octubre|noviembre|diciembre)\b|\d/\d|\bdia \d"
)
_REASON_ONLY = re.compile(r"(?:(?:es|si|,|seria) )*(?:para|por) \w+(?: \w+){0,3} ?")
_REF = re.compile(r"\b(?:c(?: \.)? ?c|codigo|cod|ref|referencia|cita|ficha|numero|nro|es|mi|la|de)\b|\d{1,4}|[.,\-?]")


def is_only_data(text: str, slots: Slots, expects: str | None, now: dt.datetime) -> bool:
    """Tell whether a message only supplies a date, an hour, a reference or a name.

    `expects` is the datum just asked for, None outside a flow: inside one, "puedo ir el jueves" is an answer.
    """
    if len(text) > 200:
        return False
    normal = normalise(text)
    if _ANY_TIME.fullmatch(normal):
        return True
    rest = without_times(text, now)
    if (
        slots.date
        or slots.time
        or slots.time_window
        or (len(rest.split()) < len(words(text)) and _ONLY_TIMES.search(normal))
    ):
        if slots.old_date or slots.old_time:
            return False
        allowed = _FILLER | _IN_FLOW if expects in {"fecha", "hora", "cual", "confirmar"} else _FILLER
        left = [word for word in rest.split() if word not in allowed]
        if slots.appointment_ref or slots.name:
            return _only_ref(text) or bare_name(text, asked=False) is not None
        return not left and ("?" not in normal or expects is not None or _proposes(text))
    if slots.appointment_ref:
        return _only_ref(text)
    if expects is None and slots.name:
        return bare_name(text, asked=False) is not None
    if slots.reason and len(normal.split()) <= 6 and _REASON_ONLY.fullmatch(normal):
        return True
    return expects in {"nombre"} and bare_name(text) is not None


def _proposes(text: str) -> bool:
    return re.search(r"\b(?:puede|podria) ser\b", normalise(text)) is not None


def _only_ref(text: str) -> bool:
    if re.search(r"\b(?:que|cuando|cual|para cuando)\b", normalise(text)):
        return False
    rest = _REF.sub(" ", normalise(text))
    return not [word for word in rest.split() if word not in _FILLER]
