"""How Bolivian patients shorten and misspell words on WhatsApp, and the word each one stands for.

Used by `normalise`. Keys and values are lower case without accents. `mana` (Quechua for *no*) is one letter from
`manana` and is never touched; `tb` stays as written because it means both *tuberculosis* and *tambien*.
"""

from __future__ import annotations

# Grouped as "word: spellings"; several words on the left stand for one joined spelling on the right.
_SPELLINGS = """
que: q k qe ke qu kee qee
porque: xq pq xk pk porq xke xque xqe pke pque porke pork
por: x
de: d
para: pa xa pra paa
para el: pal
para la: pala
tambien: tmb tmbn tbn tambn tmbien tambie tanbien tmbm
horas: hr hrs hs oras hras
hora: ora
manana: mnn mnna mnana manna maniana mannana manhana maana mananaa manan mna
mananita: manianita mnanita
hoy: oi oy hoi
doctor: dr dotor doc doctorcito doctorsito dctor
doctora: dra dotora doctorita doctorcita doctorsita dctora drita
licenciada: lic licen licensiada lisenciada licenciadita liccenciada
por favor: xfa xfavor porfa porfis plis pls pliss pf pfv pfa porfavor porfi xf xfavorcito porfavorcito favorsito
gracias: grax gcs grs grcs graxias grasias graciaz grasia gracis garcias grcias
bien: bn
bueno: bno wueno gueno
buenos: bnos wenos
buenas: bnas wenas guenas
buen: wen
dias: diaz diass
buenos: bns
mensaje: msj mjs msg mnsj mensage
mensajes: msjs msgs mensages
telefono: tlf telf tel tfno fono
celular: cel celu
whatsapp: wsp wasap wpp whats whatsap wasa guasap wassap wathsapp watsap
siguiente: sgte sgt sig
proximo: prox proxim procsimo
proxima: procsima
semana: sem
semanas: sems
minutos: min mins
estoy: toy stoy estoi toi
esta: ta
estas: tas
pues: ps pss pes pue puej pus puesh pos
nomas: noma nomaz nms
hola: ola hla hola olas holi holis holap wola
aqui: aki
ahi: ai
ahora: aora
ahorita: aorita orita ahurita
vengo: bengo
voy: boy boi voi
vamos: bamos
hacer: aser acer haser
hace: ase
haga: aga
hacen: asen acen
quiero: kiero qiero quero kero quieroo qero qiiero kieero kiro quiro
quisiera: kisiera quiciera kiciera qisiera qsiera kisera
quien: kien
cuando: kuando cdo cndo cuado cuand quando qndo
cual: kual
como: komo cmo
cuanto: cto kuanto quanto
donde: dnd dond dnde adonde
necesito: nesesito necsito nececito nesecito nesesit nezesito nesito necesit necito
puedo: puedu puedoo
puede: pued puedee pde
puedes: podes
quieres: queres keres kieres
tienes: tenes
cita: sita zita citita sitita cta citaa
citas: sitas
ficha: fixa fcha fichita fichitas
consulta: conzulta cnsulta consultita consuta
turno: turnito trno
cancelar: kancelar canselar cancelr canclar
cancelo: canselo kancelo
horario: orario
horarios: orarios
hospital: ospital
hay: ahy
hijo: ijo
hija: ija
hijos: ijos
hasta: asta
hablar: ablar havlar
harto: arto
harta: arta
recoger: rrecoger rekoger recojer
pastillas: pastiyas pastias pstillas pastillaz
pastilla: pastiya
tos: toz
toser: tozer
tosiendo: tociendo toziendo
sangre: zangre sanger
dosis: docis dozis dosiss
cabeza: kabeza cabesa
resultado: rezultado
resultados: rezultados
examen: exsamen ecsamen exmen
receta: reseta
contagio: contajio kontagio
tuberculosis: tuberculozis tuverculosis tuberculocis tubercolosis tuberculisis tbc tubeculosis
informacion: info informasion imformacion infomacion informacon
direccion: direcion direxion
atienden: atinden atieden
tal vez: talves talvez tlvz
a las: alas
a la: ala
a ver: aver
o sea: osea
es que: esque
enfermo: emfermo
enferma: emferma
no se: nose
por que: porqe
de acuerdo: dacuerdo
pasado manana: pasadomanana pasadomnn pasadomnna
"""

WORDS: dict[str, str] = {
    spelling: word
    for line in _SPELLINGS.strip().splitlines()
    for word, _, spellings in [line.partition(": ")]
    for spelling in spellings.split()
}

# Legitimate words in k; other words in k are chat spellings of qu or c ("kuando", "keda").
K_WORDS = (
    "kilo",
    "kg",
    "kgs",
    "km",
    "koch",
    "kanami",
    "kinder",
    "kine",
    "kios",
    "kerosen",
    "ketch",
    "kallawaya",
    "kit",
)

WEEKDAYS: dict[str, str] = {
    "lun": "lunes",
    "lns": "lunes",
    "luns": "lunes",
    "lnes": "lunes",
    "lune": "lunes",
    "mart": "martes",
    "mtes": "martes",
    "mie": "miercoles",
    "mier": "miercoles",
    "mierc": "miercoles",
    "miercol": "miercoles",
    "mrcls": "miercoles",
    "jue": "jueves",
    "juev": "jueves",
    "jues": "jueves",
    "jvs": "jueves",
    "vie": "viernes",
    "vier": "viernes",
    "viern": "viernes",
    "vrns": "viernes",
    "sab": "sabado",
    "sabadito": "sabado",
    "sbdo": "sabado",
    "dom": "domingo",
}

# Read as a month only after a number or "de": "ago" is also "hago", "set" and "mar" are words too.
MONTHS: dict[str, str] = {
    "ene": "enero",
    "feb": "febrero",
    "mar": "marzo",
    "abr": "abril",
    "may": "mayo",
    "jun": "junio",
    "jul": "julio",
    "ago": "agosto",
    "agos": "agosto",
    "sep": "septiembre",
    "sept": "septiembre",
    "set": "septiembre",
    "setiembre": "septiembre",
    "oct": "octubre",
    "nov": "noviembre",
    "dic": "diciembre",
    "dbre": "diciembre",
    "dicbre": "diciembre",
}
