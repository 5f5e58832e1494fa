"""Sentences that only health staff may say: doses, diagnoses, changes of treatment. Pure; used by `guardrails`.

Works on one plain sentence: lower case, no accents, and "sí" written as "afirmo" so that it is not taken for "si".
"""

from __future__ import annotations

import re

_NUMBER = (
    r"(?:\d+(?:[.,/]\d+)?|un|una|media|medio|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|doce|quince|"
    r"veinte|treinta|"
    r"cien|doscient\w+|trescient\w+|cuatrocient\w+|quinient\w+|seiscient\w+|mil|doble|triple|varias|mas)"
)
_UNIT = r"(?:mg|ml|mcg|cc|ui|gr?|miligramos?|mililitros?|microgramos?|gramos?|gotas?|cucharad\w+|cucharit\w+)"
_PIECE = (
    r"(?:pastill\w*|tablet\w*|comprimid\w*|capsul\w*|grage\w*|ampoll\w*|inyecci\w+|dosis|tomas?|sobres?|"
    r"pildor\w*|frascos?)"
)
_MEDICINE = (
    r"(?:pastill\w*|tablet\w*|comprimid\w*|capsul\w*|medicament\w*|medicin\w*|remedios?|tratamiento|dosis|tomas?|"
    r"rifampicina|isoniacida|pirazinamida|etambutol|antibiotic\w*|esquema|jarabe|farmacos?)"
)
_TAKE = (
    r"(?:tom[ea](?:se|te)?|tomarl[ao]s?|tomel[ao]s?|tomar(?:se)?|tomando|ingiera|trague|consuma|admini?stre\w*|"
    r"apliquese|use)"
)

_DOSES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b{_NUMBER}\s*{_UNIT}\b",
        rf"\b\d+(?:[.,]\d+)?{_UNIT}\b",
        rf"\b{_TAKE}\s+(?:\w+\s+){{0,2}}?{_NUMBER}\b(?!\s+(?:cita|muestra|foto|placa|examen|radiografia|decision))",
        rf"\b{_NUMBER}\s+(?:\w+\s+)?{_PIECE}\s+(?:al|por|a la|cada|diari\w+|en|de|con|antes|despues|juntas?|mas)\b",
        rf"\b(?:dos|tres|cuatro|cinco|seis|\d+|media)\s+{_PIECE}\b",
        rf"\b{_NUMBER}\s+ve(?:z|ces)\s+(?:al|por|a la|cada)\b",
        rf"\bcada\s+(?:{_NUMBER}\s+)?(?:horas?|dias?|semanas?|comidas?|manana|noche)\b",
        rf"\b{_TAKE}\b[^.?!]{{0,50}}?\b(?:en ayunas|antes de (?:dormir|comer|acostarse|desayunar|cada)|"
        rf"despues de (?:comer|cada)|"
        r"con (?:el|la) (?:desayuno|almuerzo|cena)|por la (?:manana|noche|tarde)|al acostarse|al dia|"
        r"diariamente|de golpe)\b",
        rf"\bdosis\s+(?:es|son|recomendada|habitual|normal|correcta|de)\s+(?:de\s+)?{_NUMBER}\b",
        r"\b(?:doble|triple|mitad)\b",
        r"\bun[ao]?\s+(?:al|por|cada)\s+(?:dia|noche|manana|tarde|semana|hora|comida)\b",
        rf"\b{_TAKE}\s+(?:solo\s+|las\s+|los\s+)?(?:cuando|como|si)\b",
    )
)
# "Si olvidó una dosis" and "no tome doble" speak of doses without giving one.
_HARMLESS_DOSES = re.compile(
    r"\b(?:olvid\w+|falt\w+|salt\w+|perdi\w+|se le paso)\s+(?:de\s+)?(?:tomar\s+)?(?:\w+\s+)?(?:una|alguna|"
    r"varias)\s+(?:dosis|tomas?|pastillas?)\b"
    r"|\bno\s+(?:se\s+|debe\s+|puede\s+)?tom(?:e|ar)\s+(?:el\s+|una\s+|la\s+)?(?:dosis\s+|toma\s+)?doble\b"
)

