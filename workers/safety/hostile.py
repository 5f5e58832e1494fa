"""Messages that try to change the assistant's rules, and insults: both are `fuera_de_tema`. Used by `workers`.

Pure. Takes the raw message; neither question decides about danger, which is asked first and elsewhere.
"""

from __future__ import annotations

import re

from shared.prompt import strip_control
from workers.safety.invention import plain

_INJECTION = re.compile(
    r"\b(?:ignor[ae]\w*|olvid[ae]\w*|omit[ae]\w*|desobede\w+|salt[ae]te|"
    r"descart[ae]\w*)\s+(?:\w+\s+){0,3}(?:instruccion\w*|reglas?|ordenes|indicaciones|prompt|restricciones)\b"
    r"|\b(?:actua|comportate|responde|finge|haz|hazte)\s+(?:como si fueras|como si|como|ser|pasar por)\s+(?:(?:un|"
    r"una|el|la|mi|otro|otra)\s*)?(?:\w+)"
    r"|\b(?:ahora|desde ahora|a partir de ahora)\s+(?:tu\s+|vos\s+|usted\s+)?(?:eres|sos|es|seras)\s+(?:un|una|"
    r"mi|el|la|otro|otra|libre|dan)\b"
    r"|\b(?:muestra\w*|dime|decime|dame|revela\w*|repite|repeti|imprime|escribe|cual(?:es)? (?:es|son)|"
    r"ensena\w*)\s+(?:\w+\s+){0,3}(?:prompt|instrucciones (?:secretas|internas|iniciales|del sistema|"
    r"originales)|tus (?:instrucciones|reglas)|system prompt|contrasena|codigo fuente)\b"
    r"|\b(?:modo (?:desarrollador|dios|libre|debug|administrador)|jailbreak|developer mode|system prompt|"
    r"prompt injection|sin (?:filtros|restricciones|censura))\b"
    r"|\b(?:ignore|forget|disregard)\s+(?:\w+\s+){0,3}(?:instructions|rules|prompt)\b|\bact as\b|\byou are now\b"
    r"|\b(?:escribe|escribeme|hazme|programa|genera|dame)\s+(?:\w+\s+){0,3}(?:codigo|script|programa|poema|"
    r"cancion|ensayo|receta medica)\b"
    r"|\b(?:datos|citas|numero|telefono|nombres?|lista)\s+de\s+(?:\w+\s+){0,2}(?:otros?|otras?|todos los|"
    r"los demas)\s+pacientes?\b"
)
_ABUSE = re.compile(
    r"\b(?:idiota\w*|imbecil\w*|estupid\w+|inutil\w*|pendej\w+|cojud\w+|opa|maricon\w*|mierda|carajo|put[oa]s?|"
    r"hij[oa] ?de ?put\w+|hdp|"
    r"csm|ctm|concha (?:de )?(?:tu|su) madre|vete a la|andate a la|basura de|porqueria de|malnacid\w+|"
    r"tarad[oa]s?|bruto|bruta|imbeciles|"
    r"no sirves? para nada|maldit[oa]s?|asco de servicio|k'?encha|cabron\w*|huevon\w*|weon)\b"
)


def is_injection(text: str) -> bool:
    """Tell whether a message holds control tokens or asks to change role, show rules, or write code."""
    bare = " ".join("".join(c if c.isprintable() or c.isspace() else " " for c in text).split())
    return strip_control(text) != bare or bool(_INJECTION.search(plain(text)))


def is_abuse(text: str) -> bool:
    """Tell whether a message insults. Strong words about one's own pain ("me duele la put...") count as well."""
    return bool(_ABUSE.search(plain(text)))
