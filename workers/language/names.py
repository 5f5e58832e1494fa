"""The name a patient gives: "me llamo Pedro Huanca", "a nombre de Rosa Mamani", or only the name when it was asked.

Called by `slots` and `intents`. Pure. Names are read from the original text and never guessed from a profile.
"""

from __future__ import annotations

import re
import unicodedata

from workers.language.normalise import normalise
from workers.language.word_lists import word_set

MAX_WORDS = 6

_TITLES = word_set(
    """
    don dona dr dra doctor doctora sr sra srta senor senora senorita senorito lic ing prof profesor profesora
    joven hno hna hermano hermana nino nina
    """
)
_PARTICLES = frozenset({"de", "del", "la", "las", "los", "vda", "san", "santa"})

# Frequent given names and family names in Bolivia: enough to tell "Rosa Mamani" from two other words.
KNOWN = word_set(
    """
    juan jose luis carlos maria rosa ana carmen pedro julia julio martha marta mario miguel jorge victor david
    daniel franz freddy fredy wilber wilmer edwin edgar elmer elvis elvira elena elsa eva evelyn erika esther
    felix felipe fernando fernanda francisco francisca gabriel gabriela german gladys gloria gonzalo gregorio
    gregoria guadalupe guillermo gustavo hector hilda hugo ignacio ines irma isabel ivan jaime javier jesus
    jhonny jhon joaquin joel johnny juana juanita justina karen karina katherine lidia lizeth lourdes lucia lucy
    luisa luz magdalena manuel marcelo marcela marco margarita mariana marisol martin mateo mauricio maximo
    mercedes micaela mirtha modesta monica nancy natalia nelly nelson nestor nicolas nicolasa noemi norma olga
    omar oscar pablo paola pascual patricia paula paulina primitiva ramiro ramon raul rene ricardo richard rita
    roberto rocio rodrigo rolando roman ronald rosario roxana ruben ruth sandra santiago santos sara sebastian
    sergio severina silvia simon sofia sonia susana teodora teodoro teresa tomas valentin valentina valeria
    vanesa vanessa veronica vicente vicenta vilma virginia viviana walter wendy william wilfredo wilson ximena
    yola yolanda yuri zenobia zulma alberto alejandra alejandro alex alfredo alicia alvaro amalia ambrosio
    andrea andres angel angela angelica antonia antonio armando arturo aurelia basilia beatriz benita benito
    bernardo bertha betty blanca brayan brigida camila catalina cecilia celia cesar christian cirilo clara
    claudia constancia cristian cristina damian deysi delia diego dionicia domitila doris eduardo efrain
    eleuterio elias elizabeth emilia emilio enrique ernesto esteban eugenia eulogia eusebia fabiola fausto favio
    mamani quispe condori choque flores huanca vargas rojas lopez gutierrez fernandez rodriguez garcia gonzales
    gonzalez perez sanchez torrez torres ramos cruz chavez mendoza castro romero suarez aguilar colque apaza
    limachi nina yujra callisaya alanoca poma ticona huarachi laura calisaya mayta tarqui cusi layme
    choquehuanca chambi cori cahuana canaviri coaquira cuellar justiniano roca vaca antelo pedraza ribera
    salvatierra saucedo soliz montano mercado morales miranda molina nogales orellana ortiz ortega paco paredes
    patzi paz pena pinto ponce quenta quiroga quiroz rivera rios salazar salinas sandoval sarmiento serrano
    silva siles soria soto tapia terrazas tola troncoso uria urena valdez valencia vallejos vasquez vera veizaga
    vera villca villarroel villegas yapu zabala zambrana zapata zarate zeballos zuniga camacho caceres calderon
    blanco bautista barrientos balderrama arce arias aramayo antezana alvarez aliaga acarapi alarcon alcon
    guarachi guzman hinojosa herrera ibanez jimenez ledezma lizarazu machaca maldonado marin medina mejia mamani
    navia cabrera claros claure coca cordova crespo delgado duran encinas escobar espinoza fuentes gallardo
    gareca heredia jaldin jaimes leon loza luna merida moreira nava olivera oropeza parada peredo pereira
    pizarro prado reynaga rocha rueda ruiz saavedra sejas sosa
    """
)

