"""What a reply states that nobody told us: numbers, dates, names, drugs, addresses. Pure; used by `guardrails`.

Everything concrete in a reply must stand in its `Facts`: the centre's settings, the card, the appointment, the patient.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_NUMBER = re.compile(r"\d+(?:[.,:/\-]\d+)*")
_NUMBER_WORDS = {
    "dos": "2", "tres": "3", "cuatro": "4", "cinco": "5", "seis": "6", "siete": "7", "ocho": "8", "nueve": "9",
    "diez": "10", "once": "11", "doce": "12", "trece": "13", "catorce": "14", "quince": "15", "dieciseis": "16",
    "veinte": "20", "treinta": "30", "cuarenta": "40", "cincuenta": "50", "sesenta": "60", "cien": "100", "mil": "1000",
}  # fmt: skip
_DATES_LIST = """
    lunes martes miercoles jueves viernes sabado domingo enero febrero marzo abril mayo junio julio agosto
    septiembre setiembre octubre noviembre diciembre
"""
_DATES = frozenset(_DATES_LIST.split())
# Days, durations and hours of opening without a number.
_RELATIVE = re.compile(
    r"\b(?:pasado manana|(?<!la )(?<!las )(?<!en la )manana|hoy|ayer|anteayer|anoche|"
    r"esta (?:manana|tarde|noche|semana)|medio ?dia|media ?noche|"
    r"(?:est[ea]|proxim[ao]|otr[ao]|siguiente) (?:semana|mes|ano)|(?:semana|mes|ano) (?:que viene|entrante)|"
    r"(?:fin|fines|mitad|comienzos|principios) de (?:semana|mes|ano)|"
    r"(?:en|dentro de|por|durante|tras) (?:una?|un par de|un[oa]s|poc[oa]s|vari[oa]s|algun[oa]s) "
    r"(?:dias?|semanas?|mes|meses|horas?|rato|ratito)|"
    r"dia y noche|hay atencion|atienden|abren|abrimos|abiertos?)\b"
)
_DRUGS_LIST = """
    rifampicina rifapentina isoniacida pirazinamida etambutol estreptomicina levofloxacino moxifloxacino linezolid
    bedaquilina clofazimina cicloserina amikacina etionamida delamanid pretomanid kanamicina paracetamol
    acetaminofen ibuprofeno aspirina diclofenaco naproxeno ketorolaco tramadol dipirona metamizol amoxicilina
    azitromicina ciprofloxacino penicilina cotrimoxazol omeprazol ranitidina metoclopramida loratadina cetirizina
    clorfenamina prednisona dexametasona salbutamol ambroxol piridoxina metformina insulina losartan enalapril
    fluconazol ivermectina sulfato complejo
"""
_DRUGS = frozenset(_DRUGS_LIST.split())
_DRUG_ENDINGS = re.compile(
    r"\w{3,}(?:micina|ciclina|floxacin[oa]?|cilina|prazol|profeno|tadina|azepam|statina|conazol|tidina)"
)
# Words with a capital that are nobody's name.
_KNOWN_CAPITALS_LIST = """
    tuberculosis tb tbc vih bcg genexpert xpert bolivia taes dots baja hoy ahora oms whatsapp adn sus dr dra lic sr
    sra usted sistema unico salud ministerio seguro covid rx pcr ok
"""
_KNOWN_CAPITALS = frozenset(_KNOWN_CAPITALS_LIST.split())
# First words before a comma that are nobody's name: "Claro, ..."
_OPENERS_LIST = """
    afirmo hola gracias claro bueno listo disculpe entiendo perfecto si no ya bien entonces ademas tambien tranquilo
    tranquila entendido lamentablemente comprendo perdon recuerde buenas buenos primero luego despues aqui igual
    mientras asi hoy muy con de por para en cuando aunque vale correcto efectivamente exacto
