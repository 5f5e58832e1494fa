"""The people and appointments that a fresh simulator begins with. All invented; times relative to today."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from simulator.appointments_store import AppointmentsStore
from simulator.opening_hours import ZONE, slots_of
from simulator.people import People

ROSA, JUAN, CARLA, ELENA = "+59170000001", "+59170000002", "+59170000003", "+59170000004"


def seed_people(people: People) -> None:
    """Add who can write: with number and BSUID, with the number alone, with the BSUID alone."""
    people.add(ROSA, "Rosa Mamani")
    people.add(JUAN, "Juan Quispe", identity="number")
    people.add(CARLA, "Carla Flores")
    people.add(ELENA, "Elena Choque")
    people.add("+59170000005", "Mario Condori")  # not registered at the clinic
    people.add(name="Luz Vargas", user_id="BO.1349120865530274", identity="user_id", username="luz.vargas")


def seed_agenda(store: AppointmentsStore) -> None:
    """Register four patients and fill some places; 10:00 and 15:00 of every day stay free."""
    today = store.now().date()
    days = _open_days(today + timedelta(days=1), 6)
    store.add_patient(ROSA, "Rosa Mamani", last_visit=(today - timedelta(days=30)).isoformat())
    store.add_patient(JUAN, "Juan Quispe", last_visit=(today - timedelta(days=14)).isoformat())
    store.add_patient(CARLA, "Carla Flores")
    consent = {"date": (today - timedelta(days=60)).isoformat(), "source": "formulario"}
    store.add_patient(ELENA, "Elena Choque", (today - timedelta(days=7)).isoformat(), consent)

    store.insert(ROSA, "Rosa Mamani", _at(days[1], 9, 30), reason="Control mensual")
    store.insert(JUAN, "Juan Quispe", _at(days[0], 11, 0), reason="Recoger medicamentos")
    store.insert(JUAN, "Juan Quispe", _at(days[4], 8, 30), "confirmed", "Control mensual")
    store.insert(ELENA, "Elena Choque", _at(days[2], 11, 30), reason="Baciloscopía")
    store.insert(ELENA, "Elena Choque", _at(_open_days(today - timedelta(days=3), 1)[0], 9, 0), "missed", "Control")
    taken = [(0, 8, 0), (0, 9, 0), (1, 8, 0), (1, 8, 30), (2, 9, 0), (3, 8, 0), (3, 9, 0)]
    for index, (day, hour, minute) in enumerate(taken, start=1):
        store.insert(f"+591710000{index:02d}", f"Paciente {index}", _at(days[day], hour, minute), reason="Control")


def _open_days(first: date, count: int) -> list[date]:
    days = [first + timedelta(days=offset) for offset in range(count * 2 + 7)]
    return [day for day in days if slots_of(day)][:count]


def _at(day: date, hour: int, minute: int) -> datetime:
    return datetime.combine(day, time(hour, minute), ZONE)
