"""The report as people read it: HTML for mail and browser, plain text, spreadsheet, pictures. No client and no state.

Called by `daily` and by `__main__`. The page is one column of inline styles that needs nothing from outside.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import jinja2

from shared.alerts.kinds import title_of
from shared.settings import Settings
from workers.dialogue.wording import say_date, say_time
from workers.report import wording
from workers.report.charts import draw
from workers.report.figures import Moment
from workers.report.history import History
from workers.report.table import Row, Section, sections, spreadsheet
from workers.report.wording import Unit

CAPTIONS = {
    "hours": "Mensajes por hora; la línea roja es el mismo día de la semana anterior.",
    "intents": "Cuántas veces se pidió cada cosa.",
    "days": "Mensajes por día; en rojo, los avisos de peligro.",
    "reminders": "Qué pasó con los recordatorios de este día.",
}


@dataclass(frozen=True)
class Report:
    """One report, ready to be sent or written."""

    day: dt.date
    whole: bool  # False: the day is not over yet
    subject: str
    text: str
    csv: bytes
    pictures: dict[str, bytes]  # PNG by name
    _html: Callable[[Callable[[str], str]], str]

    @property
    def html_for_mail(self) -> str:
        """Pictures by Content-ID: see `cid`."""
        return self._html(lambda name: f"cid:{cid(name, self.day)}")

    @property
    def html_for_file(self) -> str:
        """Pictures inside the page."""
        return self._html(lambda name: "data:image/png;base64," + base64.b64encode(self.pictures[name]).decode())

    @property
    def file_name(self) -> str:
        return f"informe-{self.day.isoformat()}"


def cid(name: str, day: dt.date) -> str:
    """Content-ID of a picture, without its angle brackets."""
    return f"{name}.{day.isoformat()}@informe.asistente"


@dataclass(frozen=True, slots=True)
class Tile:
    """One large figure at the top."""

    name: str
    value: str
    change: str
    bad: bool = False


def compose(settings: Settings, history: History, now: dt.datetime) -> Report:
    """Word and draw the whole report."""
    today = history.today
    parts = sections(history)
    pictures = draw(history)
    date = say_date(today.day)
    until = "" if history.complete else f"hasta las {say_time(now.astimezone(settings.timezone))}"
    subject = f"Informe diario del asistente: {date}" + (f" ({until})" if until else "")
    todo = attention(history)
    days = [f"{today.day:%d/%m}", f"{today.day - dt.timedelta(days=7):%d/%m}"]
    context = {
        "center": settings.CENTER_NAME,
        "subject": subject,
        "date": date[0].upper() + date[1:],
        "until": until,
        "tiles": tiles(history),
        "todo": todo,
        "ids": today.unanswered_ids,
        "ids_left": today.unanswered - len(today.unanswered_ids),
        "sections": [part for part in parts if part.rows],
        "days": days,
        "has_week": history.week_before is not None,
        "captions": CAPTIONS,
        "alts": alternatives(history),
        "pictures": pictures,
        "say": wording.say,
        "written": f"{now.astimezone(settings.timezone):%d/%m/%Y %H:%M}",
    }

    def html(source: Callable[[str], str]) -> str:
        return _template().render(**context, source=source)

    return Report(today.day, history.complete, subject, _plain(context, parts), spreadsheet(parts), pictures, html)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2")


def tiles(history: History) -> list[Tile]:
    """The six figures that are read first, each with its change since the same weekday a week before."""
    today, week = history.today, history.week_before

    def tile(name: str, get: Callable[..., float | None], unit: Unit = Unit.COUNT, bad: bool = False) -> Tile:
        value = get(today)
        return Tile(name, wording.say(value, unit), wording.change(value, get(week) if week else None, unit), bad)

    return [
        tile("Mensajes", lambda d: d.messages),
        tile("Pacientes", lambda d: d.patients),
        tile("Citas agendadas", lambda d: d.visits.get("schedule", 0)),
        tile("Avisos de peligro", lambda d: d.danger, bad=today.danger > 0),
        tile("Sin respuesta", lambda d: d.unanswered, bad=today.unanswered > 0),
        tile("Tiempo de respuesta", lambda d: d.reply_p50_s, Unit.SECONDS),
    ]


def alternatives(history: History) -> dict[str, str]:
    """What each picture says, for those who do not see it."""
    today = history.today
    busiest = max(range(len(today.by_hour)), key=lambda hour: today.by_hour[hour])
    days = [day.messages for day in history.before.values()] + [today.messages]
    first = next(iter(today.intents), "")
    steps = ", ".join(
        f"{name.lower()} {wording.number(today.reminders.get(step, 0))}" for step, name in wording.REMINDERS.items()
    )
    return {
        "hours": f"Gráfico de barras de los mensajes por hora. La hora con más mensajes fue la de las {busiest}: "
        f"{wording.number(today.by_hour[busiest])}.",
        "days": f"Gráfico de barras de los mensajes de los últimos días: este día {wording.number(today.messages)}, "
        f"el de menos {wording.number(min(days))} y el de más {wording.number(max(days))}.",
        "intents": "Gráfico de barras de lo que querían los pacientes. Lo más frecuente: "
        f"{wording.label(wording.INTENTS, first).lower()}. Las cifras están en la tabla que sigue.",
        "reminders": f"Gráfico de barras de los recordatorios: {steps}.",
    }


def attention(history: History) -> list[str]:
    """What somebody should look at today, the most urgent first; empty when there is nothing."""
    today, moment = history.today, history.today.moment or Moment()
    waiting = today.danger - today.acknowledged
    lines = [
        (waiting, "aviso de peligro que nadie ha confirmado", "avisos de peligro que nadie ha confirmado"),
        (
            today.unanswered,
            "mensaje que pasó más de 10 minutos sin respuesta (identificador al final)",
            "mensajes que pasaron más de 10 minutos sin respuesta (identificadores al final)",
        ),
        (today.given_up, "mensaje que el asistente dio por perdido", "mensajes que el asistente dio por perdidos"),
        (moment.calls, "paciente en la lista de llamadas", "pacientes en la lista de llamadas"),
        (moment.handoffs, "paciente con una persona a cargo", "pacientes con una persona a cargo"),
    ]
    said = [f"{wording.number(n)} {one if n == 1 else many}" for n, one, many in lines if n > 0]
    return said + [f"Incidente abierto: {title_of(kind)}" for kind in moment.incidents]


def _plain(context: dict[str, object], parts: list[Section]) -> str:
    """The same in plain text: what is read first, then every figure."""
    lines = [str(context["center"]), str(context["subject"]), ""]
    todo = context["todo"]
    assert isinstance(todo, list)
    lines += ["PARA ATENDER", *(f"- {line}" for line in todo), ""] if todo else ["No queda nada pendiente.", ""]
    for part in parts:
        if part.rows:
            lines += [part.title.upper(), *(_line(found) for found in part.rows)]
            lines += [f"({part.note})"] if part.note else []
            lines.append("")
    ids = context["ids"]
    assert isinstance(ids, tuple)
    if ids:
        lines += ["MENSAJES SIN RESPUESTA", *ids, ""]
    lines.append("Sin nombres, números ni mensajes de pacientes. El archivo adjunto se abre con Excel.")
    return "\n".join(lines) + "\n"


def _line(found: Row) -> str:
    compared = [
        f"{name} {wording.say(value, found.unit)}"
        for name, value in (("semana anterior", found.week_before), ("media 7 días", found.mean))
        if value is not None
    ]
    tail = f" ({', '.join(compared)})" if compared else ""
    return f"{found.name}: {wording.say(found.today, found.unit)}{tail}"
