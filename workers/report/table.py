"""The rows of the report: every figure with its name, for the page and for the spreadsheet (pure)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from workers.report import wording
from workers.report.figures import Counts, DayFigures
from workers.report.history import History
from workers.report.wording import Unit

Get = Callable[[DayFigures], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, of the day, of the same weekday a week before, and the mean of the seven days before."""

    name: str
    today: float | None
    week_before: float | None
    mean: float | None
    unit: Unit = Unit.COUNT


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report. `chart` names the picture that stands in it."""

    title: str
    rows: tuple[Row, ...]
    chart: str = ""
    note: str = ""


def row(history: History, name: str, get: Get, unit: Unit = Unit.COUNT) -> Row:
    """One figure of all the days."""
    week = history.week_before
    known = [value for day in history.last_seven if (value := get(day)) is not None]
    return Row(name, get(history.today), get(week) if week else None, sum(known) / len(known) if known else None, unit)


def sections(history: History) -> list[Section]:
    """All figures in the order of the report; nothing that never happened in these days is listed by kind."""

    def one(name: str, get: Get, unit: Unit = Unit.COUNT) -> Row:
        return row(history, name, get, unit)

    def each(get: Callable[[DayFigures], Counts], names: dict[str, str], always: Iterable[str] = ()) -> list[Row]:
        """One row per kind: those of `always`, and those that were seen, the most frequent first."""
        days = [history.today, *history.last_seven]
        seen: dict[str, int] = {}
        for day in days:
            for name, n in get(day).items():
                seen[name] = seen.get(name, 0) + n
        kinds = dict.fromkeys([*always, *sorted(seen, key=lambda name: (-get(history.today).get(name, 0), name))])
        return [
            one(wording.label(names, kind), lambda day, kind=kind: get(day).get(kind, 0))  # type: ignore[misc]
            for kind in kinds
        ]

    seconds, share = Unit.SECONDS, Unit.SHARE
    models = ", ".join(history.today.models)
    return [
        Section(
            "Mensajes",
            (
                one("Mensajes recibidos", lambda d: d.messages),
                one("Pacientes distintos", lambda d: d.patients),
                one("Respuestas del asistente", lambda d: d.turns),
                one("Con una persona a cargo", lambda d: d.silent_turns),
                one("Más de 10 min sin respuesta", lambda d: d.unanswered),
                one("Dados por perdidos", lambda d: d.given_up),
                one("No entregadas por WhatsApp", lambda d: d.failed_replies),
            ),
            "hours",
        ),
        Section(
            "Señales de peligro",
            (
                one("Avisos de peligro", lambda d: d.danger),
                *each(lambda d: d.alarms, wording.LEVELS, wording.LEVELS),
                one("Que nadie recibió a tiempo", lambda d: d.alarms_untold),
                one("Sin confirmar", lambda d: d.danger - d.acknowledged),
                one("Hasta confirmar (mediana)", lambda d: d.acknowledged_median_s, seconds),
                one("Hasta confirmar (el más largo)", lambda d: d.acknowledged_longest_s, seconds),
                one("Respuesta fija (95 de 100)", lambda d: d.danger_reply_p95_s, seconds),
            ),
        ),
        Section(
            "Citas",
            (
                *each(lambda d: d.visits, wording.VISITS, wording.VISITS),
                *each(lambda d: d.visits_failed, wording.OUTCOMES),
            ),
        ),
        Section(
            "Recordatorios",
            tuple(each(lambda d: d.reminders, wording.REMINDERS, wording.REMINDERS)),
            "reminders",
        ),
        Section(
            "Lista de llamadas",
            (
                one("Pendientes ahora", lambda d: d.moment.calls if d.moment else None),
                one("Llamadas hechas", lambda d: d.calls_done),
                *each(lambda d: _prefixed("Recordatorio", d.reminder_calls), {}),
                *each(lambda d: _prefixed("Conversación", d.other_calls), {}),
            ),
            note="Los que quedan por llamar ahora, y por qué se anotó a los nuevos de este día.",
        ),
        Section(
            "Qué querían los pacientes",
            tuple(each(lambda d: d.intents, wording.INTENTS)),
            "intents",
        ),
        Section(
            "Cómo se les entendió",
            (
                one("Certeza media", lambda d: d.confidence_mean, share),
                one("Con certeza menor de 50 %", lambda d: d.confidence_low, share),
                *each(lambda d: d.sources, wording.SOURCES),
            ),
            note=f"Modelo que respondió: {models}." if models else "No respondió ningún modelo: reglas y fichas.",
        ),
        Section("Qué hizo el asistente", tuple(each(lambda d: d.actions, wording.ACTIONS))),
        Section(
            "Tiempos",
            (
                one("La mitad llega en", lambda d: d.reply_p50_s, seconds),
                one("95 de 100 llegan en", lambda d: d.reply_p95_s, seconds),
                one("99 de 100 llegan en", lambda d: d.reply_p99_s, seconds),
                one("La espera más larga", lambda d: d.waited_longest_s, seconds),
                *each(lambda d: d.waits, wording.WAITS),
            ),
            note="Desde que el paciente deja de escribir hasta que WhatsApp acepta la respuesta.",
        ),
        Section(
            "Personas y permisos",
            (
                one("Con una persona a cargo ahora", lambda d: d.moment.handoffs if d.moment else None),
                one("Devueltos al asistente", lambda d: d.returned),
                one("Bajas de avisos", lambda d: d.optouts),
                one("Vuelven a recibir avisos", lambda d: d.optins + d.reactivated),
            ),
        ),
    ]


def _prefixed(what: str, counts: Counts) -> dict[str, int]:
    return {f"{what}: {wording.label(wording.CALLS, why)}": n for why, n in counts.items()}


def spreadsheet(parts: list[Section]) -> bytes:
    """The rows as CSV for Excel in Spanish: UTF-8 with BOM, semicolons, decimal commas."""
    lines = ["nombre;hoy;semana anterior;media 7 días"]
    for part in parts:
        for found in part.rows:
            values = (wording.raw(v, found.unit) for v in (found.today, found.week_before, found.mean))
            unit = {Unit.SHARE: " (%)", Unit.SECONDS: " (segundos)", Unit.COUNT: ""}[found.unit]
            lines.append(";".join((f"{part.title}: {found.name}{unit}".replace(";", ","), *values)))
    return ("\ufeff" + "\r\n".join(lines) + "\r\n").encode()
