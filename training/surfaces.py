"""How patients write dates, times, references and names. Each drawer gives (article, words).

Called by `training.phrases`. The article ("el", "la", "-" for none, "" for no say) stays outside the span, which is
what the resolver reads.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

Drawer = Callable[[random.Random, Mapping[str, Any]], tuple[str, str]]

WEEKDAYS = ("lunes", "martes", "miercoles", "jueves", "viernes", "sabado", "domingo")
MONTHS = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre"),
    *("noviembre", "diciembre", "setiembre", "dic", "nov"),
)
NUMBERS = ("dos", "tres", "cuatro", "cinco", "seis", "diez", "quince", "ocho", "2", "3", "4", "5", "10", "15")
HOURS = ("8", "9", "10", "11", "12", "2", "3", "4", "5", "6", "7", "1")
HOUR_WORDS = ("ocho", "nueve", "diez", "once", "doce", "dos", "tres", "cuatro", "cinco", "seis")
NOISE_SIGNS = "asdfghjklñqwertyuiopzxcvbnm"


def date(rng: random.Random, _: Mapping[str, Any]) -> tuple[str, str]:
    day, number = rng.choice(WEEKDAYS), rng.randint(1, 31)
    month = rng.choice(MONTHS)
    kind = rng.random()
    if kind < 0.26:
        return "el", day
    if kind < 0.42:
        return "-", rng.choice(("mañana", "mañana", "pasado mañana", "pasado mañana", "hoy", "hoy dia", "hoy mismo"))
    if kind < 0.58:
        return rng.choice(
            (
                ("-", f"este {day}"),
                ("el", f"proximo {day}"),
                ("el", f"{day} que viene"),
                ("el", f"{day} de la proxima semana"),
                ("el", f"{day} de la otra semana"),
                ("el", f"{day} entrante"),
                ("la", f"proxima semana el {day}"),
                ("el", f"{day} de la siguiente semana"),
                ("el", f"otro {day}"),
            )
        )
    if kind < 0.76:
        return rng.choice(
            (
                ("el", f"{number} de {month}"),
                ("el", f"{number} de {month}"),
                ("el", f"{day} {number} de {month}"),
                ("el", f"primero de {month}"),
                ("el", f"{number} del mes que viene"),
                ("el", f"{number} del proximo mes"),
                ("el", f"dia {number}"),
            )
        )
    if kind < 0.9:
        return rng.choice(
            (
                ("el", f"{number}"),
                ("el", f"{day} {number}"),
                ("el", f"{number}/{rng.randint(1, 12)}"),
                ("el", f"{number:02}/{rng.randint(1, 12):02}/2026"),
                ("el", f"{number}-{rng.randint(1, 12)}"),
            )
        )
    return "-", rng.choice(
        (
            f"en {rng.choice(NUMBERS)} dias",
            f"dentro de {rng.choice(NUMBERS)} dias",
            f"dentro de {rng.choice(('una', 'dos', 'tres'))} semanas",
            "dentro de una semana",
            "en una semana",
            "la proxima semana",
            "la otra semana",
            "la semana que viene",
            "esta semana",
            "de aqui a quince dias",
            "en ocho dias",
            "el mes que viene",
        )
    )


def today(rng: random.Random, _: Mapping[str, Any]) -> tuple[str, str]:
    return "-", rng.choice(("hoy", "hoy", "hoy dia"))


def spoken_date(rng: random.Random, macros: Mapping[str, Any]) -> tuple[str, str]:
    """A date the patient takes back at once; it is no slot."""
    return "el", rng.choice(WEEKDAYS)


def time(rng: random.Random, _: Mapping[str, Any]) -> tuple[str, str]:
    hour, word = rng.choice(HOURS), rng.choice(HOUR_WORDS)
    minute = rng.choice(("00", "30", "15", "45", "30"))
    part = rng.choice(("de la mañana", "de la tarde", "de la noche", "en la mañana", "en la tarde"))
    return "", rng.choice(
        (
            hour,
            hour,
            hour,
            word,
            f"{hour}:{minute}",
            f"{hour}:{minute}",
            f"{int(hour) + 8 if int(hour) < 8 else hour}:{minute}",
            f"{hour} y media",
            f"{word} y media",
            f"{hour} y cuarto",
            f"{hour} {part}",
            f"{hour} {part}",
            f"{word} {part}",
            f"{hour} y media {part}",
            f"{hour} menos cuarto",
            f"{hour} en punto",
            f"{hour}{rng.choice(('am', 'pm'))}",
            f"{hour} {rng.choice(('am', 'pm'))}",
            f"{rng.choice(('14', '15', '16', '17', '9', '10'))}{rng.choice(('hrs', ' hrs', 'h', ' horas'))}",
            f"{hour} y {rng.choice(('20', '10', '40'))}",
            f"{hour}.{minute}",
        )
    )


def free_time(rng: random.Random, _: Mapping[str, Any]) -> tuple[str, str]:
    hour = rng.choice(HOURS)
    return "", rng.choice(
        (
            f"cuarto para las {hour}",
            f"despues de las {hour}",
            f"a partir de las {hour}",
            f"entre {hour} y {int(hour) % 12 + 1}",
            f"a eso de las {hour}",
            f"como a las {hour}",
            "al mediodia",
            f"antes de las {hour}",
            f"pasadas las {hour}",
            f"de {hour} a {int(hour) % 12 + 1}",
        )
    )


def part_of_day(rng: random.Random, _: Mapping[str, Any]) -> tuple[str, str]:
    return "", rng.choice(
        (
            "en la mañana",
            "por la mañana",
            "en la tarde",
            "por la tarde",
            "temprano",
            "tempranito",
            "en la tardecita",
            "a primera hora",
            "a ultima hora",
            "en la mañanita",
            "de noche",
            "en la noche",
            "bien temprano",
            "de mañana",
            "tarde",
            "a primera hora de la tarde",
        )
    )


def reference(rng: random.Random, _: Mapping[str, Any]) -> tuple[str, str]:
    number = rng.randint(1, 9999)
    return "", rng.choice(
        (f"CC-{number:04}", f"CC-{number:04}", f"cc {number:04}", f"cc{number:04}", f"cc-{number}", f"cc {number}")
    )


def person(rng: random.Random, macros: Mapping[str, Any]) -> tuple[str, str]:
    first, family = macros["nombre_pila"], macros["apellido"]
    names = [rng.choice(first)]
    names += [rng.choice(first)] if rng.random() < 0.25 else []
    names += [rng.choice(family)]
    names += [rng.choice(family)] if rng.random() < 0.45 else []
    return "", " ".join(names)


def first_name(rng: random.Random, macros: Mapping[str, Any]) -> tuple[str, str]:
    """Somebody else, asked about out of curiosity: no slot."""
    return "", f"{rng.choice(macros['nombre_pila'])} {rng.choice(macros['apellido'])}"


def gibberish(rng: random.Random, _: Mapping[str, Any]) -> tuple[str, str]:
    return "", "".join(rng.choice(NOISE_SIGNS) for _ in range(rng.randint(3, 9)))


SURFACES: Mapping[str, Drawer] = {
    "fecha": date,
    "fecha_ant": date,
    "fecha_dicha": spoken_date,
    "hoy": today,
    "hora": time,
    "hora_ant": time,
    "hora_libre": free_time,
    "ventana": part_of_day,
    "ref": reference,
    "nombre": person,
    "nombre_otro": first_name,
    "ruido": gibberish,
}
