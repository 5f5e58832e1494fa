"""What a patient wants, by rules: one of the 22 intents with a strength, and what else. Called by `understanding`.

Pure. `urgencia` is the safety layer's; here only a bare cry for help is recognised. The cue lists are in
`shared/assets/intents.yaml`, the appointment verbs in `visits`, the order of precedence in PRIORITY below.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from shared.prediction import INFORMATION_INTENTS, Intent, Slots
from workers.language.cues import Hit, find_cues
from workers.language.datum import is_only_data
from workers.language.names import bare_name
from workers.language.normalise import MAX_CHARS, normalise, words
from workers.language.social import only_social
from workers.language.spelling import correct
from workers.language.visits import visit_intents
from workers.language.yes_no import answer_of


@dataclass(frozen=True)
class RuleReading:
    """The rules' reading of a message.

    `strength` in 0..1: from 0.8 the rules are sure, below 0.6 they are guessing. `secondary`: at most two further
    requests in the same message. `alternatives`: the next best readings, for asking back.
    """

    intent: Intent
    strength: float
    secondary: tuple[Intent, ...] = ()
    alternatives: tuple[Intent, ...] = ()


# Specification section 2.1, as one table: of several intents in a message the first here is the primary one. The
# information intents that are not listed compete by weight, then by order of mention.
PRIORITY: tuple[Intent, ...] = (
    Intent.URGENCIA,
    Intent.BAJA,
    Intent.REPROGRAMAR_CITA,
    Intent.CANCELAR_CITA,
    Intent.AGENDAR_CITA,
    Intent.CONFIRMAR_ASISTENCIA,
    Intent.CONSULTAR_CITA,
    Intent.HABLAR_HUMANO,
    Intent.DOSIS_OLVIDADA,
    Intent.EFECTOS_SECUNDARIOS,
)
MAX_WORDS = 300  # bounds the work on hostile texts
VISITS = frozenset(PRIORITY[2:7])
_NEVER_OFF_TOPIC = VISITS | {Intent.BAJA}
_TOPICS = INFORMATION_INTENTS - set(PRIORITY)
# Of two topics with equal weight the narrower one is meant ("¿la placa duele?" is a test, not general information).
_NARROW_FIRST = (
    Intent.PREVENCION_CONTAGIO,
    Intent.HORARIOS_UBICACION_COSTOS,
    Intent.DIAGNOSTICO_PRUEBAS,
    Intent.TRATAMIENTO,
    Intent.SINTOMAS,
    Intent.CONSULTAR_INFO,
)

# Keywords that are obeyed without any model (section 8, rule 8).
_OPT_OUT = re.compile(
    r"(?:(?:hola|buen[oa]s|dias|tardes|noches|doctora?|si|por favor|quiero|gracias|ya|,|\.) )*"
    r"(?:(?:de |la |me )?baja|stop|parar|paren|basta|unsubscribe|salir|salirme|alto|"
    r"desuscribir\w*|no mas mensajes|cancelar suscripcion|darme de baja|no molestar|no molesten)"
    r"(?: (?:por favor|gracias|ya|nomas|pues|,|\.|doctora?|baja|stop|total|definitiva|del "
    r"(?:servicio|whatsapp|sistema)|todo))*"
)
_COMPLAINT_ABOUT_SILENCE = re.compile(
    r"\b(?:por que|porque) (?:ya )?no me (?:mand|envi|escrib|lleg)|\bno me (?:mandaron|"
    r"enviaron|llego|llegaron|escribieron|han)\b"
)
_CONFIRMS_VISIT = re.compile(r"(?:si (?:, )?)?confirm(?:o|ado|ada)(?: (?:doctora?|licenciada|gracias|[,.]))*")
_YES_CANCEL = re.compile(
    r"(?:si|ya|ok|dale|bueno) (?:, )?(?:cancel|anul)\w+(?: (?:la|mi|cita|nomas|por favor|pues|"
    r"doctora?|,|\.))*"
)
_HELP = re.compile(
    r"(?:(?:por favor|doctora?|ay|dios|mio|hola|alguien|,|\.) )*(?:auxilio|socorro|emergencia|es "
    r"una emergencia|(?:ayuda|ayudenme|ayudeme)(?: urgente| rapido| por favor (?:urgente|rapido))|"
    r"sos sos)(?: .{0,20})?"
)
_HARD_OFF_TOPIC = re.compile(
    r"\b(?:instruccion\w*|prompt|system|jailbreak|reglas|actua|finge|desde ahora|a partir de "
    r"ahora|assistant|sys|contrasena|token\w*|datos de|(?:lista|agenda) de (?:los |las |todos "
    r")?(?:todos|pacientes|enfermos)|vendo|compro|alquilo|oferta|pasaje|solter[oa]|edad tiene|covid|mi "
    r"(?:perr|gat|gallin|vac|chanch)\w+|eres (?:un|una|tan) \w+|euro|dolar|receta\w*me)\b"
)
_MEDICAL = re.compile(
    r"\b(?:tuberculosis|tb|tos\w*|flema|pastill\w*|medic\w*|remedi\w*|tratamiento|pulmon\w*|"
    r"enferm\w*|doctora?|examen\w*|cita|ficha|consulta|salud|centro|fiebre|dosis)\b"
)


def classify(text: str, slots: Slots, state: str | None, now: dt.datetime) -> RuleReading:
    """Read the intent of one message (or of a burst that is answered as one turn).

    Args:
        text: the message as written.
        slots: `slots.extract` of the same text, unfiltered.
        state: the pending flow and the datum asked for, like "agendar:fecha"; None outside a flow.
        now: when it was written, in the clinic's zone; used to see whether only a date was said.
    """
    text = text[:MAX_CHARS]
    plain = normalise(text)
    brief = len(plain) < 200
    if brief and _OPT_OUT.fullmatch(plain):
        return RuleReading(Intent.BAJA, 1.0)
    if not words(text):
        return _signs_only(text)
    if brief and _HELP.fullmatch(plain):
        return RuleReading(Intent.URGENCIA, 0.9)
    flow, _, expects = state.partition(":") if state else ("", "", None)
    line = correct(" ".join(plain.split(" ")[:MAX_WORDS]))
    cues = find_cues(line)
    if Intent.BAJA not in cues:
        short = _short_answer(text, line, slots, expects, flow, now)
        if short is not None and not (short.intent is Intent.INFORMAR_DATO and _says_more(slots, cues)):
            return short
    return _longer(line, cues, slots, expects)


def _short_answer(
    text: str, line: str, slots: Slots, expects: str | None, flow: str, now: dt.datetime
) -> RuleReading | None:
    """Read a message that is nothing but a greeting, a yes or no, or the datum that was asked."""
    if flow == "cancelar" and _YES_CANCEL.fullmatch(line):
        return RuleReading(Intent.AFIRMAR, 0.9)
    social = only_social(line)
    answer = answer_of(text)
    if social is not None and not (answer is not None and expects is not None):
        return RuleReading(social, 0.95)
    if expects is None and _CONFIRMS_VISIT.fullmatch(line):
        return RuleReading(Intent.CONFIRMAR_ASISTENCIA, 0.8)  # the answer to a reminder
    if answer is not None:
        return RuleReading(Intent.AFIRMAR if answer else Intent.NEGAR, 0.95 if expects else 0.9)
    if is_only_data(text, slots, expects, now):
        return RuleReading(Intent.INFORMAR_DATO, 0.95 if expects else 0.9)
    if expects == "nombre" and slots.name is not None and bare_name(text) is not None:
        return RuleReading(Intent.INFORMAR_DATO, 0.9)
    return None


def _says_more(slots: Slots, cues: dict[Intent, Hit]) -> bool:
    """Doubt a name that was made out of words which ask for something ("dejen de escribirme")."""
    only_name = slots.name is not None and not (slots.date or slots.time or slots.time_window or slots.appointment_ref)
    return only_name and any(hit.strong for hit in cues.values())


def _longer(line: str, cues: dict[Intent, Hit], slots: Slots, expects: str | None) -> RuleReading:
    strengths: dict[Intent, float] = dict(visit_intents(line, slots, "?" in line))
    if Intent.BAJA in cues and not _COMPLAINT_ABOUT_SILENCE.search(line):
        strengths[Intent.BAJA] = 0.95
    for intent in (Intent.HABLAR_HUMANO, Intent.DOSIS_OLVIDADA, Intent.EFECTOS_SECUNDARIOS):
        hit = cues.get(intent)
        if hit is not None and hit.strong:
            strengths[intent] = _strength(hit)
    topics = _ranked_topics(cues)
    off_topic = cues.get(Intent.FUERA_DE_TEMA)
    in_scope = strengths or any(hit.strong for hit in topics)
    if (
        off_topic is not None
        and not (set(strengths) & _NEVER_OFF_TOPIC)
        and (_HARD_OFF_TOPIC.search(line) or not in_scope)
    ):
        return RuleReading(Intent.FUERA_DE_TEMA, 0.9, alternatives=tuple(hit.intent for hit in topics[:2]))
    _settle(strengths, topics, cues)
    listed = [intent for intent in PRIORITY if intent in strengths]
    if listed:
        return _with_others(listed, strengths, topics)
    if topics:
        best = topics[0]
        others = tuple(hit.intent for hit in topics[1:] if hit.strong)[:2]
        return RuleReading(best.intent, _strength(best), others, tuple(hit.intent for hit in topics[1:4]))
    return _last_resort(cues, line, slots, expects)


def _with_others(listed: list[Intent], strengths: dict[Intent, float], topics: list[Hit]) -> RuleReading:
    primary = listed[0]
    kept = [intent for intent in listed[1:] if not (primary in VISITS and intent in VISITS)]
    kept += [hit.intent for hit in topics if hit.strong and primary not in {Intent.BAJA}]
    others = tuple(hit.intent for hit in topics if hit.intent not in kept)
    return RuleReading(primary, strengths[primary], tuple(kept[:2]), tuple(listed[1:]) + others[:2])


def _settle(strengths: dict[Intent, float], topics: list[Hit], cues: dict[Intent, Hit]) -> None:
    """Drop readings that another one explains better, and topics that are only the reason of a visit."""
    strong = {hit.intent: hit for hit in topics if hit.strong}
    agenda = set(strengths) & VISITS
    if agenda:
        # "anóteme para dejar la muestra": the sample is why they come, not a question.
        topics[:] = [hit for hit in topics if hit.intent is Intent.HORARIOS_UBICACION_COSTOS and hit.strong]
        strengths.pop(Intent.EFECTOS_SECUNDARIOS, None)
        strengths.pop(Intent.DOSIS_OLVIDADA, None)
        if (
            Intent.HABLAR_HUMANO in strengths
            and agenda == {Intent.AGENDAR_CITA}
            and strengths[Intent.AGENDAR_CITA] < 0.8
        ):
            strengths.pop(Intent.AGENDAR_CITA)
            return
        if strengths[max(agenda, key=lambda intent: strengths[intent])] >= 0.8:
            strengths.pop(Intent.HABLAR_HUMANO, None)
        return
    if (
        Intent.EFECTOS_SECUNDARIOS in strengths
        and Intent.TRATAMIENTO in strong
        and Intent.DOSIS_OLVIDADA not in strengths
    ):
        hit, other = cues[Intent.EFECTOS_SECUNDARIOS], strong[Intent.TRATAMIENTO]
        if other.strong > hit.strong:
            strengths.pop(Intent.EFECTOS_SECUNDARIOS)


def _ranked_topics(cues: dict[Intent, Hit]) -> list[Hit]:
    topics = [cues[intent] for intent in _NARROW_FIRST if intent in cues and intent in _TOPICS]
    return sorted(topics, key=lambda hit: (-min(hit.strong, 3), -hit.weak, _NARROW_FIRST.index(hit.intent)))


def _strength(hit: Hit) -> float:
    if hit.strong:
        return 0.9 if hit.strong > 1 else 0.85
    return 0.6 if hit.weak > 1 else 0.5


def _signs_only(text: str) -> RuleReading:
    """Read a message without words: a thumb, a wave, folded hands, or noise."""
    answer = answer_of(text)
    if answer is not None:
        return RuleReading(Intent.AFIRMAR if answer else Intent.NEGAR, 0.9)
    if any(sign in text for sign in "👋"):
        return RuleReading(Intent.SALUDO, 0.8)
    if any(sign in text for sign in "🙏❤💙🤗😊💐"):
        return RuleReading(Intent.DESPEDIDA_GRACIAS, 0.7)
    return RuleReading(Intent.FUERA_DE_TEMA, 0.6)


def _last_resort(cues: dict[Intent, Hit], line: str, slots: Slots, expects: str | None) -> RuleReading:
    """Guess, below the strength at which anybody acts on it."""
    for intent in (Intent.EFECTOS_SECUNDARIOS, Intent.HABLAR_HUMANO, Intent.DOSIS_OLVIDADA):
        if intent in cues:
            return RuleReading(intent, 0.5, alternatives=(Intent.CONSULTAR_INFO,))
    if slots.date or slots.time or slots.time_window or slots.appointment_ref or slots.name:
        return RuleReading(Intent.INFORMAR_DATO, 0.55 if expects else 0.45, alternatives=(Intent.AGENDAR_CITA,))
    if _MEDICAL.search(line):
        return RuleReading(Intent.CONSULTAR_INFO, 0.4, alternatives=(Intent.HABLAR_HUMANO,))
    return RuleReading(Intent.FUERA_DE_TEMA, 0.35, alternatives=(Intent.CONSULTAR_INFO, Intent.HABLAR_HUMANO))
