"""The people and visits that the stand-in of the present backend begins with. The same people as in `seed`."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from simulator.opening_hours import ZONE, slots_of
from simulator.seguimiento_store import TYPES, SeguimientoStore

STAFF_ID = "5b0e1c1e-0000-4000-8000-000000000001"  # for SEGUIMIENTO_STAFF_ID
_MEDICINES, _REVISION, _HOME = TYPES


def seed_seguimiento(store: SeguimientoStore, today: date) -> None:
    """Fill it: times as the old assistant wrote them, the centre's clock with a false Z. 10:00 and 15:00 stay free.

    Rosa has one visit, Juan two of two treatments and one with a day and no hour, Carla none; Elena's treatment is
    over.
    """
    days = _open_days(today + timedelta(days=1), 6)
    begun = datetime.combine(today - timedelta(days=60), time())
    store.add_staff("Ana Vargas", STAFF_ID)
    first = store.add_patient(70900001, "Paciente Primero")  # what a PUT without ids falls upon
    filler = store.add_treatment(first, begun)
    rosa = store.add_treatment(store.add_patient(70000001, "Rosa Mamani"), begun)
    juan = store.add_patient(70000002, "Juan Quispe")
    old, new = (
        store.add_treatment(juan, begun - timedelta(days=90), "Tratamiento Completo"),
        store.add_treatment(juan, begun),
    )
    store.add_treatment(store.add_patient(70000003, "Carla Flores"), begun)
    elena = store.add_treatment(store.add_patient(70000004, "Elena Choque"), begun, "Abandonada")
    store.add_visit(rosa, wall(days[1], 9, 30), "Programado", _REVISION)
    store.add_visit(rosa, wall(_open_days(today - timedelta(days=33), 1)[0], 9, 0), "Asistido", _REVISION, user=True)
    store.add_visit(new, wall(days[0], 11, 0), "Programado", _MEDICINES, user=True)
    store.add_visit(old, wall(days[4], 8, 30), "Confirmado", _REVISION)
    store.add_visit(new, f"{days[5]}T00:00:00.000Z", "Programado", _HOME)
    store.add_visit(elena, wall(_open_days(today - timedelta(days=4), 1)[0], 9, 0), "Perdido", _REVISION)
    for day, hour, minute in [(0, 8, 0), (0, 9, 0), (1, 8, 0), (1, 8, 30), (2, 9, 0), (3, 8, 0), (3, 9, 0)]:
        store.add_visit(filler, wall(days[day], hour, minute), "Programado", _MEDICINES)


def wall(day: date, hour: int, minute: int) -> str:
    """The centre's clock with a false Z."""
    return f"{datetime.combine(day, time(hour, minute)):%Y-%m-%dT%H:%M:%S}.000Z"


def true_instant(day: date, hour: int, minute: int) -> str:
    """The same time as a true instant."""
    return datetime.combine(day, time(hour, minute), ZONE).isoformat()


def _open_days(first: date, count: int) -> list[date]:
    days = [first + timedelta(days=offset) for offset in range(count * 2 + 7)]
    return [day for day in days if slots_of(day)][:count]
