"""Yes or no to the question just asked, by whole words. Called by the rules and by the dialogue before a write.

Pure. A message that says anything more than yes or no gets None: what is done next may write to the backend.
"""

from __future__ import annotations

import re

from workers.language.normalise import MAX_CHARS, words
from workers.language.word_lists import word_set

_YES_SIGNS = ("👍", "👌", "✅", "✔", "☑", "🆗", "💯", "🙋")
_NO_SIGNS = ("👎", "❌", "🚫", "✖", "🙅", "⛔")

_YES = word_set(
    """
    si sii sisi sisisi sip sep sipi sis sim yes ya dale ok oki okey okay okis okas vale claro correcto exacto
    exactamente perfecto afirmativo obvio seguro confirmo confirmado confirmar confirmada confirme acepto
    aceptar listo bueno bien hagale hagalo adelante asi ari hecho agende agenda hagamos delen buenisimo
    conforme excelente efectivamente proceda procede prosiga anoteme anotame agendeme agendame conviene
    sirve cierto eso quede quedamos queda genial supuesto acuerdo simon
    """
)
_NO = word_set(
    """
    no nah nop nope nou nel nao negativo nunca jamas tampoco janiwa
    """
)
# Words that may stand beside a yes or a no without adding anything.
_EMPTY = word_set(
    """
    pues pe nomas por favor doctor doctora licenciada senorita senor senora gracias muchas mil muy amable me
    parece esta esa de en la el lo con gusto pero mismo a todo que hola buenas buenos dias tardes noches
    entonces ps caserita joven estimada estimado y eh ah oh aja mhm hm amigo amiga quiero deseo es siempre ese
    esa por mi ps usted te le claro nomas favorcito todavia aun mejor asi yo muy bien para gusta da gracia
    igual era va porsupuesto sea ese esto
    """
)
_NO_PHRASES = re.compile(
    r"\b(?:no (?:(?:lo |la |me |le )?(?:quiero|deseo|gracias|confirmo|acepto|gusta|parece|es asi|"
    r"es correcto|esta bien|esta|estoy de acuerdo|hace falta|puede ser|haga\w*|todavia|aun))"
    r"|mejor no|para nada|de ninguna manera|ni hablar|todavia no|aun no|creo que no|asi no|"
    r"(?:esta |muy )?mal|dejemoslo(?: asi| nomas)?|dejelo (?:asi|nomas)|deje nomas|dejalo asi|"
    r"equivocad[oa]|se equivoco|incorrecto|ningun[oa](?: (?:de (?:es[oa]s|ell[oa]s)|me sirve|me "
    r"conviene|puedo))?|no (?:puedo ese dia|me acomoda|se moleste|es necesario|me (?:sirve|"
    r"conviene|queda)(?: bien)?|puedo a esa hora|se puede)|(?:a esa hora|ese dia|asi|en ese "
    r"horario) no|tampoco|ahora no|por ahora no|lo voy a pensar|luego veo|despues veo|tengo que "
    r"ver)\b"
)
_YES_PHRASES = re.compile(
    r"\b(?:esta bien|de acuerdo|por supuesto|como no|asi es|me parece(?: bien)?|claro que si|de "
    r"una|sin problema|no hay problema|ningun problema|creo que si|eso es|hagale|eso mismo|ese "
    r"mismo|esa misma|asi (?:nomas|mismo)|me (?:parece|queda|conviene|viene) (?:muy )?bien|"
    r"por mi (?:esta )?bien|me conviene|me sirve)\b"
)
# A yes that contradicts a no in the same message; "ya" and "bueno" only soften it ("ya no", "bueno no").
_PLAIN_YES = frozenset({"si", "sii", "sip", "ok", "dale", "confirmo", "claro", "acepto"})


def answer_of(text: str) -> bool | None:
    """Return True for yes, False for no, None when the message says neither, both, or more than that."""
    text = text[:MAX_CHARS]
    found = words(text[:400])
    if len(text) > 400 or len(found) > 9 or "?" in text:
        return None
    if not found:
        return _sign(text)
    line = " ".join(found)
    says_no, line = bool(_NO_PHRASES.search(line)), _NO_PHRASES.sub(" ", line)
    says_yes, line = bool(_YES_PHRASES.search(line)), _YES_PHRASES.sub(" ", line)
    left = line.split()
    if any(word not in _YES and word not in _NO and word not in _EMPTY for word in left):
        return None
    if says_no or any(word in _NO for word in left):
        return None if _takes_it_back(left) else False
    if says_yes or any(word in _YES for word in left):
        return _sign(text) is not False
    return None


def _takes_it_back(left: list[str]) -> bool:
    """Tell "si no" (neither) from "ok, no" and "claro que no", where the last word decides."""
    decisive = [word for word in left if word in _YES or word in _NO]
    if not _PLAIN_YES.intersection(decisive):
        return False
    return not (decisive[-1] in _NO and decisive[0] in {"ok", "claro"})


def _sign(text: str) -> bool | None:
    yes, no = any(sign in text for sign in _YES_SIGNS), any(sign in text for sign in _NO_SIGNS)
    return None if yes == no else yes