_ILLNESS = (
    r"(?:tuberculosis|tb|tbc|cancer|covid|hepatitis|neumonia|bronquitis|asma|gripe|resfri\w+|alergia|infeccion|"
    r"vih|sida|anemia|"
    r"diabetes|recaida|gastritis|ulcera|intoxicacion|bacteria|enfermedad|resistencia|dano|problemas? (?:del?|"
    r"en el) (?:higado|rinon\w*|pulmon\w*))"
)
_DIAGNOSES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:tiene|tienes|tenes|tenga|tengas|padec\w+|presenta\w*|sufr\w+|tendria\w*|tendra\w*|tenia\w*|tuv\w+|"
        rf"contrajo|contrajiste|desarrollo|(?:esta|estas) con|se enfermo (?:con|de)|"
        rf"es portador\w* de)\s+(?:de\s+)?(?:\w+\s+){{0,2}}?{_ILLNESS}\b",
        r"\b(?:lo suyo|lo tuyo|(?<!por )eso|esto|lo que (?:tiene|tienes|tenes|siente|sientes|sentis)|su tos|"
        r"su caso)\s+(?:\w+\s+){0,2}?(?:es|son|parece|"
        r"seria|suena|puede ser|debe ser)\b",
        rf"\b(?:se trata de|parece ser|parece|debe ser|seguro es|probablemente es|"
        rf"es probable que)\s+(?:\w+\s+){{0,3}}?{_ILLNESS}\b",
        r"\bsus?\s+(?:\w+\s+)?(?:resultados?|examen(?:es)?|pruebas?|baciloscopias?|genexpert|radiografia|placa|"
        r"analisis|cultivo|muestra|esputo)\s+"
        r"(?:de\s+\w+\s+)?(?:es|son|esta|estan|salio|salieron|indican?|significan?|muestran?|dio|dieron|fue|"
        r"fueron|confirman?|descartan?|sale|salen)\b",
        r"\b(?:resultado|prueba|baciloscopia|genexpert|placa|analisis)\s+(?:es|salio|dio|fue|"
        r"esta)\s+(?:\w+\s+)?(?:positiv|negativ|normal|bien|mal|limpi)\w*",
        r"\b(?:usted|ud)\s+(?:\w+\s+)?(?:esta|es|estaria)\s+(?:\w+\s+)?(?:curad|san[oa]|infectad|contagi|enferm|"
        r"positiv|negativ|grave|bien|fuera de peligro)\w*",
        r"\b(?:su|sus|tu|tus)\s+(?!cita)\w+\s+(?:ya\s+)?(?:esta|estan|sigue|siguen|anda|andan|va|van|quedo|quedaron)\s+"
        r"(?:muy\s+|mas\s+)?(?:bien|mejor|mal|peor)\b",
        r"\b(?:ya\s+)?(?:esta|se encuentra)\s+(?:\w+\s+)?(?:curad[oa]|san[oa]|infectad[oa]|fuera de peligro)\b",
        r"\b(?:usted|ud|tu|vos|ya)\s+(?:ya\s+)?no\s+(?:l[eo]s?\s+)?(?:eres\s+|es\s+|sos\s+|puede\w*\s+|va\s+a\s+)?contagi\w+",
        r"\bno\s+(?:l[aeo]s?\s+)?(?:va|vas|puede\w*|podra\w*)\s+(?:a\s+)?contagi\w+",
        r"\b(?:eso|esto|ello)?\s*(?:es|son|seria)\s+(?:\w+\s+)?normal(?:es)?\b",
        r"\bno\s+(?:es|son|parece|se ve|tiene)\s+(?:nada\s+|algo\s+)?(?:grave|peligros\w+|seri[oa]|preocupante|"
        r"importancia|contagios\w+)\b",
        r"\bno\s+(?:hay\s+(?:de\s+)?(?:que|por que)\s+preocuparse|se\s+preocupe|"
        r"tiene\s+(?:de\s+)?que\s+preocuparse|es\s+nada)\b",
        rf"\b(?:es|sea|sera|seria|fue)\s+(?:de\s+|por\s+)?(?:una?\s+|la\s+)?(?!enfermedad|bacteria){_ILLNESS}\b(?!\s+que)",
        r"\b(?:todo|tu|vos)\s+(?:esta|estas|va|anda|sigue|salio)\s+(?:muy\s+|todo\s+)?(?:bien|mejor)\b",
        r"\bno\s+(?:l[aeo]s?\s+)?contagi\w+",
        r"\bno\s+(?:l[eo]s?\s+|te\s+)?(?:va\s+a\s+)?pasa\w*\s+nada\b",
        r"\b(?:cura|mejora|pasa|quita|va)\s+sol[oa]s?\b",
        r"\b(?:usted|ya)\s+(?:termin|acab|complet|cumpl|super|pas)[oi]\w*\s+(?:su|el|la)\b",
        rf"\b(?:descarto|le diagnostico|confirmo que (?:\w+ )?(?:tiene|es|no))\b|\bno\s+(?:es|tiene)\s+{_ILLNESS}\b",
    )
)
# Before a match, these make it a supposition or a general truth.
_SUPPOSED = re.compile(r"\b(?:si|quien|quienes|personas? que)(?:\s+\w+){0,2}\s*$")

