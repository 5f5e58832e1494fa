"""What the clinic never tells by chat, whatever was understood: somebody else's data, and the dose of a medicine.

Each is answered with its fixed text; an open question is asked again after it. Pure, called by `decide`.
"""

from __future__ import annotations

import re

from shared.conversation import Appointment
from shared.prediction import INFORMATION_INTENTS, Intent
from workers.dialogue.asking import upcoming
from workers.dialogue.decision import TurnInput
from workers.language.normalise import normalise, words
from workers.safety.hostile import is_abuse

_PERSON = (
    r"(?:vecin[oa]s?|vecinit[oa]|amig[oa]s?|companer[oa]s?|mam[aiy]|mamita|pap[ai]|papito|madre|padre|hij[oa]s?|hijit[oa]s?"
    r"|espos[oa]|marido|mujer|pareja|herman[oa]s?|hermanit[oa]|ti[oa]s?|prim[oa]s?|abuel[oa]s?|abuelit[oa]s?|suegr[oa]"
    r"|cunad[oa]|nuera|yerno|sobrin[oa]s?|niet[oa]s?|jef[ea]|novi[oa]|enamorad[oa]|inquilin[oa]|comadre|compadre|ex"
    r"|pacientes?)"
)
_ONE = (
    rf"(?:(?:mis?|una?|el|la|los|las|otr[oa]s?|es[ae]) {_PERSON}|ella|ellos|ellas|(?:la senora|el senor|don|dona) \w+)"
)
_VISIT_OF = re.compile(
    rf"\b(?:citas?|fichas?|consultas?|turnos?|control|reservas?)(?: (?:de|del|para) \w+)? (?:de|tiene) {_ONE}\b"
)
_THEIR_TURN = re.compile(
    rf"\b{_ONE} (?:\w+ ){{0,3}}?(?:tiene|tenia|le toca|le tocaba)\b"
    rf"|\b(?:tiene|tenia|le toca|le tocaba) (?:\w+ ){{0,3}}?{_ONE}\b"
)
_HE = re.compile(r"\bél\b")  # only the accent tells "él" from the article
_RECORDS = re.compile(
    r"\b(?:datos|historial?|resultados?|analisis|diagnostico|telefono|celular|direccion|domicilio|nombres?|lista)"
    r" (?:\w+ ){0,2}?(?:de|del) "
    rf"(?:(?:todos )?(?:los |las )?(?:\w+ )?(?:pacientes|enferm[oa]s)|{_ONE}"
    r"|otr[oa]s? (?:persona|paciente|senora?)s?)\b"
)
_STATE = (
    r"(?:se atiende|se trata|es paciente|esta enferm[oa]|tiene (?:la )?(?:tuberculosis|tb|tbc|esa enfermedad)"
    r"|(?:salio|dio|sale) (?:\w+ )?(?:positiv[oa]|negativ[oa]|mal|bien)|esta (?:yendo|tomando|curad[oa]|contagiad[oa]))"
)
# The state itself is what is asked: "mi esposo tiene TB, ¿es grave?" is another question, and answered.
_ELSE = r"(?:es|que|como|cuant\w+|cuando|cual|donde|hay|se|me|nos|l[aeo]s?|sera|son|si|y)"
_ASKS_STATE = re.compile(
    rf"\b{_ONE} (?:\w+ ){{0,6}}?{_STATE}(?: (?!{_ELSE}\b)\w+){{0,5}} \?"
    r"|\b(?:sabe[ns]?|saber|deci[rm]\w*|dig\w+|averigu\w+|confirm\w+|inform\w+) si (?:\w+ ){0,3}?"
    rf"{_ONE} (?:\w+ ){{0,6}}?{_STATE}"
)
# A question about one's own risk, or for help, is no question about the other person.
_OWN_CONCERN = re.compile(
    r"\b(?:contagi\w*|peg(?:a|o|ar|arme|aria)|peligro\w*|riesgo|cuid\w*|proteg\w*|debo|tengo que|tenemos|hago"
    r"|hacer|hacemos|puedo|revis\w*|barbijo|mascarilla|visit\w*|compart\w*|vivo|vivimos|duermo|ayud\w*|llev\w*)\b"
)
_NOT_ABOUT_OTHERS = frozenset({Intent.INFORMAR_DATO, Intent.HABLAR_HUMANO, Intent.AFIRMAR, Intent.NEGAR, Intent.BAJA})
_VISIT_INTENTS = frozenset(
    {Intent.CONSULTAR_CITA, Intent.CANCELAR_CITA, Intent.REPROGRAMAR_CITA, Intent.CONFIRMAR_ASISTENCIA}
)

_TOPICAL = frozenset({Intent.FUERA_DE_TEMA, Intent.CONSULTAR_CITA, Intent.AGENDAR_CITA})
_BOOKS = re.compile(r"\b(?:citas?|fichas?|turnos?|horas?|cupos?|campos?|campitos?|agend\w+|reserv\w+|anot\w+)\b")