# Words no name consists of; a message that holds one is not only a name.
_COMMON = word_set(
    """
    hola buenas buenos dia dias tarde tardes noche noches gracias si no ok ya bueno bien mal claro dale listo
    perfecto quiero quisiera necesito puedo puede podria tengo tiene cita ficha consulta turno control hora
    fecha manana hoy ayer pasado lunes martes miercoles jueves viernes sabado domingo enero febrero abril mayo
    junio julio agosto septiembre octubre noviembre diciembre doctor doctora licenciada enfermera medico centro
    pastillas medicina remedio tos fiebre flema sangre dolor para por que como cuando donde cual cuanto con sin
    mi tu su mis sus el un una unos y o a en es esta estoy soy ser ir voy va ahi aqui alla ese esa eso este esto
    yo usted vos nosotros ella ellos me te se le lo les nos pero porque aunque favor ayuda informacion consulto
    horario direccion precio baja stop nada algo todo todos nadie alguien persona humano operador menu opcion
    otro otra mas menos muy mucho poco siempre nunca tambien nomas pues entonces luego despues antes ahora
    ahorita nose sabe se olvide nombre apellido llamo llama anote anota amable chau adios saludos imaynalla jaja
    jajaja jeje que tal correcto exacto negativo positivo confirmo cancelar cambiar agendar reprogramar anular
    mensaje mensajes numero telefono whatsapp robot maquina chatbot bot auxilio socorro emergencia urgente
    tuberculosis tb enfermo enferma paciente nuevo nueva resultado resultados examen prueba primera vez hijo
    hija mama papa esposo esposa wawa familia trabajo casa sangra duele perdon disculpe quien diga noche
    mediodia temprano tempranito cualquiera igual vale seguro obvio asi dios pague bendiciones te amo vendo hay
    alguna algun reserva quedo desde hasta inutil idiota estupido mierda tonto gratis costo cuesta dolar partido
    chiste tarea clima bolivar dengue covid
    """
)
# What may stand around a name in a message that only gives the name.
_AROUND = word_set(
    """
    hola buenas buenos dias tardes noches si mi nombre completo es me llamo soy a de para hijo hija mama papa
    esposo esposa el la favor por gracias ficha cita se llama nomas paciente anote anotala anotelo al su
    """
)
_INTRODUCED = re.compile(
    r"(?:\bme\s+llamo|\bmi\s+nombre(?:\s+completo)?(?:\s+es)?|"
    r"\bnombre(?:\s+completo)?\s*[:=]?(?:\s+es)?|\b(?:a|al)\s+nombre\s+de[l]?|\bpaciente[:\s]"
    r"|\bse\s+llama|\banot(?:e|a|á|eme|ame|áme)\s+a|\b(?:agende|agendar|registre|inscriba|reprogram\w+|p[oó]ng(?:ale|alo|ame)|ponle|pon)(?:\s+a(?!\s+nombre)|\s+como)?(?=\s+[A-ZÁÉÍÓÚÑ]))\s*[:,]?\s+",
    re.IGNORECASE,
)
_SELF = re.compile(
    r"(?:\bsoy|\bhabla|\bes\s+para|\bpara|\ble\s+(?:escribe|habla|saluda)|\bde\s+parte\s+de)\s+", re.IGNORECASE
)
_RELATIVE = re.compile(
    r"\b(?:mi|su)\s+(?:hij[oa]|hijit[oa]|mam[aá]|pap[aá]|mamita|papito|espos[oa]|marido|mujer|"
    r"abuel[oa]|abuelit[oa]|herman[oa]|t[ií][oa]|sobrin[oa]|niet[oa]|wawa)"
    r"(?:\s+se\s+llama)?,?\s+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W\d_][^\W\d_'´`’]*\.?")


def stated_name(text: str) -> str | None:
    """Return the name a patient states inside a longer message, in title case, or None."""
    text = text[:2000]
    match = _INTRODUCED.search(text)
    if match is not None:
        name = _take(text[match.end() :], trusted=True)
        if name is not None:
            return name
    for cue in (_RELATIVE, _SELF):
        for match in cue.finditer(text):
            name = _take(text[match.end() :], trusted=False)
            if name is not None:
                return name
    return _run_of_names(text)


def _run_of_names(text: str) -> str | None:
    """Return two or more names in a row, wherever they stand ("la ficha de Teófila Mamani"), but no doctor's."""
    words = [(match.group(), match.start(), match.end()) for match in re.finditer(r"[^\W\d_]+", text)]
    index = 0
    while index < len(words):
        end = index
        while end < len(words) and end - index < MAX_WORDS and _may_be_name(words, end, index, text):
            end += 1
        run = [word for word, _, _ in words[index:end]]
        while run and _plain(run[-1]) in _PARTICLES:
            run.pop()
        known = sum(_plain(word) in KNOWN for word in run)
        before = _plain(words[index - 1][0]) if index else ""
        real = [word for word in run if _plain(word) not in _PARTICLES]
        if len(real) >= 2 and known >= 1 and before not in _NOT_PATIENTS and (known >= 2 or real[0][0].isupper()):
            return _title(run)
        index = max(end, index + 1)
    return None


