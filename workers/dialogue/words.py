"""Small words that only make sense inside a flow: "cualquier hora", "la segunda", "a la misma hora", a bare name.

Intents, dates and times are read by `workers.language`; this file reads what depends on the question just asked.
"""

from __future__ import annotations

import re

from workers.language.normalise import words
from workers.language.yes_no import answer_of

_ANY_SLOT = re.compile(
    r"\b(cualquier\w*|da igual|me da lo mismo|lo antes posible|lo mas (antes|pronto|rapido)|cuanto antes"
    r"|cuando (haya|pueda|puedan|sea)"
    r"|(la |el )?mas cercan[ao]|lo que haya|la que haya|que (horas?|dias?|horarios?|fechas?) (hay|tiene|tienen|estan?)"
    r"|(horas?|horarios?|dias?|fechas?|campos?|cupos?) (disponibles?|libres?)|primer[ao]? (hora )?(disponible|libre)"
    r"|usted (diga|vea|elija)|diga usted|no se( (que|cual|cuando|a que|en que)\b.*)?$)\b"
)
_SAME_TIME = re.compile(r"\b(misma hora|mismo horario|misma horita|igual hora|hora igual)\b")
_SAME_DAY = re.compile(r"\bmismo dia\b")
_OWN_VISIT = re.compile(r"\bmis? (cita|citas|consulta|consultas|ficha|fichas|control|controles|turno)\b")
_LATER = re.compile(r"\b(mas (tarde|tardecito|tardecita|tardesito|luego|despues)|(poco|ratito|rato) (mas )?despues)\b")
_EARLIER = re.compile(
    r"(?<!lo )\b(mas (temprano|tempranito|antes|antecito|pronto)|(poco|ratito|rato) (mas )?antes"
    r"|antes (no )?(hay|habra|puede))\b"
)
_THE_TIME = re.compile(
    r"\b(la|cambiar) hora\b|\botr[oa]s? (horas?|horita|horarios?|opcion|opciones)\b|^(no hay )?otr[oa]s?$|^hora$"
)
_ANOTHER_HOUR = re.compile(
    r"\b((cambi\w*|mov\w*|muev\w*) (de |la |el |mi )?(hora|horita|horario)|otra hora|otro horario)\b"
)
_ALL = re.compile(
    r"^(de |a |ya )?(las|los|todas?|ambas?|ambos)( las| los)?( (dos|2|tres|3|citas|todas))*( (por favor|nomas|pues))*$"
    r"|\b(todas|ambas|ninguna de|las dos|las tres)( las)?( mis)? (citas|fichas|consultas)\b"
)
_SOONEST = re.compile(
    r"\b(antes posible|mas (antes|pronto|rapido|proxim[oa]|cercan[oa])|cuanto antes|urgente"
    r"|primer[ao]? (hora )?(disponible|libre))\b"
)
_LATE = re.compile(
    r"\b(llegar|llego|llegare|llegando|ire|estare|voy) ((un|unos|unas|\d+|poco|poquito|rato|ratito|minutos|mas) )*"
    r"(tarde|atrasad[oa]|retrasad[oa]|demorad[oa]|con retraso)\b|\bme (voy a |estoy )?(atras|retras|demor)\w+\b"
)
_NEXT_WEEK = re.compile(
    r"\b(otra|proxima|siguiente) semana\b|\bsemana (que viene|que entra|entrante|proxima|siguiente)\b"
)
_WEEKDAY = re.compile(r"\b(lunes|martes|miercoles|jueves|viernes|sabado)\b(?! \d)")
_THE_DAY = re.compile(r"\b(el|otro|cambiar) dia\b|\b(la|otra) fecha\b|^(dia|fecha)$")
_DROP = re.compile(
    r"\b(ya no (quiero|deseo|necesito|hace falta)|dejelo?|dejalo|dejemoslo"
    r"|olvidelo|olvidalo|mejor no|nada nomas|no agende\w*|no (muchas )?gracias)\b"
)
_CANNOT = re.compile(r"\b(no|tampoco) (me )?(puedo|podre|alcanzo|llego|conviene|sirve)\b")
_CANCELS = re.compile(
    r"\b(cancel\w*|anul\w*|borr\w+|elimin\w+|quit\w+|suspend\w+|sac(ar|ame|arme|queme)|baja|ya no"
    r"|no (voy|ire|vamos|iremos|podre|puedo|podemos|llego|alcanzo|quiero|asistire|vendre)"
    r"|dej(elo|alo|emoslo|ela|ala))\b"
)
_RATHER = re.compile(r"\b(mejor|puede ser|podria|prefiero|mas bien|si puedo|que sea)\b")
_ANOTHER = re.compile(r"\b(otra|nueva|segunda) (cita|consulta|ficha)\b")
_COMING = re.compile(r"\b(ire|voy|vamos|asistire|asistir|estare|llegare|acudire|ahi)\b")
_ORDINALS = (
    frozenset({"primera", "primero", "1", "uno", "una", "1ra", "1ro"}),
    frozenset({"segunda", "segundo", "2", "dos", "2da", "2do"}),
    frozenset({"tercera", "tercero", "tercer", "3", "tres", "3ra", "3ro"}),
)
_FILLER_WORDS = "la el opcion numero por favor a esa ese quiero prefiero mejor de con entonces si"
_FILLER = frozenset(_FILLER_WORDS.split())
_LAST = frozenset({"ultima", "ultimo"})
_OTHER_WORDS = (
    "si no gracias hola ok bueno claro quiero tengo para cita ficha hora dia que como cuando donde porque por favor "
    "mi mis me ya esta ese esa eso doctora doctor ayuda nombre no se nada"
)
_NOT_A_NAME = frozenset(_OTHER_WORDS.split())
_COURTESY_WORDS = (
    "gracias muchas mil muy amable hola buenos buenas dias tardes noches doctora doctor por favor ok ya listo"
)
_COURTESY = frozenset(_COURTESY_WORDS.split())
_NAME_PARTICLES = frozenset({"de", "del", "la", "los", "las", "y"})
_NAME_LEAD = re.compile(
    r"^\s*(?:(?:es\s+)?(?:a\s+nombre\s+de|mi\s+nombre\s+es|me\s+llamo|se\s+llama|soy|nombre:?|para|es)\s+)?"
    r"(?:(?:do[nñ]a?|sra?\.?|se[nñ]ora?)\s+)?",
    re.IGNORECASE,
)
_ALTA = frozenset(
    {("alta",), ("activar",), ("reactivar",), ("volver", "a", "activar"), ("volver",), ("activar", "recordatorios")}
)


