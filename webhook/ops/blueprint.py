"""The routes of /ops and what holds for all of them: login, CSRF token, headers, a Redis that does not answer."""

from __future__ import annotations

import re
from typing import Any

import redis
from flask import (
    Blueprint,
    Flask,
    Response,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as BaseResponse

from shared.settings import Settings
from webhook.doorbell import Doorbell
from webhook.ops import actions, calls_csv, lists, login, person, views, wording
from webhook.ops.desk import Desk
from webhook.ops.events import Streams
from webhook.ops.login import PREFIX, Attempts
from webhook.ops.patients import read_many, read_one
from webhook.ops.pieces import Rendered

_OPEN = frozenset({"ops.enter", "ops.static"})  # endpoints before the login
_OWN_PATH = re.compile(rf"{PREFIX}(/[\w/]*)?", re.ASCII)
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
    "Cache-Control": "no-store",
}


def register(app: Flask, settings: Settings, client: redis.Redis, doorbell: Doorbell) -> None:
    """Put the operators' page into the webhook process. Without OPS_BASIC_AUTH it only says that it is off."""
    login.prepare(app, settings)
    desk = Desk(settings, client, doorbell)
    routes = Blueprint("ops", __name__, url_prefix=PREFIX, template_folder="templates", static_folder="static")
    _guard(routes, desk)
    _enter_and_leave(routes, desk)
    app.extensions["ops_streams"] = streams = Streams()
    _pages(routes, desk, streams)
    actions.add(routes, desk)
    app.register_blueprint(routes)


def _guard(routes: Blueprint, desk: Desk) -> None:
    @routes.before_request
    def only_for_staff() -> Any:
        if desk.settings.OPS_BASIC_AUTH is None and request.endpoint != "ops.static":
            return render_template("ops/apagado.html", title="Página apagada"), 503
        if request.endpoint not in _OPEN and login.operator() is None:
            if request.method == "GET" and request.endpoint not in ("ops.events", "ops.calls_file"):
                return redirect(url_for("ops.enter", a=request.path), 303)
            return _plain("Vuelva a entrar.", 401)
        if request.method == "POST" and not login.is_own_form(request.form.get("csrf", "")):
            return render_template("ops/caducado.html", title="La página caducó"), 400
        return None

    @routes.after_request
    def protect(response: Response) -> Response:
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response

    @routes.errorhandler(redis.RedisError)
    def no_data(_: redis.RedisError) -> tuple[str, int]:
        return views.trouble_page(), 503

    @routes.context_processor
    def words() -> dict[str, Any]:
        now = desk.now_ms()
        return {
            "csrf": login.csrf_token,
            "operator": login.operator(),
            "now_ms": now,
            "hace": lambda ms: wording.ago(ms, now),
            "dura": wording.lasted,
            "hora": lambda ms: wording.moment(ms, now, desk.zone),
            "hora_de": lambda at: wording.moment(at.timestamp() * 1000, now, desk.zone),
            "cita": lambda text: wording.visit(text, now, desk.zone),
            "despues": wording.after,
            "motivo": wording.why,
            "causa": wording.cause,
            "categoria": wording.category,
            "nivel": wording.level,
            "numero": wording.number,
            "quien": wording.who,
            "guardado": wording.lasted(desk.settings.CONVERSATION_TTL * 1000),
            "center": desk.settings.CENTER_NAME,
        }


def _enter_and_leave(routes: Blueprint, desk: Desk) -> None:
    attempts = Attempts(desk.client)

    @routes.route("/entrar", methods=["GET", "POST"])
    def enter() -> Any:
        after = request.values.get("a", PREFIX)
        after = after if _OWN_PATH.fullmatch(after) else PREFIX
        if request.method == "GET":
            return redirect(after, 303) if login.operator() else _login_form(after)
        address = login.address_of(request)
        if not attempts.may_try(address):
            return _login_form(after, "Demasiados intentos. Espere un minuto y vuelva a probar."), 429
        user = request.form.get("user", "").strip()
        if not login.is_right(desk.settings, user, request.form.get("password", "")):
            return _login_form(after, "El usuario o la contraseña no son correctos."), 403
        attempts.was_right(address)
        login.begin(user)
        return redirect(after, 303)

    @routes.post("/salir")
    def leave() -> BaseResponse:
        session.clear()
        flash("Salió de la página.", "ok")
        return redirect(url_for("ops.enter"), 303)

    def _login_form(after: str, problem: str = "") -> str:
        return render_template("ops/entrar.html", title="Entrar", after=after, problem=problem)


def _pages(routes: Blueprint, desk: Desk, streams: Streams) -> None:
    @routes.get("", strict_slashes=False)
    def estado() -> str:
        return views.live_page(desk, "estado", {})

    for name in ("alertas", "derivaciones", "bajas", "cartas", "llamadas"):
        routes.add_url_rule(f"/{name}", name, lambda name=name: views.live_page(desk, name, request.args.to_dict()))

    @routes.get("/llamadas.csv")
    def calls_file() -> Response:
        chosen = request.args.get("motivo", "")
        calls = [call for call in lists.read_calls(desk) if not chosen or call.why == chosen]
        patients = read_many(desk.client, (call.patient for call in calls))
        body = calls_csv.write(calls, patients, desk.now_ms(), desk.zone)
        headers = {"Content-Disposition": f'attachment; filename="llamadas-{desk.now():%Y-%m-%d}.csv"'}
        return Response(body, content_type="text/csv; charset=utf-8", headers=headers)

    @routes.get("/paciente/<patient>")
    def person_view(patient: str) -> Any:
        if not actions.PATIENT.fullmatch(patient) or not person.is_known(desk, read_one(desk.client, patient)):
            return render_template("ops/desconocido.html", title="Paciente desconocido"), 404
        return views.person_page(desk, patient)

    @routes.get("/fichas")
    def fichas() -> str:
        return views.unsigned_page(desk)

    @routes.get("/recorrido")
    def recorrido() -> str:
        return views.story_page(desk, request.args.get("id", "").strip()[:512])

    @routes.get("/events")
    def events() -> Response:
        query = request.args.to_dict()
        name = query.pop("page", "estado")
        if name not in views.LIVE and not (name == "paciente" and actions.PATIENT.fullmatch(query.get("p", ""))):
            abort(404)
        app, environ = current_app.app_context().app, request.environ

        def look() -> list[Rendered]:
            with app.request_context(environ):  # of this look only: the stream outlives its request
                return views.live_pieces(desk, name, query)

        return streams.answer(look)


def _plain(text: str, status: int) -> Response:
    return Response(text, status, mimetype="text/plain")
