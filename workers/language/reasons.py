"""Why a patient wants to come: one of the nine reasons of the specification, if it is said. Called by `slots`. Pure."""

from __future__ import annotations

import re

from shared.prediction import Reason

_PILLS = r"(?:pastill\w*|medic(?:ament|in)\w*|remedi\w*|tratamiento|tabletas?|capsulas?)"
_FAMILY = (
    r"(?:hij\w*|famili\w*|wawas?|espos\w*|marido|mujer|herman\w*|nin[oa]s?|padres|papas|"
    r"contactos?|abuel\w*|guaguas?)"
)
_FETCH = (
    r"(?:recog\w*|recoj\w*|retir\w*|sac\w*|llevar\w*|busc\w*|traer\w*|entreg\w*|me den|dar\w*|"
    r"reponer|renovar|pedir|por|para)"
)
_SYMPTOM = (
    r"(?:tos|tose|toser|tosiendo|fiebres?|calenturas?|flema|dolor\w*|duele\w*|sud(?:a|o|or\w*)|"
    r"flac[oa]|peso|cansancio|debil\w*|malestar|gripe|"
    r"ganglios?|pulmon\w*|pecho|espalda)"
)
# In this order: the first that is stated is the reason.
_REASONS: tuple[tuple[Reason, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        (
            Reason.PRIMERA_CONSULTA,
            (
                r"\b(?:primera|primerita) (?:consulta|vez|cita|visita|ficha|atencion)\b|\bconsulta inicial\b|"
                r"\bnunca (?:fui|(?:he|e) ido|me atend\w+)\b|\b(?:soy|paciente|seria) nuev[oa]\b|"
                r"\b(?:todavia |aun )?no soy paciente\b|\babrir (?:mi |una )?historia\b"
            ),
        ),
        (
            Reason.RESULTADOS,
            (
                r"\bresultad\w*\b|\b(?:llegaron|estan|salieron|salio|lean|leer|digan) (?:\w+ ){0,2}(?:mis |mi |sus )?"
                r"(?:analisis|examen\w*|estudios)\b|"
                r"\b(?:ver|explic\w+|recog\w+|entreg\w+|leer\w*|interpret\w+|salieron) (?:\w+ "
                r"){0,2}(?:analisis|examen\w*|estudios)\b"
            ),
        ),
        (Reason.RADIOGRAFIA, r"\b(?:radiografia\w*|placas?|rayos x|rayos por|rx|rayos equis|torax)\b"),
        (
            Reason.LABORATORIO,
            r"\b(?:muestr\w*|frasc\w*|laboratorio|baciloscopia\w*|genexpert|gene expert|esputo|cultivo|"
            r"tuberculina|ppd|hemograma)\b"
            r"|\bturno (?:para|de) sangre\b|\b(?:en ayunas|ayunas) .{0,30}analisis\b|\bordenaron (?:\w+ )?analisis\b"
            r"|\b(?:dejar|llevar|entregar|traer) (?:\w+ ){0,2}flema\b|\b(?:prueba|examen|analisis|test) "
            r"de (?:\w+ )?(?:flema|sangre|tuberculosis|tb|esputo|orina)\b"
            r"|\b(?:hacerme|hacer|sacarme|sacar) (?:\w+ ){0,2}(?:analisis|examen\w*|prueba\w*)\b",
        ),
        (
            Reason.EFECTOS,
            (
                rf"\b(?:(?<!sin )efectos?|reaccion\w*|alergia)\b|\b{_PILLS} (?:\w+ )?(?:me|le) (?:estan? |"
                rf"hacen? |caen? |dan? )\w+|\b(?:mal|nausea\w*|ronch\w*|picazon|comezon|molest\w*) (?:\w+ "
                rf"){{0,3}}{_PILLS}"
            ),
        ),
        (
            Reason.MEDICAMENTOS,
            (
                rf"\b{_FETCH} (?:(?!control)\w+ ){{0,3}}{_PILLS}|\bacab\w+ (?:\w+ ){{0,2}}{_PILLS}|"
                rf"\b{_PILLS} (?:\w+ ){{0,4}}(?:se me |ya se |se )?(?:estan |van a |esta por )?(?:acab|termin)\w+|"
                rf"\b{_PILLS} (?:\w+ ){{0,2}}(?:quiero|quisiera|voy a|tengo que) (?:recog|retir|sac)\w+|"
                rf"\b(?:surtan|entreguen|toca recoger|retirar|recoger) (?:\w+ ){{0,3}}"
                rf"(?:{_PILLS}|medicacion|dotacion|dosis|cajita)|"
                rf"\b(?:casi |ya )?no (?:tengo|me quedan) (?:mas )?{_PILLS}|\bdotacion\b"
            ),
        ),
        (
            Reason.CONTACTOS,
            rf"\bcontactos?\b|\b{_FAMILY}(?: \w+){{0,5}} (?:revis\w+|cheque\w*|control\w*|evalu\w+|"
            rf"examin\w+|descart\w+)|"
            rf"\b(?:revis\w+|cheque\w*|evalu\w+|examin\w+) (?:\w+ ){{0,3}}{_FAMILY}|"
            rf"\b{_FAMILY} (?:\w+ ){{0,6}}(?:tienen? que|deben?) (?:\w+ ){{0,2}}(?:hacerse ver|hacer ver|verse)|"
            r"\b(?:tiene|detectaron|detectado|salio|con) (?:\w+ ){0,2}(?:tb|tuberculosis|positiv\w+)\b"
            r".{0,60}(?:me|nos) (?:revis|vean|examin|cheque|controlen)\w*",
        ),
        (Reason.CONTROL, r"\b(?:control(?:es)?|controlcito|controlarme|seguimiento|chequeo|revision)\b"),
        (Reason.OTRO, rf"\b{_SYMPTOM}\b"),
    )
)


def reason_of(normal: str) -> Reason | None:
    """Return why the patient wants to come, from a normalised text. "Ficha" or "cita" alone is no reason."""
    return next((reason for reason, pattern in _REASONS if pattern.search(normal)), None)