def _plain(text: str) -> str:
    return " ".join(words(text))


def wants_any_slot(text: str) -> bool:
    """Is the patient asking us to propose ("cuando haya", "¿qué horas hay?")?"""
    return bool(_ANY_SLOT.search(_plain(text)))


def wants_later(text: str) -> bool:
    """ "Sí, pero más tarde": another hour of the same day, after the one that was proposed."""
    return bool(_LATER.search(_plain(text)))


def wants_earlier(text: str) -> bool:
    return bool(_EARLIER.search(_plain(text))) and not wants_any_slot(text)


def shifts(text: str) -> bool:
    """ "Más tarde" or "más temprano" than what was proposed or booked."""
    return wants_later(text) or wants_earlier(text)


def says_same_time(text: str) -> bool:
    return bool(_SAME_TIME.search(_plain(text)))


def says_same_day(text: str) -> bool:
    return bool(_SAME_DAY.search(_plain(text)))


def names_a_visit(text: str) -> bool:
    """Does the patient speak of an appointment as a thing ("mi cita"), not just of the one being talked about?"""
    return bool(_OWN_VISIT.search(_plain(text)))


def asks_other_time(text: str) -> bool:
    return bool(_THE_TIME.search(_plain(text)))


def names_next_week(text: str) -> bool:
    return bool(_NEXT_WEEK.search(_plain(text)))


def names_weekday(text: str) -> bool:
    """A day of the week without a number: which week is meant stands somewhere else."""
    return bool(_WEEKDAY.search(_plain(text))) and not names_next_week(text)


def would_rather(text: str) -> bool:
    return bool(_RATHER.search(_plain(text)))


def asks_another_hour(text: str) -> bool:
    """ "Cambiar la hora de mi cita": the day stays."""
    return bool(_ANOTHER_HOUR.search(_plain(text))) and not asks_other_day(text)


def means_all(text: str) -> bool:
    """ "Las dos", "todas": more than one of the visits that were named."""
    return bool(_ALL.search(_plain(text))) and _plain(text) not in ("las", "los")


def wants_the_soonest(text: str) -> bool:
    return bool(_SOONEST.search(_plain(text)))


def arrives_late(text: str) -> bool:
    """ "Voy a llegar tarde": comes, but that is not what is to be told."""
    return bool(_LATE.search(_plain(text)))


def asks_other_day(text: str) -> bool:
    return bool(_THE_DAY.search(_plain(text)))


def drops(text: str) -> bool:
    """ "ya no quiero", "olvídelo": leave the flow, not only the last proposal."""
    return bool(_DROP.search(_plain(text)))


def cannot(text: str) -> bool:
    """ "a las 10 no puedo": what is named is refused, unless something better is named with it."""
    plain = _plain(text)
    return bool(_CANNOT.search(plain)) and not _RATHER.search(plain)


def speaks_of_cancelling(text: str) -> bool:
    """Is there any word for calling something off? Without one, a day or an hour is a datum."""
    return bool(_CANCELS.search(_plain(text)))


def wants_another(text: str) -> bool:
    """ "otra cita": one more, not the one being talked about."""
    return bool(_ANOTHER.search(_plain(text)))


def is_coming(text: str) -> bool:
    """Says that they will come, which is the opposite of a yes to "¿desea cancelar?"."""
    return bool(_COMING.search(_plain(text)))


def opens_with_no(text: str) -> bool:
    return words(text)[:1] in (["no"], ["nop"], ["nunca"])


def ordinal(text: str, count: int) -> int | None:
    """Which of `count` options "la segunda" or "opción 2" means, from 0; None when it says something else."""
    found = [word for word in words(text) if word not in _FILLER]
    if len(found) != 1 or count < 1:
        return None
    if found[0] in _LAST:
        return count - 1
    return next((i for i, names in enumerate(_ORDINALS[:count]) if found[0] in names), None)


def name_in(text: str) -> str | None:
    """A name given as the bare answer to "¿a nombre de quién?", in title case; None when it does not look like one."""
    bare = _NAME_LEAD.sub("", text.strip()).strip(" .,!")
    parts = bare.split()
    if (
        not 1 <= len(parts) <= 6
        or len(bare) > 60
        or not all(re.fullmatch(r"[^\W\d_]+(?:['´][^\W\d_]*)?", p) for p in parts)
    ):
        return None
    if {p.lower() for p in parts} & _NOT_A_NAME:
        return None
    return " ".join(p.lower() if p.lower() in _NAME_PARTICLES else p.capitalize() for p in parts)


def adds_nothing(text: str) -> bool:
    """Only a yes, a greeting or thanks: written beside a tap it changes nothing."""
    found = set(words(text))
    return found <= _COURTESY or (answer_of(text) is True)


def asks_to_return(text: str) -> bool:
    """ "ALTA", "volver a activar": undo the opt-out. Only as the whole message."""
    return tuple(words(text)) in _ALTA
