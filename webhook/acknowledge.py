"""The page behind the link in a danger alert: a person says that they take care of it. Spanish; no text, no number.

Reading the page acknowledges nothing: mail scanners open every link. The button does.
"""

from __future__ import annotations

import time
from datetime import datetime

import redis
from flask import Blueprint, Response
from markupsafe import Markup, escape

from shared.alerts import links, wording
from shared.settings import Settings
from shared.state import alarms
from shared.state.alarms import Alarm

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_PAGE = Markup(
    '<!doctype html><html lang="es"><head><meta charset="utf-8"><title>{title}</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1">'
    "<style>body{{font:18px sans-serif;max-width:32em;margin:2em auto;padding:0 1em}}"
    "button{{font:inherit;padding:.7em 1.2em}}</style></head><body><h1>{title}</h1>{body}</body></html>"
)
_BUTTON = Markup('<form method="post"><button type="submit">Me ocupo de este aviso</button></form>')


def blueprint(settings: Settings, client: redis.Redis) -> Blueprint:
    """GET and POST /avisos/<token>."""
    routes = Blueprint("acknowledge", __name__)

    @routes.get(f"{links.PATH}/<token>")
    def show(token: str) -> Response:
        try:
            found = _find(settings, client, token)
        except redis.RedisError:
            return _not_now()
        if found is None:
            return _unknown()
        alarm, _ = found
        if alarm.acknowledged_ms:
            return _page("Aviso confirmado", _facts(settings, alarm) + _who(settings, alarm.by, alarm.acknowledged_ms))
        return _page("Aviso de señal de peligro", _facts(settings, alarm) + _BUTTON)

    @routes.post(f"{links.PATH}/<token>")
    def acknowledge(token: str) -> Response:
        try:
            found = _find(settings, client, token)
            done = alarms.acknowledge(client, found[0].id, found[1], round(time.time() * 1000)) if found else None
        except redis.RedisError:
            return _not_now()
        if found is None or done is None:
            return _unknown()
        title = "Gracias, aviso confirmado" if done.first else "Este aviso ya estaba confirmado"
        body = _facts(settings, found[0]) + _who(settings, done.by, done.at_ms)
        return _page(title, body + _line("No se avisará a nadie más. Llame al paciente."))

    return routes


def _find(settings: Settings, client: redis.Redis, token: str) -> tuple[Alarm, str] | None:
    """The alarm of a token and the contact who got it; None when it is not ours, or its record is gone."""
    signed = links.read(settings, token)
    alarm = alarms.read(client, signed[0]) if signed else None
    return (alarm, signed[1]) if alarm and signed else None


def _facts(settings: Settings, alarm: Alarm) -> Markup:
    at = wording.clock(round(datetime.fromisoformat(alarm.at).timestamp() * 1000), settings.timezone)
    rows = (
        f"Señal de peligro: {wording.category_words(alarm.category)}",
        f"Urgencia: {wording.urgency(alarm.level)}",
        f"Hora del mensaje: {at}",
        f"Paciente: {alarm.patient}",
    )
    return Markup("").join(_line(row) for row in rows)


def _who(settings: Settings, by: str, at_ms: int) -> Markup:
    name = {"email": "el correo del personal", "slack": "Slack"}.get(by, by)
    return _line(f"Confirmado el {wording.clock(at_ms, settings.timezone)} desde {name}.")


def _line(text: str) -> Markup:
    return Markup("<p>") + escape(text) + Markup("</p>")


def _page(title: str, body: Markup, status: int = 200) -> Response:
    return Response(_PAGE.format(title=title, body=body), status, headers=_HEADERS, mimetype="text/html")


def _unknown() -> Response:
    text = "El enlace no es válido o el aviso ya venció. Revise la página de operadores."
    return _page("Aviso no encontrado", _line(text), 404)


def _not_now() -> Response:
    text = "No se pudo guardar su confirmación. Vuelva a intentarlo en un minuto; mientras tanto, llame al paciente."
    return _page("El sistema no responde", _line(text), 503)
