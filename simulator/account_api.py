"""Plays the reading half of Meta's management API: the phone number, who listens to the account, its templates.

GET /{version}/{phone_number_id}, /{account_id}/subscribed_apps and /{account_id}/message_templates, and the control
routes that spoil them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request

from simulator.account import Account
from simulator.cloud_api import authorise
from simulator.control import ControlError, handle_errors, json_body
from simulator.meta_errors import MetaError
from simulator.misfortune import error_answer, hang_up, wait
from simulator.templates import Template
from simulator.world import World

Json = dict[str, Any]
_PAGE = 25  # of Meta, when no limit is asked for
_TEMPLATE_DEFAULTS = ("name", "parameter_format", "components", "language", "status", "category")


def create_blueprint(world: World) -> Blueprint:
    """Return the routes of the Graph API that only read; to be mounted at the root."""
    blueprint = Blueprint("account_api", __name__)
    options = world.options

    @blueprint.get("/<version>/<object_id>")
    def number(version: str, object_id: str) -> Response:
        if not version.startswith("v"):
            abort(404)  # the simulator has other addresses of two words

        def answer() -> Json:
            authorise(world, version, object_id, options.phone_number_id, management=True)
            whole = world.account.number(options.phone_number_id, options.display_phone_number)
            return _chosen(whole, tuple(whole), "WhatsAppBusinessPhoneNumber")

        return _play(world, "number", answer)

    @blueprint.get("/<version>/<object_id>/subscribed_apps")
    def subscribed_apps(version: str, object_id: str) -> Response:
        def answer() -> Json:
            authorise(world, version, object_id, options.account_id, management=True)
            return {"data": world.account.apps()}

        return _play(world, "subscribed_apps", answer)

    @blueprint.get("/<version>/<object_id>/message_templates")
    def message_templates(version: str, object_id: str) -> Response:
        def answer() -> Json:
            authorise(world, version, object_id, options.account_id, management=True)
            asked = {key: request.args[key] for key in ("name", "language", "status") if key in request.args}
            with world.changes:
                known = [template.to_meta() for template in world.templates.all()]
            rows = [row for row in known if _fits(row, asked)]
            limit = int(request.args.get("limit", _PAGE))
            shown = [_chosen(row, _TEMPLATE_DEFAULTS, "WhatsAppMessageTemplate") for row in rows[:limit]]
            return {"data": shown, "paging": {"cursors": {"before": "MAZDZD", "after": "MjQZD"}}}

        return _play(world, "message_templates", answer)

    return blueprint


def create_control(world: World) -> Blueprint:
    """Return the routes under /control that change the account and its templates."""
    blueprint = Blueprint("control_account", __name__)
    handle_errors(blueprint)

    @blueprint.get("/account")
    def account() -> Response:
        return jsonify(world.account.model_dump())

    @blueprint.patch("/account")
    def change_account() -> Response:
        changed = Account.model_validate({**world.account.model_dump(), **json_body()})
        with world.changes:
            world.account = changed
        return jsonify(changed.model_dump())

    @blueprint.patch("/templates/<name>")
    def change_template(name: str) -> Response:
        body = json_body()
        language = str(body.pop("language", "es"))
        with world.changes:
            found = next((t for t in world.templates.all() if (t.name, t.language) == (name, language)), None)
            if found is None:
                raise ControlError(404, "no such template")
            changed = Template.model_validate({**found.model_dump(), **body})
            world.templates.remove(name, language)
            world.templates.add(changed)
        return jsonify(changed.model_dump())

    @blueprint.delete("/templates/<name>")
    def remove_template(name: str) -> tuple[str, int]:
        with world.changes:
            if not world.templates.remove(name, request.args.get("language", "es")):
                raise ControlError(404, "no such template")
        return "", 204

    return blueprint


def _play(world: World, kind: str, answer: Callable[[], Json]) -> Response:
    """Answer a GET, with whatever misfortune was ordered for its kind (never by a fault without a kind)."""
    with world.changes:
        fault = world.faults.take("cloud", set(), {kind}, named_only=True)
    if fault is not None:
        wait(world, fault.delay_s)
        if fault.drop is not None:
            return hang_up()
        if fault.has_error_answer:
            return error_answer(fault)
    try:
        return jsonify(answer())
    except MetaError as error:
        refusal = jsonify(error.to_json())
        refusal.status_code = error.status
        return refusal


def _chosen(row: Json, default: tuple[str, ...], node: str) -> Json:
    """Keep the fields that were asked for; the id always comes along.

    Raises:
        MetaError: 100 for a field that there is not.
    """
    asked = [name.strip() for name in request.args.get("fields", "").split(",") if name.strip()] or list(default)
    if unknown := [name for name in asked if name not in row]:
        raise MetaError(100, f"(#100) Tried accessing nonexisting field ({unknown[0]}) on node type ({node})")
    return {name: row[name] for name in [*asked, "id"]}


def _fits(row: Json, asked: dict[str, str]) -> bool:
    """Meta finds a name by a part of it, too: who asks must look at what comes."""
    return asked.get("name", "") in row["name"] and all(row[key] == asked[key] for key in asked if key != "name")
