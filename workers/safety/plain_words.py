"""Words that say nothing medical and nothing concrete: a reply may always use them. Pure; used by `grounding`.

Any other word must stand in the card that the reply rewords. No amounts, days, places, drugs, illnesses, states of
health or verbs of treatment belong here.
"""

from __future__ import annotations

_GRAMMAR = """
    a al ante con contra de del desde durante e el ella ellas ello ellos en entre era es esa esas ese eso esos esta
    estaba estamos estan estar estas este esten esto estos fue ha haber habra han hasta hay haya la las le les lo
    los me mi mis muy ni no nos nosotros nuestra nuestras nuestro nuestros o para pero por porque pues que quien
    quienes se sea sean ser seria si afirmo sido sin sino sobre solo soy son su sus suya suyas suyo suyos tal
    tambien tampoco tan tanto te tiene tienen tener tengo tenga tenia tu tus u un una unas uno unos usted ustedes va
    vamos van vaya voy y ya yo
"""
_LINKS = """
    aca ademas adelante ahi ahora algo alguien algun alguna algunas alguno algunos alli antes apenas aqui asi aun
    aunque bien bueno buena buenas buenos cada casi como cosa cosas cual cuales cualquier cuando cuanto cuya despues
    donde ejemplo encima entonces general generalmente igual incluso juntos listo luego mas mayor mejor menos menudo
    mientras misma mismas mismo mismos modo momento mucha muchas mucho muchos nada nadie ninguna ningun ninguno
    nunca otra otras otro otros parte partes posible primero principal pronto segun siempre simplemente sobre todo
    toda todas todos todavia tras varias varios vez claro cierto comun comunes depende dependen importante
    importantes medio nueva nuevo proximo proximos proxima primeras primeros forma formas manera motivo razon tipo
    supuesto
"""
_POLITE = """
    acuerdo adios atento bienvenida bienvenido buen chau cuidado despedida disculpe disculpa entiendo entendido
    entenderle entendi escribame escriba escribir escribirme escribe escribanos escribo estimado estimada favor
    gracias gusto hola lamento comprendo muchisimas perdon placer recuerde saludo saludos sienta siente tranquilo
    tranquila
"""
_TALK = """
    acerquese atencion atiende atienden atendemos atender atenderemos atenderle avise avisa avisan avisar aviso
    avisele apoyo apoya apoyan apoyar apoyarle ayuda ayudan ayudar ayudara ayudaran ayudarle ayude ayuden ayudo
    busca comente comentelo cuento comuniquese comunicarse conversar consulta consultan consultar consultarla
    consultarlas consultarlo consulte consultelo contarle contacte cuente cuenta cuentele cuenteme cuentelo decir
    decirle decirme digale digame digan dice dicen dira diran dudas duda explica explican explicar explicara
    explicaran explicarle expliquen explique habla hablar hable indica indican indicar indicara indicaran indique
    indiquen indico informacion informar informarle informe interpretar llamar llamarle llame llamenos llamo mensaje
    mensajes oriente orientar orientarle pedir pedira pediran pedirle pedirme pida pido pregunta preguntar pregunte
    preguntas responde responder texto leer leo audios imagenes
"""
_VISITS = """
    agenda agendar agendarle agende agendemos agendo agendada asistencia asistira asistir asistente automatico boton
    cambia cambiada cambiar cambiarla cambiarle cambie cambio cancela cancelada cancelar cancele cancelo centro
    certeza cerca cercano cita citas codigo confirma confirmada confirmado confirmar confirmara confirmarla confirme
    confirmo control controles decide dato datos desea deseas desee deseo detalle detalles dia dias direccion
    documentos elegir elija encontre encontrar encontrara encuentra encuentro equipo escoja espera esperamos esperar
    evaluar evaluacion fecha fechas ficha figura hace hacer hacerle hago horario horarios hora horas humano interesa
    laboratorio libre libres llegar llego llegue logro lugar manana medico medica necesita necesitan necesite
    necesito nombre anotada anotado apellido noche numero ocupada ocupado opcion opciones ofrece ofrecerle ofrezco
    pasaron pedido pendiente pendientes personal persona personas podemos podra podran podria prefiere prefiera
    propone propongo pude puede pueden puedo queda quedado quedan quedar quedo quiere quiera quieren quisiera
    recepcion recoger recogerlos registrada registrado registro resultado resultados reprogramar retraso revisar
    revisarlo revise revisen revision saber saberlo saco saca salud servicio sacar sacarle sigo sigue tarde llama
    pagar pulmon pulmones flema olvida olvide olvido olvidado mira genexpert activo use usa usan usar telefono tema
    temas traer traiga traigalos tuberculosis tb urgencia emergencia emergencias ver verlo verla venir venga veo
    visita medicamentos molestia molestias sintomas nauseas examenes empeora empeoran familia
"""
# For the warnings that are right after any question ("no las deje por su cuenta"); `grounding.turns_advice` looks at
# how they are used.
_WARNINGS = """
    alarma senales aliviar aliviarla aliviarlas cansada cansado define deje dejo dejar dejarlas dejarlo dejes doble
    dosis equipo pastilla pastillas peso remedio remedios siga toma tomar tome tomas tratamiento
"""
PLAIN = frozenset(" ".join((_GRAMMAR, _LINKS, _POLITE, _TALK, _VISITS, _WARNINGS)).split())

# What "puede ..." and "debe ..." may be followed by when the card says nothing about it.
TALKING = frozenset(
    """
    acercarse agendar agendarle aliviar aliviarla apoyar apoyarle atender atenderle avisar ayudar ayudarle buscar
    cambiar cambiarla cancelar comunicarse confirmar consultar consultarlo consultarla contar contarle conversar
    decir decirle decirme elegir encontrar escribir escribirme escribirnos explicar explicarle haber hablar informar
    informarle interpretar llamar llamarnos ofrecer orientar orientarle pagar pasar pedir pedirle pedirme preguntar
    preguntarle recoger reprogramar responder revisar sacar sacarle saber ser tener traer ver verlo venir
    """.split()
)