_MEDICINE = (
    r"(?:pastillas?|pastillitas?|tabletas?|comprimidos?|capsulas?|mg|miligramos?|gramos?|ml|gotas|jarabe|remedios?"
    r"|medicamentos?|medicinas?|dosis|rifa\w*|isoni\w*|pirazi\w*|etambu\w*|estrepto\w*)"
)
_TAKING = (
    r"(?:tom[aoe]\w*|tengo que|debo|hay que|toca\w*|corresponde\w*|darle|doy|da|dar|dan|inyect\w*|recet\w*|son|es"
    r"|indiqu\w*)"
)
_TIME_OR_PRICE = r"(?:tiempo|meses|mes|dias?|semanas?|anos?|cuesta\w*|vale\w*|demora\w*|dura\w*|falta\w*)"
_HOW_MUCH = rf"(?:cuant[oa]s?(?! {_TIME_OR_PRICE})|que (?:cantidad|dosis)|cual (?:es|seria) (?:la|mi|su) dosis)"
_COUNT = r"(?:una?|dos|tres|cuatro|[1-6])"
_DOSE = re.compile(
    rf"\b{_HOW_MUCH}\b(?: \S+){{0,5}}? {_MEDICINE}\b(?: \S+){{0,6}}? {_TAKING}\b"
    rf"|\b{_HOW_MUCH}\b(?: \S+){{0,4}}? {_TAKING}\b(?: \S+){{0,4}}? (?:{_MEDICINE}|(?:al|por) dia|diari[oa]s?)\b"
    r"|\b(?:que|cual (?:es|seria) (?:la|mi|su)) dosis\b|\bdosis de (?:\w+ ){0,2}(?:rifa|isoni|pirazi|etambu)\w*"
    rf"|\b{_COUNT} o {_COUNT} (?:pastillas?|tabletas?|comprimidos?|capsulas?)\b"
    r"|\bcuant[oa]s? (?:le|les|me|se|nos) (?:doy|damos|dan|toma\w*|toca\w*|corresponde\w*)\b"
    r"|\bcuant[oa]s? (?:mg|miligramos?|ml)\b|\bcuantas veces (?:al|por) dia\b"
)
_PRICE = re.compile(r"\b(?:cuesta\w*|costo\w*|vale[n]?|precio\w*|pagar|pago|gratis|gratuit\w*|boliviano\w*|bs)\b")
_NOT_A_DOSE = frozenset({Intent.DOSIS_OLVIDADA, Intent.HABLAR_HUMANO, Intent.BAJA, Intent.HORARIOS_UBICACION_COSTOS})


def refusal(turn: TurnInput) -> str | None:
    """The key of the fixed text (texts.yaml) that answers this turn; None when it may be answered."""
    if asks_about_others(turn):
        return "datos_de_otros"
    if asks_for_a_dose(turn):
        return "dosis"
    if turn.prediction.intent is Intent.FUERA_DE_TEMA and is_abuse(turn.text):
        return "insulto"
    return None


def asks_about_others(turn: TurnInput) -> bool:
    """Somebody else's appointment, result or illness. Visits booked through this number are the patient's own."""
    intent, plain = turn.prediction.intent, " ".join(words(turn.text))
    if intent in _NOT_ABOUT_OTHERS or (intent is Intent.AGENDAR_CITA and _books(turn, plain)):
        return False
    own = upcoming(turn)
    if intent in _VISIT_INTENTS and not any(_is_for_another(visit, turn) for visit in own):
        if _VISIT_OF.search(plain) or _names_another(turn, own):
            return True
        if intent is Intent.CONSULTAR_CITA and (_THEIR_TURN.search(plain) or _HE.search(turn.text.lower())):
            return True
    if _RECORDS.search(plain):
        return True
    topical = intent in INFORMATION_INTENTS or intent in _TOPICAL
    return topical and bool(_ASKS_STATE.search(normalise(turn.text))) and not _OWN_CONCERN.search(plain)


def asks_for_a_dose(turn: TurnInput) -> bool:
    """How much, how many or how often of a medicine."""
    intent, plain = turn.prediction.intent, " ".join(words(turn.text))
    about_it = intent in INFORMATION_INTENTS | {Intent.FUERA_DE_TEMA} and intent not in _NOT_A_DOSE
    return bool(about_it and _DOSE.search(plain) and not _PRICE.search(plain))


def _books(turn: TurnInput, plain: str) -> bool:
    """A booking that says so: for whom it is may be told."""
    said = turn.prediction.slots
    return bool(said.date or said.time or said.time_window or _BOOKS.search(plain))


def _is_for_another(visit: Appointment, turn: TurnInput) -> bool:
    return bool(visit.name) and not _same_person(visit.name, turn.record.name)


def _names_another(turn: TurnInput, own: list[Appointment]) -> bool:
    name = turn.prediction.slots.name
    if not name or re.search(r"\b(?:soy|me llamo|mi nombre|a nombre)\b", " ".join(words(turn.text))):
        return False
    mine = [visit.name for visit in own] + [turn.record.name or ""]
    return any(mine) and not any(_same_person(name, other) for other in mine if other)


def _same_person(name: str, other: str | None) -> bool:
    return bool(set(words(name)) & set(words(other or "")))
