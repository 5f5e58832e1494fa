"""Key words with a letter or two wrong, corrected before the intent cues are searched. Called by `intents`.

Only words that carry an intent are targets; frequent words of their own are never touched, and the first letter must
agree (or sound alike), so that "color" does not become "dolor".
"""

from __future__ import annotations

from functools import lru_cache

from rapidfuzz.distance import OSA

from workers.language.word_lists import word_set

_TARGETS = word_set(
    """
    agendar agendarme cita citas consulta consultas ficha fichas turno turnos reservar reserva cancelar cancele
    cancelo anular anule anulo reprogramar reprograme cambiar cambiarme cambieme cambie postergar posponer
    adelantar confirmar confirmo confirmado asistir asistire control controles horario horarios atienden
    atencion direccion ubicacion telefono cuesta cuanto gratis gratuito documentos carnet requisitos resultado
    resultados examen examenes analisis muestra laboratorio radiografia baciloscopia genexpert cultivo prueba
    pruebas tuberculina tratamiento pastilla pastillas medicamento medicamentos medicina medicinas remedio
    remedios olvide olvido tomar tomarlas tomando embarazada embarazo lactancia alcohol cerveza diabetes
    contagio contagiar contagioso contagia contagian barbijo barbijos mascarilla familia vacuna sintomas sintoma
    fiebre tosiendo flema sudores sudando cansancio nauseas mareo mareos vomitos estomago hormigueo comezon
    ronchas naranja orina informacion consultar pregunta preguntar tuberculosis enfermedad enfermera licenciada
    doctora doctor persona hablar llamar queja reclamo mensajes recordatorios mensaje numero gracias adios
    suspender abandonar dejar acabaron terminaron perdi necesito quiero quisiera puedo manana efectos
    secundarios alarma senales rifampicina isoniacida duele cabeza semanas mejor miercoles sabado viernes jueves
    martes lunes domingo instrucciones ignora olvida recoger buenas buenos noches tardes
    """
)
_BY_INITIAL: dict[str, list[str]] = {}
for _word in sorted(_TARGETS):
    _BY_INITIAL.setdefault(_word[0], []).append(_word)
_SOUNDS = {"b": "bv", "v": "bv", "s": "scz", "c": "scz", "z": "scz", "h": "haeiou", "g": "gj", "j": "gj", "k": "cq"}

# Words of their own that stand a letter or two from a target.
_OWN = word_set(
    """
    vienes tienes quieres puedes viene tiene quiere puede tarde tardes tarda tardo mates partes cartas luego
    lugar juegos orino orine orinar toman tomas tomar tomado tomada tomare tomaba puerta cuenta cuentas cuento
    cuantos cuanta cuantas cuanto cuando persona personas numeros mejora mejoro mejores mejorar pregunto dejan
    dejare dejaron dejado cambio cambios cambia cancela cancelado cancelada cancelan canceles consulto consulte
    consultorio contigo control controlar citado fichaje reservo reservado costo cuestan examine atiende
    atiendan atendio atender horas hora hacer pedir perder perdio perdon perdido doler dolor dolores ducha
    muestre muestran nuestra nuestro nuestras pruebo probar probado remediar tratamientos tratar trata medico
    medicos medica flemas fiebres olvidar olvidado olviden olvidaba olvidas olvidan olvidaste embarazarme
    vacunas vacunar vacunado vacunaron sudor sudado canso cansada cansado mareada mareado vomito vomite vomitar
    hormigueos naranjas informar informes informe informado enfermo enferma enfermas enfermos enfermar enfermero
    doctores hablas hablan hablo hable llamas llaman llama llame llamo llamada llamen llamar llegar llegan llega
    llego mensual numera suspenda suspendo suspendan dejarlas dejarlos dejarla dejame dejeme necesita necesitan
    necesitas quisieras quisieramos pueda puedan podra podre podria efecto efectivo senal senala duelen duela
    cabezas semana recogen recogi recojo bueno buena noche minutos mensaje confirma confirme confirman asistira
    asistiria asisten asiste adelante adelanto contagie contagiado contagios contagiosa contagiosos familiar
    familiares sintio siento sienta tomarme tomarlo tomarla tosia mareos agenda agende agendo agendado agendada
    agendan agendame agendeme anula anulan anulen canceleme cancelame cambiame cambien cambiaron consultarle
    consultarles preguntas preguntarle preguntale olvidarme jueces lunas luces lunar martas diabetico diabetica
    barbijos alarmas semillas abandono abandone abandonado recogerlas recogerlo terminar termino termina
    terminan termine acabar acaban acabo acabe perdiste persigo gratitud cerca cuerpo cuento muela muelas suena
    sueno nieve nueve sabado sabados domingos hablarle hablado hablaba falta faltar fiesta ficho fichar turnar
    reservas salida salado tardecita tomarse sangre manada manana mañanas mananas estomacal orinan contar
    contare cobrar cobran tocar comer corro correr cerrar semanal ducho macho marcha numeros fecha fechas cuarto
    cuartos queda quedo quede quedan quema queman atenderme atendiendo contactar contacto contrario certeza
    mario marzo marco mateo mares muestras maestra personal personales presentar presentarme juntar carta carne
    tuberculosa tuberculoso marido mayor plaza placa placas dental puente pasillos pasilla fila ficha ninguna
    llamadas parar para pasar pagar pegar posta costa casta junto punto gusto gasto gastos suero cara caro cero
    duele huele vuele dejas deje deja dejo medicinal remedie remedian mensajero manera maneras marea
    """
)


@lru_cache(maxsize=8192)
def correct_word(word: str) -> str:
    """Return the key word that `word` misspells: one letter off, two from nine letters on; else `word` itself."""
    if len(word) < 5 or not word.isalpha() or word in _OWN or word in _TARGETS:
        return word
    allowed = 2 if len(word) >= 9 else 1
    best, best_distance = word, allowed + 1
    for initial in _SOUNDS.get(word[0], word[0]):
        for target in _BY_INITIAL.get(initial, ()):
            if len(target) < 5 or abs(len(target) - len(word)) > allowed:
                continue
            distance = OSA.distance(word, target, score_cutoff=allowed)
            if distance < best_distance and not _is_inflection(word, target):
                best, best_distance = target, distance
    return best


def correct(text: str) -> str:
    """Correct every word of a normalised text."""
    return " ".join(map(correct_word, text.split(" ")))


def _is_inflection(word: str, target: str) -> bool:
    """Leave "tomaran" beside "tomando" alone: a different ending is grammar, not a slip."""
    ending = len(target) - 2
    return ending >= 4 and word[:ending] == target[:ending] and word[-1] in "aeosn" and len(word) <= len(target)
