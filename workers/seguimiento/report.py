"""What the adapter finds of the backend: reachable, words, staff id, and which reading of its times makes sense.

Read at a worker's start, for its log and GET /health, and by the doctor. Reads only; no name, number or secret is kept.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from shared.settings import Settings
from workers.seguimiento.api import Api
from workers.seguimiento.clock import Clock, Convention
from workers.seguimiento.rows import (
    CANCELADO,
    CONFIRMADO,
    EN_CURSO,
    MEDICINES,
    PROGRAMADO,
    REVISION,
    read_visit,
    word,
)
from workers.seguimiento.slots import Slots
from workers.seguimiento.table import TIMEOUT_S

CONVENTIONS: tuple[Convention, Convention] = ("wall", "instant")
_ALWAYS_OFF = ("alerts",)


@dataclass(frozen=True)
class Report:
    """What was found. `off` names the calls that a person has to do instead."""

    states: tuple[str, ...]  # words in use
    missing: tuple[str, ...]  # words that we would write and that it lacks
    has_staff: bool  # whether SEGUIMIENTO_STAFF_ID is one of its staff
    clock: Convention  # as set
    coming: int  # visits from now on that have an hour
    fits: dict[str, int] = field(default_factory=dict)  # convention -> how many of them fall within OPENING_HOURS
    off: tuple[str, ...] = ()

    @property
    def better_clock(self) -> Convention | None:
        """The other reading, when clearly more visits fall within the opening hours by it."""
        other: Convention = "instant" if self.clock == "wall" else "wall"
        return other if self.fits.get(other, 0) > self.fits.get(self.clock, 0) else None


def look(settings: Settings, api: Api, now: dt.datetime) -> Report:
    """Ask the backend. Raises as its reads do."""
    states = _words(api.get_list("/cita/estado-cita"))
    types = _words(api.get_list("/cita/tipo-cita"))
    staff = {word(row, "id") for row in api.get_list("/user") if isinstance(row, dict)}
    rows = api.get_list("/cita", timeout_s=TIMEOUT_S)
    missing = [name for name in (PROGRAMADO, CONFIRMADO) if name not in states]
    missing += [] if any(name in states for name in CANCELADO) else [CANCELADO[0]]
    missing += [name for name in (MEDICINES, REVISION) if name not in types]
    missing += [] if EN_CURSO in _words(api.get_list("/tratamiento/estado-tratamiento")) else [EN_CURSO]
    coming, fits = compare(settings, rows, now)
    return Report(
        states=tuple(states),
        missing=tuple(missing),
        has_staff=settings.SEGUIMIENTO_STAFF_ID in staff,
        clock=settings.SEGUIMIENTO_CLOCK,
        coming=coming,
        fits=fits,
        off=_off(missing, marks_missed=settings.SEGUIMIENTO_MARKS_MISSED),
    )


def compare(settings: Settings, rows: Iterable[Any], now: dt.datetime) -> tuple[int, dict[str, int]]:
    """Read the coming visits both ways; how many there are, and how many fall within the opening hours (pure)."""
    rows, coming = list(rows), 0
    fits: dict[str, int] = {}
    for convention in CONVENTIONS:
        slots = Slots.of(settings.model_copy(update={"SEGUIMIENTO_CLOCK": convention}))
        read = (read_visit(row, Clock(settings.timezone, convention)) for row in rows)
        starts = [v.when.start for v in read if v and v.is_live and v.when.has_hour and v.when.start > now]
        fits[convention] = sum(slots.slot_of(start) is not None for start in starts)
        coming = max(coming, len(starts))
    return coming, fits


def _off(missing: list[str], *, marks_missed: bool) -> tuple[str, ...]:
    off = list(_ALWAYS_OFF)
    off += ["schedule"] if {PROGRAMADO, REVISION, EN_CURSO} & set(missing) else []
    off += ["reschedule"] if PROGRAMADO in missing else []
    off += ["confirm"] if CONFIRMADO in missing else []
    off += ["cancel"] if CANCELADO[0] in missing else []
    return tuple(off if marks_missed else [*off, "missed"])


def _words(rows: list[Any]) -> list[str]:
    return [word(row, "descripcion") for row in rows if isinstance(row, dict) and row.get("estado") is True]