"""
_OPENERS = frozenset(_OPENERS_LIST.split())
_ADDRESS = re.compile(r"https?://|www\.|\b[\w.]+@[\w.]+\b|\b\w+\.(?:com|org|net|bo|gob)\b")
_PLACES = re.compile(
    r"\b(?:calle|avenida|av|hospital|clinica|posta|farmacia|barrio|zona|plan|anillo)\s+(?!de|del|mas|donde|o|y|que|para|cerca)\w+"
)
_MONEY = re.compile(
    r"\b(?:bs|bolivianos|dolares|pesos|soles)\b|\$|\bvan? a cobrar\b|(?<!no )\b(?:hay|tiene|tendra) que pagar\b"
)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a reply may state.

    Attributes:
        values: short strings that may stand anywhere: phone, hours, address, dates, times, reference, names.
        texts: reviewed texts (the card, fixed texts); their sentences may be repeated word by word, and their numbers
            and drug names used.
    """

    values: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


def plain(text: str) -> str:
    """Lower case without accents; "sí" becomes "afirmo", because it is no condition."""
    lowered = re.sub(r"\bsí\b", "afirmo", unicodedata.normalize("NFC", text).lower())
    return "".join(c for c in unicodedata.normalize("NFKD", lowered) if unicodedata.category(c) != "Mn")


def without_values(reply: str, facts: Facts) -> str:
    """Remove the values a reply may state and their beginnings, longest first, so that what is left must be words."""
    parts = {part for value in facts.values for part in _parts(value)}
    for part in sorted(parts, key=len, reverse=True):
        reply = re.sub(rf"(?<![\w@./]){re.escape(part)}(?![\w@]|\.\w)", " ", reply, flags=re.IGNORECASE)
    return reply


def _parts(value: str) -> list[str]:
    """List the ways to say a value: "Elvira" of "Elvira Choque", "martes" and "24 de noviembre" of a date.

    Opening hours are stated whole or not at all: "el lunes" alone would be an appointment that nobody gave.
    """
    words = value.split()
    if not words or not words[0][0].isalpha() or ":" in value:
        return [value] if value else []
    day = re.search(r"\d+ de \w+$", value)
    return [" ".join(words[: count + 1]) for count in range(len(words))] + ([day.group()] if day else [])


def invented(sentence: str, facts: Facts) -> str | None:
    """Name what a sentence states without a source, or None.

    Args:
        sentence: as written, allowed values already removed.
        facts: what may be stated.

    Returns:
        `invented_` and number, date, drug, name, place or price; or None.
    """
    known = plain(without_values(" ".join(facts.texts), facts))
    known_words = set(re.findall(r"\w+", known))
    low = plain(sentence)
    words = re.findall(r"\w+", low)
    if _ADDRESS.search(low):
        return "invented_place"
    if _MONEY.search(low):
        return "invented_price"
    known_numbers = set(_NUMBER.findall(known)) | {_NUMBER_WORDS[w] for w in known_words & set(_NUMBER_WORDS)}
    if any(number not in known_numbers for number in _NUMBER.findall(low)):
        return "invented_number"
    if any(w in _NUMBER_WORDS and _NUMBER_WORDS[w] not in known_numbers for w in words):
        return "invented_number"
    if any(w.rstrip("s") in _DATES | {d.rstrip("s") for d in _DATES} and w not in known_words for w in words):
        return "invented_date"
    if set(_RELATIVE.findall(low)) - set(_RELATIVE.findall(known)):
        return "invented_date"
    if any((w in _DRUGS or _DRUG_ENDINGS.fullmatch(w)) and w not in known_words for w in words):
        return "invented_drug"
    if any(not set(match.group().split()[1:]) <= known_words for match in _PLACES.finditer(low)):
        return "invented_place"
    return "invented_name" if _names(sentence, known_words) else None


def _names(sentence: str, known_words: set[str]) -> list[str]:
    """List capitalised words inside a sentence, or before its first comma, that nobody gave us."""
    found = []
    for match in re.finditer(r"[^\W\d_]+", sentence):
        word = match.group()
        if not word[0].isupper():
            continue
        low = plain(word)
        first = not re.search(r"[^\W\d_]", sentence[: match.start()]) or bool(
            re.search(r"[:¿¡?!\"«]\s*$", sentence[: match.start()])
        )
        if first and (low in _OPENERS or not sentence[match.end() :].lstrip().startswith(",")):
            continue
        if low not in known_words and low not in _KNOWN_CAPITALS:
            found.append(word)
    return found
