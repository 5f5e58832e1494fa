"""Is this a yes to what was just proposed? Every word of it must agree; what only sounds like yes is asked once more.

A yes writes to the backend, so understanding alone, however sure, is none. Pure; called by `flowing`.
"""

from __future__ import annotations

import re

from shared.conversation import FlowKind
from workers.language.normalise import words
from workers.language.yes_no import answer_of

_YES_WORDS = """
    si sip sep simon claro dale ok okey okay oki perfecto correcto exacto acepto confirmo confirmado
    confirmada confirmar confirme confirma confirmeme confirmame confirmemela agende agendeme agendame agendela
    agendemela anote anoteme anotame reserve reserveme reservame reservela hagale hagalo proceda adelante
"""
_YES = frozenset(_YES_WORDS.split())  # "ya", "bueno", "listo" agree only when they stand alone
# What may stand beside the yes: courtesy, and the words in which the proposal itself was made. Another day or hour than
# the proposed one never comes here: it has changed the flow before.
_PROPOSAL_WORDS = """
    ya bueno listo por favor favorcito gracias muchas muy amable doctora doctor licenciada senorita senora senor pues pe
    ps p nomas hola buenas buenos buen entonces eso asi es bien mismo todo y que
    mi me le la las el los lo un una de del a al en para con ese esa esta este
    cita citas ficha consulta turno reserva hora horas horario dia dias fecha media cuarto punto semana hoy manana
    pasado tarde tardes noches lunes martes miercoles jueves viernes sabado domingo enero febrero marzo abril mayo junio
    julio agosto septiembre octubre noviembre diciembre
    quiero quisiera deseo necesito parece queda conviene sirve viene va
"""
_PROPOSAL = frozenset(_PROPOSAL_WORDS.split())
_VERBS = {
    FlowKind.AGENDAR: "",
    FlowKind.REPROGRAMAR: """
        cambie cambiela cambielo cambieme cambiemela cambiame cambiamela cambio mueva muevala muevame muevamela pase
        pasela paseme pasemela reprograme reprogramela reprogrameme
    """,
    FlowKind.CANCELAR: """
        cancele cancelela cancelelo canceleme cancelemela cancela cancelala cancelar anule anulela anulemela anulala
        anular borre borrela
    """,
    FlowKind.CONFIRMAR: "ire voy vamos asistire asistir estare llegare acudire ahi alli asistencia sin falta",
}
# The request itself, said again, is no answer: each verb counts only beside a yes.
_BESIDE = {kind: _PROPOSAL | frozenset(verbs.split()) for kind, verbs in _VERBS.items()}
_TO_BOOK = frozenset({"agende", "agendeme", "anote", "anoteme", "reserve", "reserveme"})
_NUMBER = re.compile(r"\d{1,2}(?:[:.]\d\d)?(?:am|pm)?")
_DOUBT = re.compile(
    r"\bno (?:lo |la )?se\b(?! (?:preocupe|moleste|olvide|puede|pude|si me la puede))"
    r"|\bno estoy segur[oa]\b|\bno me acuerdo\b|\b(?:tal ?vez|quizas?|capaz|a lo mejor|depende)\b"
    r"|\b(?:voy a|dejeme|deja|tengo que|tendria que|debo) (?:ver|pensar|pensarlo|preguntar|consultar|avisar|hablar)\b"
    r"|\b(?:luego|despues|mas (?:tarde|rato)|manana|ahorita|al rato) (?:yo )?(?:le |te |les )?"
    r"(?:aviso|confirmo|digo|escribo|llamo)\b"
    r"|\b(?:le|te|les) (?:aviso|avisare|confirmare)\b"
)


def agrees(text: str, kind: FlowKind) -> bool:
    """Tell whether all of a message is a yes to the proposal of such a flow ("ya confirme nomás la cita del viernes").

    A question is none ("¿sí?"), nor a condition ("si Dios quiere"), nor a yes with anything new beside it.
    """
    found = set(words(text))
    if kind is FlowKind.CANCELAR and found & _TO_BOOK:
        return False
    if answer_of(text) is not None:
        return answer_of(text) is True
    if "?" in text or not found & _YES:
        return False
    return all(word in _YES or word in _BESIDE[kind] or _NUMBER.fullmatch(word) for word in found)


def is_undecided(text: str) -> bool:
    """ "No sé si podré", "luego le confirmo": neither yes nor no, and nothing to hold against the proposal."""
    return bool(_DOUBT.search(" ".join(words(text))))
