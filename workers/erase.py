"""Remove one person everywhere: python -m workers.erase PATIENT [--yes]

PATIENT is the opaque id (p_…), the phone number, or Meta's user id (BO.…). All or nothing: workers are kept away from
the person meanwhile. Prints a receipt for staff, in Spanish. Exit codes: 0 erased, 1 nothing is kept of them or it was
not confirmed, 2 that is no patient, 69 Redis cannot be reached, 75 a worker is busy with them (nothing was erased; try
again), 78 the keys are wrong. docs/running.md says what stays and why.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import redis

from shared.errors import UnreadableSecret
from shared.settings import CONFIG_ERROR, ProcessRole, Settings, load
from shared.spool import SpoolError, erase_from_spool
from shared.state import erasure, reseal, store
from shared.state.erasure import Found, Person
from shared.state.leases import Leases
from workers.migrate import UNAVAILABLE

NOT_DONE, NO_PATIENT, BUSY = 1, 2, 75
WAIT_S = 20.0  # for a turn that is running; a worker that died keeps its patient for LEASE_S
ROUNDS = 5  # what comes in between two looks is found by the next one
WORD = "BORRAR"
KINDS: Mapping[str, str] = {
    "address": "datos de contacto",
    "contact": "otros nombres (número o usuario)",
    "conversation": "conversación",
    "inbox": "mensajes sin responder",
    "outbox": "respuestas y recordatorios sin enviar",
    "written": "textos escritos por el personal",
    "handoff": "atención por una persona",
    "consent": "permiso de recordatorios",
    "alarm": "alarmas",
    "call": "llamadas pendientes",
    "delivery": "registros de envío",
    "dead": "mensajes apartados",
    "audit": "registros de lo ocurrido",
    "technical": "datos técnicos",
    "spool": "mensajes en disco",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the tool; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m workers.erase", description=__doc__)
    parser.add_argument("patient", metavar="PATIENT", help="p_…, a phone number, or a user id such as BO.1349…")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    asked = parser.parse_args(arguments)
    settings = load(ProcessRole.TOOL)
    client = store.connect(settings, timeout_s=30, max_connections=4)
    try:
        reseal.check(client)
        return _erase(client, settings, asked.patient, sure=asked.yes)
    except redis.RedisError as error:
        print(f"No se puede llegar a Redis ({type(error).__name__}): repita la orden.", file=sys.stderr)
        return UNAVAILABLE
    except SpoolError as error:
        print(f"{error}\nNo se ha borrado nada en Redis: repita la orden en un minuto.", file=sys.stderr)
        return BUSY
    except UnreadableSecret as error:
        print(error, file=sys.stderr)
        return CONFIG_ERROR
    finally:
        client.close()


def _erase(client: redis.Redis, settings: Settings, name: str, *, sure: bool) -> int:
    person = erasure.find_person(client, name, settings.patient_id_key)
    if person is None:
        print("Eso no es un paciente: escriba p_…, un número de teléfono o un usuario BO.…", file=sys.stderr)
        return NO_PATIENT
    found = erasure.look(client, person)
    print("Se borrará:" if found.counts else "En Redis no hay nada de esta persona.")
    print(table(found.counts), end="")
    if not sure and not _confirmed():
        print("No se ha borrado nada.")
        return NOT_DONE
    counts: Counter[str] = Counter()
    # First what is on disk: it would come back into Redis.
    counts["spool"] = erase_from_spool(settings, [*person.ids, *filter(None, (name, person.address.number))])
    leases = Leases(client, settings.LEASE_S)
    leases.start()
    try:
        done = _in_rounds(client, leases, person, counts)
    finally:
        leases.close()
    if not done:
        print(
            "El asistente está atendiendo a esta persona en este momento: no se ha borrado nada en Redis. "
            "Repita la orden en un minuto. Si sigue igual, pare los workers y repítala.",
            file=sys.stderr,
        )
        return BUSY
    counts += Counter()  # without the zeros
    print(receipt(person, counts, datetime.now(UTC), settings, opted_out=found.opted_out))
    return 0 if counts else NOT_DONE


def _in_rounds(client: redis.Redis, leases: Leases, person: Person, counts: Counter[str]) -> bool:
    """Look and remove until a look finds nothing; False when a worker has the person in hand, and nothing was removed.

    Who is at work after the first round answers what the person wrote since.
    """
    for number in range(ROUNDS):
        held = _take_all(leases, person)
        try:
            if len(held) < len(tuple(person.leases())):
                return number > 0
            found: Found = erasure.look(client, person)
            if found.opted_out:
                erasure.keep_opt_out(client, person)
            if not erasure.remove(client, found, held):
                return number > 0
        finally:
            for lease in held:
                leases.give_back(lease)
        counts.update(found.counts)
        if not found.counts:
            return True
    return True  # they are writing at this moment: what is new is not what was to be erased


def _take_all(leases: Leases, person: Person) -> dict[str, str]:
    """Every lease under which a worker could act for the person; fewer when one was not free in time."""
    deadline = time.monotonic() + WAIT_S
    held: dict[str, str] = {}
    for name in person.leases():
        while (token := leases.take(name)) is None:
            if time.monotonic() >= deadline:
                return held
            time.sleep(0.1)
        held[name] = token
    return held


def _confirmed() -> bool:
    try:
        return input(f"Escriba {WORD} para borrarlo para siempre: ").strip() == WORD
    except EOFError:
        return False


def table(counts: Mapping[str, int]) -> str:
    """What was found or removed, a line for each kind (pure)."""
    return "".join(f"  {words:<40} {counts[kind]:>6}\n" for kind, words in KINDS.items() if counts.get(kind))


def receipt(person: Person, counts: Mapping[str, int], at: datetime, settings: Settings, *, opted_out: bool) -> str:
    """The receipt for staff: what was removed, when, and what stays (pure)."""
    when = at.astimezone(settings.timezone).strftime("%d/%m/%Y %H:%M")
    lines = [
        "COMPROBANTE DE BORRADO",
        f"{settings.CENTER_NAME}, {when}",
        f"Código de la persona: {person.ids[0]}",
        f"Borrado en total: {sum(counts.values())}",
        table(counts).rstrip("\n") or "  nada",
        "Queda:",
        "  la lista de bajas: solo códigos, para no volver a escribirle" if opted_out else "",
        "  las sumas de los informes y las métricas, que no dicen de quién son",
        "  los registros técnicos (logs), sin número ni palabras, hasta que se renuevan",
        "  las copias de seguridad hechas antes, hasta que caducan",
        "  las citas y la ficha en el sistema de citas: se borran allí",
    ]
    return "\n".join(line for line in lines if line)


if __name__ == "__main__":
    raise SystemExit(main())