_CHANGE = (
    r"(?:dej[ea]|dejar|suspend[ea]|suspender|pare|parar|detenga|interrump\w+|abandon\w+|salt[ea](?:se)?|"
    r"saltarse|saltese|saltar|omit[aei]\w*|"
    r"dupli\w+|dobl[ea]|doblar|aument[ea]\w*|reduzca|reducir|disminuy\w+|baj[ea]|bajar|sub[ai]|subir|cambi[ea]|cambiar|"
    r"reempla\w+|sustitu\w+|compart\w+|prest[ea]|prestar|repit[ae]|repetir|reinici\w+|retom\w+|empiece|empezar|"
    r"inici[ea]|iniciar|"
    r"comience|comenzar|adelant[ea]|espaci[ea]|parta|tire|bote|quite|agregue|combine|mezcle|regale|"
    r"descans[ae]\w*|posponga|postergue)"
)
_CHANGES = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b{_TAKE}\s+(?:\w+\s+){{0,3}}?{_MEDICINE}\b",
        rf"\botr[oa]s?\s+{_MEDICINE}\b",
        rf"\b{_MEDICINE}\s+(?:ya\s+)?no\s+(?:es|son|le|les|te|sirve\w*|hace\w*|ayuda\w*)\b",
        r"\bno\s+(?:l[ao]s?\s+tom\w+|tom\w+\s+(?:nada|ningun\w*))\b",
        rf"\b(?:sig\w+|segu\w+|qued\w+|aguant\w+|est[ae]\w*)\s+(?:\w+\s+)?sin\s+(?:\w+\s+){{0,2}}?{_MEDICINE}\b",
        r"\b(?:l[eo]s?|te)\s+(?:va|van)\s+a\s+(?:dar|poner|recetar|quitar|cambiar)\b",
        rf"\b{_CHANGE}\b(?:\s+(?:de|con|a|en))?(?:\s+(?:tomar|usar|recibir))?\s+"
        rf"(?:(?!con |durante |segun )\w+\s+){{0,4}}?{_MEDICINE}\b",
        r"\b(?:dej|suspend|interrump|salte|salt|dupliqu|dobl|cambi|comparta|prest|repit|reemplac|tir|bot)(?:e|"
        r"a)(?:se)?l[ao]s?\b",
        r"\b(?:puede|debe|deberia|podria|tiene que|conviene|mejor|recomiendo|recomendable|aconsejo|"
        r"sugiero)\s+(?:\w+\s+){0,2}?"
        r"(?:dejar|suspender|parar|saltar|duplicar|doblar|compartir|reempla\w+|repetir|abandonar|interrumpir)\w*\b",
        rf"\b(?:sin|ya no)\s+(?:necesita|necesidad de|debe|tiene que|"
        rf"hace falta)\s*(?:\w+\s+){{0,2}}?(?:tomar\w*|{_MEDICINE})\b",
        rf"\bno\s+(?:necesita|tome|use|hace falta)\s+(?:\w+\s+){{0,3}}?(?:mas\s+)?(?:{_MEDICINE})\b",
        r"\b(?:no|ya no)\s+(?:l[ao]s?\s+)?tome\s+(?:mas|hoy|manana|por)\b",
        rf"\bun(?:os)?\s+(?:dias?|descanso)\s+sin\s+(?:\w+\s+)?(?:tomar|{_MEDICINE})\b",
    )
)
_STAY_AWAY = re.compile(
    r"\b(?:no|nunca)\s+(?:se\s+|l[aeo]s?\s+)?(?:venga|vengas|vaya|vayas|llame|llames|avise|avises|consulte|consultes|"
    r"pregunte|preguntes|espere|acuda|asista|moleste)\b"
    r"|\b(?:venga|vaya|llame|avise|consulte|acuda)\s+(?:solo|solamente|unicamente|recien)\s+(?:si|cuando)\b"
    r"|\botr[oa]\s+(?:medic\w+|doctor\w*|centro|hospital|clinica|posta|lugar)\b"
)
_REMEDY = (
    r"(?:mates?|te de|infusion\w*|jarabes?|miel|ajo|limon|eucalipto|wira|jengibre|hierbas?|remedio casero|"
    r"remedios caseros|vaporizaci\w+|"
    r"paracetamol|ibuprofeno|aspirina|antibiotic\w+|antialergic\w+|vitaminas?|suero|bicarbonato|sal de|"
    r"calmante\w*|analgesic\w+|"
    r"omeprazol|pomada|crema|alcohol|singani)"
)
_REMEDIES = (
    re.compile(
        rf"\b(?:{_TAKE}|pruebe|prepare\w*|beba|inhale|aplique|unte|compre|recomiendo|aconsejo|puede tomar|"
        rf"puede usar|cure\w*|trate\w*|ayuda|sirve)"
        rf"\b[^.?!]{{0,40}}?\b{_REMEDY}\b"
    ),
    re.compile(rf"\b{_REMEDY}\b[^.?!]{{0,30}}?\b(?:cura|alivia|ayuda|sirve|reemplaza|es buen[oa]|le hara bien)\b"),
)
_FORBIDDEN = re.compile(
    r"\b(?:no|nunca|jamas|tampoco|ni|evite|sin)\s+(?:se\s+|las?\s+|los?\s+|le\s+|debe\s+|puede\s+|vaya a\s+)*$"
)
_NEGATED = re.compile(r"\b(?:no|nunca|ni|sin|tampoco)\s+(?:\w+\s+){0,2}$")
_ASKED_BEFORE = re.compile(
    r"\b(?:antes de|consulte antes de|siempre que se|si (?:piensa|quiere|desea)|para no|evitar|peligroso|"
    r"consulte si puede|preguntar? si puede)\s+(?:\w+\s+)?$"
)


