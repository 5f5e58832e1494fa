"""The pages of /ops: which there are, and how one becomes HTML, at once and again for an open browser."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import render_template

from shared.state import trace
from webhook.ops import lists, person, state, story, unsigned
from webhook.ops.desk import Desk
from webhook.ops.patients import read_one
from webhook.ops.pieces import Piece, Rendered, render

Pieces = Callable[[Desk, Mapping[str, str]], list[Piece]]


@dataclass(frozen=True, slots=True)
class Page:
    """One entry of the menu. `intro` is one sentence for somebody who opens it for the first time."""

    title: str
    intro: str
    pieces: Pieces


LIVE: dict[str, Page] = {
    "estado": Page("Estado", "", lambda desk, _: state.page(desk)),
    "alertas": Page(
        "Alertas",
        "Señales de peligro de las últimas 24 horas. Llame al paciente y marque «Atendido».",
        lists.alarm_list,
    ),
    "llamadas": Page("Llamadas", "Pacientes a quienes hay que llamar porque WhatsApp no bastó.", lists.call_list),
    "derivaciones": Page(
        "Derivaciones",
        "Pacientes que atiende una persona: el asistente calla hasta que usted lo devuelva o venza el plazo.",
        lists.handoff_list,
    ),
    "bajas": Page(
        "Bajas", "Pacientes que escribieron BAJA: no reciben avisos. Si escriben, se les contesta.", lists.optout_list
    ),
    "cartas": Page(
        "Cartas muertas",
        "Mensajes que el sistema apartó después de varios intentos. Reintente, o llame al paciente.",
        lists.letter_list,
    ),
}


def live_pieces(desk: Desk, name: str, query: Mapping[str, str]) -> list[Rendered]:
    """The menu and what a page shows now."""
    if name == "paciente":
        pieces = person.page(desk, read_one(desk.client, query.get("p", "")))
    else:
        pieces = LIVE[name].pieces(desk, query)
    return render([menu(desk, name), *pieces])


def menu(desk: Desk, active: str) -> Piece:
    """The menu with what waits in each place."""
    return Piece("menu", "menu", {"counts": state.count(desk), "active": active})


def live_page(desk: Desk, name: str, query: Mapping[str, str]) -> str:
    """A page that changes while it is looked at."""
    page = LIVE[name]
    rendered = live_pieces(desk, name, query)
    return render_template(
        "ops/vivo.html", title=page.title, intro=page.intro, name=name, query=dict(query), **_split(rendered)
    )


def person_page(desk: Desk, patient: str, draft: str = "") -> str:
    """One patient's page; `draft` is what was written and could not be sent."""
    found = read_one(desk.client, patient)
    rendered = render([menu(desk, "paciente"), *person.page(desk, found, draft)])
    return render_template(
        "ops/vivo.html", title="Paciente", intro="", name="paciente", query={"p": patient}, **_split(rendered)
    )


def unsigned_page(desk: Desk) -> str:
    """Cards and texts without a signature."""
    found = unsigned.overview(desk.settings)
    return render_template(
        "ops/fichas.html", title="Fichas sin firmar", found=found, **_split(render([menu(desk, "fichas")]))
    )


def story_page(desk: Desk, typed: str) -> str:
    """What became of one message."""
    context: dict[str, Any] = {"typed": typed, "steps": None, "where": "", "patient": "", "identifier": ""}
    if typed:
        context |= _story(desk, typed)
    return render_template(
        "ops/recorrido.html", title="Recorrido de un mensaje", **context, **_split(render([menu(desk, "recorrido")]))
    )


def _story(desk: Desk, typed: str) -> dict[str, Any]:
    identifier = trace.resolve(desk.client, typed, desk.settings.patient_id_key)
    if identifier is None:
        return {"steps": []}
    steps = trace.steps_of(desk.client, identifier, desk.now())
    rows = [(step, *story.sentence(step)) for step in steps]
    patient = next((step.patient for step in steps if step.patient), "")
    where = story.where(trace.standing(desk.client, identifier, steps)) if steps else ""
    return {"steps": rows, "where": where, "patient": patient, "identifier": identifier}


def trouble_page() -> str:
    """Redis does not answer: nothing can be shown, and that is the news."""
    return render_template("ops/sin_datos.html", title="Sin datos")


def _split(rendered: Sequence[Rendered]) -> dict[str, Any]:
    first, *rest = rendered
    return {"menu_piece": first, "pieces": rest}
