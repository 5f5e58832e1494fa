"""Whether a reply says only what its card says, in other words. Pure; used by `guardrails`.

A list of forbidden sentences is never complete, so the question is turned round: every word must be a plain one or
stand in the card, advice must keep the card's own "no", and what the patient "may" do must be in the card.
Works on plain sentences: lower case, no accents.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from workers.safety.plain_words import PLAIN, TALKING

_WORD = re.compile(r"[^\W\d_]+")
_CLAUSE_END = re.compile(r"[.,;:()¿?¡!]|\b(?:y|o|pero|porque|que|aunque)\b")
_CLITICS = re.compile(r"(?<=[aeir])(?:(?:me|te|se|nos)?l[aeo]s?|me|te|se|nos)$")
_ENDING = re.compile(
    r"(?:a[rns]|e[rns]|i[rs]|os|arse|ad[oa]s?|id[oa]s?|ando|iendo|amos|emos|ara|era|ira|aran|eran|iran|a|e|o|s)$"
)
_CHANGED_VOWEL = re.compile(r"(?<=[b-df-hj-np-tv-z])(?<![qg])(?:ie|ue)(?=[b-df-hj-np-tv-z]{1,2}$)")  # pierda, perder

# Verbs of treatment: the card's own "no" must stay, and no "no" may be added.
_TREATMENT_ROOTS = """
    tom ingier beb dej suspend par deten interrump abandon salt omit dupli dobl aument reduz reduc disminu baj sub
    reemplaz sustitu compart prest repit repet retom reinic empiec empez inic comienz comenz sig segu contin termin
    complet descans cur san contag transmit pierd perd mezcl combin fum pid vuelv volv funcion resist
