"""The pictures of the report, drawn with matplotlib without a screen. Called by `page`; nothing is kept between calls.

matplotlib is imported where it is drawn with: a worker that never writes a report does not load it. `Figure` is used
without pyplot, which is not safe in threads.
"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from workers.report import wording
from workers.report.figures import DayFigures
from workers.report.history import SHOWN, History

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE = "#1f2933", "#5f6b7a", "#e3e8ee"
BLUE, PALE, RED, GREEN = "#1b6ca8", "#b9d3e8", "#c0392b", "#2e8b57"
_WIDTH_IN, _DPI = 4.2, 256  # shown 560 pixels wide at most, sharp on a phone
_INTENTS_SHOWN = 10
_WEEKDAYS = ("lu", "ma", "mi", "ju", "vi", "sá", "do")


def draw(history: History) -> dict[str, bytes]:
    """All pictures as PNG by name: hours, intents, days, reminders; without one that would be empty."""
    pictures = {"hours": _hours(history), "days": _days(history)}
    if history.today.intents:
        pictures["intents"] = _intents(history.today)
    if any(history.today.reminders.values()):
        pictures["reminders"] = _reminders(history.today)
    return pictures


def _figure(height_in: float) -> tuple[Figure, Axes]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH_IN, height_in), dpi=_DPI, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=8.5, length=0)
    axes.set_axisbelow(True)
    return figure, axes


def _png(figure: Figure) -> bytes:
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    small = io.BytesIO()
    # A few flat colours: a palette takes a third of the bytes.
    Image.open(drawn).convert("RGB").quantize(64).save(small, format="PNG", optimize=True)
    return small.getvalue()


def _whole_numbers(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins=4, integer=True))
    axis.set_major_formatter(FuncFormatter(lambda value, _: wording.number(value)))


def _hours(history: History) -> bytes:
    """Messages per hour, with the same weekday a week before as a line."""
    figure, axes = _figure(2.0)
    hours = range(len(history.today.by_hour))
    axes.bar(hours, history.today.by_hour, width=0.78, color=BLUE, label="Este día")
    if week := history.week_before:
        axes.plot(hours, week.by_hour, color=RED, linewidth=1.4, marker="o", markersize=2.5, label="Semana anterior")
        axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="upper right")
    axes.set_xticks(range(0, 24, 3), [f"{hour} h" for hour in range(0, 24, 3)])
    _values_upwards(axes, [*history.today.by_hour, *(history.week_before.by_hour if history.week_before else ())])
    return _png(figure)


def _values_upwards(axes: Axes, values: Sequence[float]) -> None:
    _whole_numbers(axes.yaxis)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_ylim(0, max(1, *values) * 1.15)


def _bars(names: list[str], values: list[int], colors: list[str], notes: list[str]) -> bytes:
    """Horizontal bars with their values beside them."""
    figure, axes = _figure(0.25 * len(names) + 0.2)
    places = range(len(names))
    axes.barh(places, values, height=0.68, color=colors)
    axes.set_yticks(places, names, color=INK)
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    most = max(1, *values)
    axes.set_xlim(0, most * 1.3)
    for place, value, note in zip(places, values, notes, strict=True):
        axes.text(value + most * 0.015, place, note, va="center", fontsize=9, color=INK)
    return _png(figure)


def _intents(today: DayFigures) -> bytes:
    """The most frequent intents."""
    found = sorted(today.intents.items(), key=lambda item: -item[1])
    shown, rest = found[:_INTENTS_SHOWN], sum(n for _, n in found[_INTENTS_SHOWN:])
    names = [wording.label(wording.INTENTS, name) for name, _ in shown] + (["Los demás"] if rest else [])
    values = [n for _, n in shown] + ([rest] if rest else [])
    colors = [RED if name == "urgencia" else BLUE for name, _ in shown] + ([PALE] if rest else [])
    return _bars(names, values, colors, [wording.number(value) for value in values])


def _reminders(today: DayFigures) -> bytes:
    """The way of the reminders: sent, delivered, read, and what did not arrive."""
    called = sum(today.reminder_calls.values())
    sent = today.reminders.get("sent", 0)
    steps = [("Enviados", sent, PALE), ("Entregados", today.reminders.get("delivered", 0), BLUE)]
    steps += [("Leídos", today.reminders.get("read", 0), GREEN), ("A llamar", called, RED)]
    notes = [f"{wording.number(n)}" + (f"  ({n / sent * 100:.0f} %)" if sent else "") for _, n, _ in steps]
    notes[-1] = wording.number(called)  # also those to whom nothing could be sent
    return _bars([name for name, _, _ in steps], [n for _, n, _ in steps], [color for *_, color in steps], notes)


def _days(history: History) -> bytes:
    """Messages of the last fourteen days, with the danger alerts written over them."""
    figure, axes = _figure(2.1)
    days = [history.today.day - dt.timedelta(days=back) for back in range(SHOWN - 1, -1, -1)]
    known = history.before | {history.today.day: history.today}
    values = [known[day].messages if day in known else 0 for day in days]
    axes.bar(range(SHOWN), values, width=0.72, color=[PALE] * (SHOWN - 1) + [BLUE])
    for place, day in enumerate(days):
        danger = known[day].danger if day in known else 0
        if danger:
            box = {"boxstyle": "round,pad=0.28", "facecolor": RED, "edgecolor": "none"}
            label: dict[str, Any] = {
                "ha": "center",
                "va": "center",
                "fontsize": 8,
                "color": "white",
                "fontweight": "bold",
            }
            above = (place, values[place])
            axes.annotate(str(danger), above, xytext=(0, 9), textcoords="offset points", bbox=box, **label)
    axes.set_xticks(range(SHOWN), [f"{_WEEKDAYS[day.weekday()]}\n{day.day}" for day in days])
    _values_upwards(axes, [value * 1.08 for value in values])
    return _png(figure)