def _may_be_name(words: list[tuple[str, int, int]], at: int, first: int, text: str) -> bool:
    word, begin, _ = words[at]
    plain = _plain(word)
    if at > first and text[words[at - 1][2] : begin].strip():
        return False
    if (plain in _TITLES and plain not in KNOWN) or plain in _PLACES:
        return False
    if plain in KNOWN:
        return True
    if plain in _PARTICLES:
        return at > first
    return word[0].isupper() and word[1:].islower() and len(word) > 2 and not _is_common(plain) and plain not in _VERBS


def bare_name(text: str, *, asked: bool = True) -> str | None:
    """Return the name if the whole message is one, in title case without titles, or None.

    With `asked` False (nobody asked for a name) at least one word must be a name we know or all must be capitalised.
    """
    stated = stated_name(text)
    if stated is not None:
        rest = [word for word in re.findall(r"[^\W\d_]+", text) if word.lower() not in stated.lower().split()]
        if all(_plain(word) in _AROUND or _plain(word) in _TITLES for word in rest):
            return stated
    cleaned = re.sub(
        (
            r"^\s*(?:es|s[ií],?|a\s+nombre\s+de|nombre:?)\s+|[\s.,!?]+$|\s+(?:por\s*favor|porfa|nom[aá]s|"
            r"gracias)[\s.!]*$"
        ),
        "",
        text[:200],
        flags=re.I,
    )
    parts = cleaned.replace(",", " ").split()
    while parts and _plain(parts[0]) in _TITLES and _plain(parts[0]) not in KNOWN:
        parts = parts[1:]
    if not 1 <= len(parts) <= MAX_WORDS or not all(_WORD.fullmatch(part) for part in parts):
        return None
    plain = [_plain(part) for part in parts]
    if plain[0] in _PARTICLES or plain[-1] in _PARTICLES or any(_is_common(word) for word in plain):
        return None
    real = [word for word in plain if word not in _PARTICLES]
    if any(len(word) < 2 or not re.search("[aeiouy]", word) for word in real):
        return None
    known = sum(word in KNOWN for word in real)
    capitalised = len(parts) >= 2 and all(
        part[0].isupper() and part[1:].islower() for part in parts if _plain(part) not in _PARTICLES
    )
    if not asked and not (known >= 2 or (known == 1 and len(parts) == 1 and parts[0][0].isupper()) or capitalised):
        return None
    return _title(parts)


def _take(rest: str, *, trusted: bool) -> str | None:
    """Take the words of a name from the start of `rest`. Untrusted cues ("soy") need a name we know or capitals."""
    taken: list[str] = []
    end = 0
    for match in _WORD.finditer(rest):
        if rest[end : match.start()].strip() not in {"", "."} or len(taken) == MAX_WORDS:
            break
        raw = match.group().rstrip(".")
        word = _plain(raw)
        end = match.end()
        if not taken and word in _TITLES and word not in KNOWN:
            continue
        if (not taken and word in _PARTICLES and word != "santa") or _is_common(word) or word in _VERBS:
            break
        if (
            not trusted
            and word not in KNOWN
            and word not in _PARTICLES
            and not (raw[0].isupper() and raw[1:].islower())
        ):
            break
        if taken and taken[-1][0].isupper() and raw[0].islower() and word not in _PARTICLES:
            break  # "Pedro Colque hay alguna reserva"
        taken.append(raw)
        if match.group().endswith(".") and len(raw) > 2:
            break
    while taken and _plain(taken[-1]) in _PARTICLES:
        taken.pop()
    if not taken or (not trusted and not _convincing(taken)):
        return None
    return _title(taken)


# Before a name: then it is staff or a place.
_NOT_PATIENTS = word_set(
    "doctor doctora dr dra lic licenciada enfermera hospital villa zona calle avenida barrio plaza centro"
)
_PLACES = word_set("santa santo plan villa alto bolivia cochabamba oruro potosi tarija carmen canada")
_VERBS = word_set(
    """
    quiere tiene viene pide pregunta vive toma tomo vivo llega necesitan hacer hago saber preguntar pedir sacar
    agendar quisieramos dejar recoger estuvo estaba fue ido anoche cc ci carnet edad anos
    """
)


def _is_common(word: str) -> bool:
    if word in KNOWN or word in _PARTICLES:
        return False
    return word in _COMMON or normalise(word) in _COMMON


def _convincing(taken: list[str]) -> bool:
    plain = [_plain(word) for word in taken]
    known = sum(word in KNOWN for word in plain)
    return known >= 1 or (len(taken) >= 2 and all(word[0].isupper() for word in taken))


def _title(parts: list[str]) -> str:
    return " ".join(
        part.lower() if index and _plain(part) in _PARTICLES else part[0].upper() + part[1:].lower()
        for index, part in enumerate(part.rstrip(".") for part in parts)
    )


def _plain(word: str) -> str:
    decomposed = unicodedata.normalize("NFKD", word.lower())
    return "".join(sign for sign in decomposed if sign.isalnum())
