"""Messages that are only a greeting, or only thanks or a goodbye. Called by `intents`. Pure."""

from __future__ import annotations

import re

from shared.prediction import Intent

_GREETING = re.compile(
    r"\b(?:hola|saludos?(?: cordiales)?|hey|ey|epa|que mas|hi|hello|holi|alo|imaynalla|kamisaraki|"
    r"camisaraki|camisaraqui|mbaeichapa|que tal|que hay|que fue|buen(?:os|as)?(?: (?:dias?|"
    r"tardes?|noches?))?|muy buen(?:os|as)(?: \w+)?|"
    r"como (?:esta[ns]?|ha estado|les va|le va|andas?|te va|estas?|amanecio|le ha ido)|hay "
    r"alguien|alguien ahi|(?:me )?escucha[ns]?|esta ahi|estas ahi|feliz dia|bendecido dia|"
    r"probando|prueba|test)\b"
)
_THANKS = re.compile(
    r"\b(?:(?:muchas|muchisimas|mil|infinitas|tantas)? ?gracias(?: (?:por|doctor\w*) (?:todo|su "
    r"\w+|la \w+|el \w+|responder|avisar\w*|contestar|ayudarme|atenderme|la informacion|su "
    r"ayuda))?|gracias|muchas grac\w*|agradecid[oa]s?|"
    r"(?:le |te |les |se lo |se le )?(?:agradezco|agradece)(?: (?:mucho|bastante|harto|un monton|"
    r"por|la|su|el|de|todo|corazon|informacion|ayuda|tiempo|atencion|infinitamente))*|(?:que "
    r")?dios (?:le|la|lo|te|los|me la|se lo) (?:pague|bendiga|cuide|acompane)|"
    r"(?:muy )?amables?|(?:muy )?gentil\w*|me sirvio|por ahora nada mas|nada mas|yusulpayki|"
    r"yusparasunki|pachi|agradecid[oa] por su \w+|muy atent[oa]s?|ya entendi|(?:eso )?seria todo|"
    r"estamos en contacto|diuspagara\w*|pay|que amables?|bendiciones|chau(?:sito|cito|uu)?|chao|"
    r"adios|hasta (?:luego|pronto|manana|la proxima|despues|otro dia|entonces|siempre)|nos "
    r"vemos(?: (?:luego|pronto|entonces))?|bye|ciao|cuidese|cuidate|"
    r"(?:que )?(?:tenga|tengan|pase|tengas|pasen|pasa) (?:un |una )?(?:buen|buena|buenas|lindo|"
    r"linda|bonito|feliz|excelente|hermoso)s? (?:dia|tarde|noche|fin de semana|semana|jornada)|"
    r"igualmente|feliz (?:tarde|noche)|"
    r"(?:eso|era|es) (?:era |es )?(?:todo|nomas)|no hay de que|de nada|muy buena atencion|"
    r"excelente (?:atencion|servicio)|me (?:ayudo|sirvio) (?:mucho|harto|bastante)|thank you|"
    r"thanks|yuspagara\w*|pagi|aguyje)\b"
)
# Words that add nothing to a greeting or to thanks.
_FILLER = re.compile(
    r"\b(?:doctor\w*|licenciad\w+|senor\w*|senorita|joven|enfermera|amig[oa]s?|estimad[oa]s?|"
    r"caserit[oa]|usted\w*|tal|que|a|de|por|favor|todos?|todas?|muy|mucho|muchas?|muchisim[oa]s|"
    r"bueno|buena|bien|ya|ok|okey|si|listo|dale|perfecto|entonces|pues|y|la|el|su|"
    r"vez|otra|nomas|dios|mio|le|te|les|me|hoy|dia|dias|tarde|noche|este|esta|ahi|aqui|con|gusto|"
    r"informacion|respuesta|atencion|ayuda|tiempo|equipo|centro|medico|medica|molestia|"
    r"disculpe\w*|disculpa|perdon|soy yo|tenga|pase|por ahi|ahi|soy paciente|otra vez|de nuevo|"
    r"una|un|canada|del|carmen|desde|corazon|claro|excelente|genial|entendido|entiendo|"
    r"comprendo|comprendido|vale|super|linda?|feliz|tan|siempre|mi|amor|jaja\w*|jeje\w*|bot|robot|"
    r"asistente|quedo|clarito|esta bien|ah|ay|oh|mama|casera|chica|pronto|en)\b|[.,?\-]|\d+"
)


def only_social(line: str) -> Intent | None:
    """Return SALUDO or DESPEDIDA_GRACIAS if a normalised text holds nothing else, or None.

    Thanks or a goodbye win over a greeting in the same message ("buenas tardes, muchas gracias").
    """
    if len(line.split()) > 25 or re.match(r"si\b", line):
        return None
    thanks = _THANKS.search(line) is not None
    greeting = _GREETING.search(line) is not None
    if not thanks and not greeting:
        return None
    rest = _THANKS.sub(" ", line)
    rest = _GREETING.sub(" ", rest)
    if _FILLER.sub(" ", rest).strip():
        return None
    return Intent.DESPEDIDA_GRACIAS if thanks else Intent.SALUDO