"""
_ROOTS = re.compile(rf"(?:{'|'.join(_TREATMENT_ROOTS.split())})(?:[aeiou]\w*|i?[oó]\b)")
# Nouns and harmless words that begin like those verbs.
_NO_VERBS = re.compile(
    r"par(?:a|te\w*|ece\w*|to)|baj[oa]s?|san[oa]s?|sang\w+|sal\w+|sub\w*|sigu?iente\w*|"
    r"segun\w*|segur\w*|seguid[oa]s?|sig[ou]e?|complet[oa]s?|doble|tomas?|contagi[oa]s?|cur[ai]os\w+|inici[oa]l?|bebe|bebes|"
    r"contin\w+o|resistent\w+|resistencia|medicament\w+|pid[aeo]\w*|dosis"
)
_NO = frozenset("no nunca jamas tampoco ni sin evite".split())
_IF = frozenset("si para antes piensa quiere".split())
_MUST = frozenset("importante debe deben hay tiene necesario".split())
# Warnings that are right whatever the card says: "no las deje", "no tome doble", "no comparta".
_ALWAYS_FORBIDDEN = re.compile(r"(?:dej|suspend|interrump|abandon|dupli|dobl|compart|reemplaz|repit|repet|prest)")

_NO_DOUBLE = re.compile(r"\bno (?:se |debe |puede )?tom(?:e|ar) (?:el |la |una |nunca )?(?:dosis |toma )?doble\b")

_MAY = re.compile(
    r"\b(?P<modal>(?:puede[sn]?|podes|podria[sn]?|podra[sn]?|debe[sn]?|debes|deberia[sn]?|conviene|recomiendo|"
    r"aconsejo|sugiero|(?:tiene[sn]?|tenes|hay) que|basta con|alcanza con|mejor|hace falta|"
    r"(?:es|seria) (?:mejor|bueno|necesario|recomendable|suficiente)|(?:esta|estaria) bien)) "
    r"(?:(?:que|de|usted|ya|se|le|lo|la|tambien|siempre|no|mas|volver|seguir|a) )*(?P<verb>\w+?(?:[aei]r|ndo))"
    r"(?:me|te|se|l[aeo]s?|nos)*\b"
)
_REFUSED = re.compile(r"\bno \w+")
_OTHER_SENSE = re.compile(  # "deje entrar el sol", "dejé anotada su consulta"
    r"dej\w+ (?:(?!de\b)\w+[aei]r|anotad[oa]|registrad[oa]|pendiente)\b|siga con cuidado\b"
)
_INFINITIVE = re.compile(r"\w+[aei]r(?:me|te|se|l[aeo]s?|nos)*")
_NO_NEED = re.compile(
    r"\bno (?:le |te |se )?(?:necesita[sn]?|hace falta|tiene[sn]? (?:que|por que)|tenes que|debe[sn]?|hay (?:que|"
    r"necesidad)|es (?:necesari\w+|importante|urgente|obligatori\w+)|precisa|requiere)\b(?! pagar)(?: \w+)?"
)


def unknown_words(sentence: str, card: str) -> list[str]:
    """List the words of a sentence that are neither plain nor, in another form, words of the card.

    Args:
        sentence: plain, allowed values already removed.
        card: the plain reviewed texts.
    """
    known = _stems(card)
    return [word for word in _WORD.findall(sentence) if word not in PLAIN and _stem(word) not in known]


def turns_advice(sentence: str, card: str) -> bool:
    """Tell whether a sentence advises, permits or denies something about treatment otherwise than the card does."""
    sentence = _NO_DOUBLE.sub(" ", sentence)
    said = _uses(card)
    for root, sign in _uses_of(sentence):
        if sign == "if" or (sign == "no" and _ALWAYS_FORBIDDEN.match(root)):
            continue
        if (root, sign) not in said:
            return True
    allowed = {_stem(match["verb"]) for match in _MAY.finditer(card)}
    allowed |= {
        _stem(word) for word in _WORD.findall(_REFUSED.sub(" ", card)) if word not in PLAIN and not _ROOTS.match(word)
    }
    for match in _MAY.finditer(sentence):
        verb, refused = match["verb"], sentence[: match.start()].endswith("no ")
        if not refused and verb not in TALKING and _stem(verb) not in allowed:
            return True
    return any(match.group() not in card for match in _NO_NEED.finditer(sentence))


@lru_cache(512)
def _stems(card: str) -> frozenset[str]:
    return frozenset(map(_stem, _WORD.findall(card)))


@lru_cache(4096)
def _stem(word: str) -> str:
    """Cut pronouns and endings, so that "tomarlas", "tomar" and "tome" meet; very short words stay as they are."""
    if len(word) > 5:
        word = _CLITICS.sub("", word)
    if len(word) > 3 and (root := _ENDING.sub("", word, count=1)) and len(root) >= 3:
        word = _CHANGED_VOWEL.sub(lambda found: {"ie": "e", "ue": "o"}[found.group()], root, count=1)
        word = re.sub(r"(?<=[nl])g$", "", word)
    return word[:6]


@lru_cache(512)
def _uses(card: str) -> frozenset[tuple[str, str]]:
    return frozenset(_uses_of(card))


def _uses_of(text: str) -> Iterator[tuple[str, str]]:
    """Yield every verb of treatment with its sign: "no", "if" (only supposed) or "yes"."""
    begin = 0
    for match in _WORD.finditer(text):
        if not _ROOTS.fullmatch(match.group()) or _NO_VERBS.fullmatch(match.group()):
            continue
        if _OTHER_SENSE.match(text, match.start()):
            continue
        for end in _CLAUSE_END.finditer(text, begin, match.start()):
            begin = end.end()
        before = _WORD.findall(text[begin : match.start()])[-4:]
        sign = next(("no" if word in _NO else "if" for word in reversed(before) if word in _NO | _IF), "yes")
        if sign == "yes" and _INFINITIVE.fullmatch(match.group()) and not _MUST & set(before):
            sign = "if"  # "dejarlo antes puede ...": what one may or must do is looked at by _MAY
        yield _stem(match.group())[:4], sign
