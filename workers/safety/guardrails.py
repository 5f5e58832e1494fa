"""The last look at a reply before it is written to a patient: the nine rules of the dialogue specification, section 8.

Pure. A broken rule blocks the reply and a fixed text is sent instead; a false alarm here costs a nice wording.
"""

from __future__ import annotations

import re

from shared.prompt import strip_control
from workers.safety.grounding import turns_advice, unknown_words
from workers.safety.invention import Facts, invented, plain, without_values
from workers.safety.medical_claims import changes_treatment, gives_diagnosis, gives_dose

__all__ = ["Facts", "names_disease", "review", "strip_control_tokens"]

MAX_CHARS = 500
_PLACEHOLDERS_LIST = """
    date_long date time ref phone hours address name center_name emergency_phone staff topic
"""
_PLACEHOLDERS = frozenset(_PLACEHOLDERS_LIST.split())
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}?|\}")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+|;\s+")
_DISCLOSURE = re.compile(
    r"\b(?:mis (?:instrucciones|reglas|ordenes)|mi (?:prompt|configuracion)|system prompt|prompt|"
    r"modelo de lenguaje|gpt|"
    r"inteligencia artificial generativa|instrucciones (?:del sistema|internas|originales)|paciente_registrado|"
    r"ultima_visita|"
    r"eres un asistente|citas = |nombre = |estado = |datos de (?:otro|otra|otros|otras) pacientes?|"
    r"(?:otro|otra|el|la) paciente (?:anterior|que|se llama|tiene)|contrasena|token|base de datos)"
)
_PERSON = re.compile(
    r"\b(?:soy|somos|le habla|habla|le saluda|te saluda|le atiende)\s+(?:(?:el|la|un|una|su)\s*)?"
    r"(?:dr|dra|doctor\w*|medic[oa]s?|enfermer\w*|licenciad\w*|persona(?: real)?(?! con )|human[oa]s?|especialista)\b"
)
_FOREIGN_LIST = """
    the and you your please take with for are this that have is not can will hello sorry of to my i your doctor's
    nao voce obrigado uma isso est vous avec und nicht
"""
_FOREIGN = frozenset(_FOREIGN_LIST.split())
_SPANISH_LIST = """
    a al de del el la los las un una en y o que no si con por para su sus le se es lo puede mas como cita usted
    centro gracias hola solo ni puedo ese los esta muy bien ya sin al me mi ayudarle dia salud
"""
_SPANISH = frozenset(_SPANISH_LIST.split())
_DISEASE = re.compile(
    r"\b(?:tuberculosis|tb|tbc|bacilo\w*|koch|esputo|flema|baciloscopia|genexpert|rifampicina|isoniacida|"
    r"pirazinamida|etambutol|"
    r"pastillas?|medicament\w*|tratamiento|contagio\w*|pulmon\w*|taes|dots|vih)\b"
)


def review(reply: str, facts: Facts) -> str | None:
    """Name the first rule that a reply breaks, or None when it may be sent.

    Sentences that stand word by word in `facts.texts` were reviewed by people and are not judged again.

    Args:
        reply: the wording, placeholders filled or not.
        facts: everything concrete that may be stated.

    Returns:
        empty · too_long · control_token · placeholder · disclosure · claims_person · language · dose · diagnosis ·
        treatment_change · invented_number|date|drug|name|place|price · ungrounded · None.
    """
    text, facts = _in_one_piece(" ".join(reply.split()), facts)
    if not text:
        return "empty"
    if len(text) > MAX_CHARS:
        return "too_long"
    if strip_control(text) != text:
        return "control_token"
    if any(match[1] not in _PLACEHOLDERS for match in _PLACEHOLDER.finditer(text)):
        return "placeholder"
    low = plain(text)
    if _DISCLOSURE.search(low):
        return "disclosure"
    if _PERSON.search(low):
        return "claims_person"
    if _is_foreign(low):
        return "language"
    reviewed = {_bare(sentence) for source in facts.texts for sentence in _sentences(source)}
    card = plain(" ".join(facts.texts))
    fresh = [sentence for sentence in _sentences(text) if _bare(sentence) not in reviewed]
    for sentence in fresh:
        own_words = without_values(_PLACEHOLDER.sub(" ", sentence), facts)
        if rule := _medical_rule(plain(sentence), card) or invented(own_words, facts):
            return rule
        if turns_advice(plain(own_words), card):
            return "treatment_change"
        if unknown_words(plain(own_words), card):
            return "ungrounded"
    # A dose may be spread over two sentences: "Tome dos. Cada ocho horas."
    return _medical_rule(" ".join(map(plain, fresh)), card)


def strip_control_tokens(text: str) -> str:
    """Remove control tokens (`<ASSISTANT>:`, `<SYS>`, `<i:...>`, `<|endoftext|>`) from what a patient wrote."""
    return strip_control(text)


def names_disease(text: str) -> bool:
    """Tell whether a text that we send unasked names the disease or its medicines (section 8, rule 7)."""
    return bool(_DISEASE.search(plain(text)))


def _medical_rule(sentence: str, card: str) -> str | None:
    if gives_dose(sentence, card):
        return "dose"
    if changes_treatment(sentence, card):
        return "treatment_change"
    if gives_diagnosis(sentence, card):
        return "diagnosis"
    return None


def _in_one_piece(text: str, facts: Facts) -> tuple[str, Facts]:
    """Write values that hold a semicolon (the opening hours) with commas, so that they do not end a sentence."""
    for value in facts.values:
        if ";" in value:
            comma = value.replace(";", ",")
            text = text.replace(value, comma)
            texts = tuple(source.replace(value, comma) for source in facts.texts)
            facts = Facts(tuple(comma if other == value else other for other in facts.values), texts)
    return text, facts


def _sentences(text: str) -> list[str]:
    return [part for part in _SENTENCE.split(" ".join(text.split())) if re.search(r"\w", part)]


def _bare(sentence: str) -> str:
    """A sentence without accents, marks and outer spaces, for comparing wordings."""
    return " ".join(re.findall(r"\w+", plain(sentence)))


def _is_foreign(low: str) -> bool:
    letters = [c for c in low if c.isalpha()]
    if sum(not c.isascii() for c in letters) > len(letters) / 5:
        return True
    words = re.findall(r"[a-z']+", low)
    foreign = sum(word in _FOREIGN for word in words)
    spanish = sum(word in _SPANISH for word in words)
    return foreign > spanish or (len(words) >= 8 and spanish < 2)