def gives_dose(sentence: str, card: str = "") -> bool:
    """Tell whether a plain sentence states an amount, a count or a timetable of a medicine.

    Args:
        sentence: plain.
        card: the plain reviewed texts; what stands there word by word may be said.
    """
    rest = _HARMLESS_DOSES.sub(" ", sentence)
    return any(not _stands_in(match, card) for pattern in _DOSES for match in pattern.finditer(rest))


def gives_diagnosis(sentence: str, card: str = "") -> bool:
    """Tell whether a plain sentence says what somebody has or has not, reads a result, or reassures."""
    for pattern in _DIAGNOSES:
        for match in pattern.finditer(sentence):
            if not (_SUPPOSED.search(sentence[: match.start()]) or _stands_in(match, card)):
                return True
    return False


def changes_treatment(sentence: str, card: str = "") -> bool:
    """Tell whether a plain sentence advises to start, stop, skip, double, replace or share medicines, or a home remedy,
    or not to see the staff.

    "No las deje" and "consulte antes de dejarlas" are allowed; "no tome sus pastillas" is not.
    """
    if any(not _stands_in(match, card) for match in _STAY_AWAY.finditer(sentence)):
        return True
    for pattern in (*_CHANGES, *_REMEDIES):
        for match in pattern.finditer(sentence):
            before = sentence[: match.start()]
            if not (_FORBIDDEN.search(before) or _ASKED_BEFORE.search(before) or _stands_in(match, card)):
                return True
    return False


def _stands_in(match: re.Match[str], card: str) -> bool:
    """Tell whether the card says the same words, with or without a "no" before them as here."""
    words = re.escape(match.group().strip())
    before = match.string[: match.start()]
    negated = _NEGATED.search(before) is not None
    return any(
        (_NEGATED.search(card[: found.start()]) is not None) == negated
        for found in re.finditer(rf"(?<!\w){words}(?!\w)", card)
    )
