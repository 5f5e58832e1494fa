"""POST /reminders/claim: a program that sends reminders itself, such as n8n, asks for each visit before it sends.

It takes the claim that our own reminders take: whoever is first sends, nobody is reminded twice. Opt-outs, consent,
quiet hours and Meta's limit of people hold for it too. Mistakes are `application/problem+json`, as in `webhook.chat`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import redis
from flask import Blueprint, Response, request
from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from shared.identity import canonical_number, patient_id
from shared.messages import ReminderKind
from shared.setting_values import is_quiet_hour, parse_quiet_hours
from shared.settings import Settings
from shared.state import reminders
from webhook.chat import problem, unreadable, without_key

log = logging.getLogger(__name__)

BY = "n8n"  # who claims, in the audit


class ClaimRequest(BaseModel):
    """`consent`: the backend says that the patient agreed; what was agreed in the chat is known here."""

    appointment_id: str = Field(min_length=1, max_length=128)
    start: AwareDatetime
    kind: ReminderKind
    phone: str = Field(max_length=40)
    consent: bool = False
    ref: str = Field(default="", max_length=40)  # such as CC-0417, for the call list


def _now() -> datetime:
    return datetime.now(UTC)


def blueprint(settings: Settings, client: redis.Redis, now: Callable[[], datetime] = _now) -> Blueprint:
    """The route; `now` is replaced in tests."""
    routes = Blueprint("reminders_claim", __name__)
    quiet = parse_quiet_hours(settings.QUIET_HOURS)

    def decide(asked: ClaimRequest, patient: str) -> dict[str, object]:
        """The answer to the caller; the claim is the last thing that is asked for."""
        if reminders.opted_out(client, patient):
            return _no("opted_out")
        if not (asked.consent or reminders.agreed_in_chat(client, patient)):
            return _no("no_consent")
        if is_quiet_hour(now().astimezone(settings.timezone).hour, quiet):
            return _no("quiet_hours")
        # Asked before Meta's limit: whoever is reminded already must not count again each hour.
        if client.exists(reminders.claim_key(asked.appointment_id, asked.start, asked.kind)):
            return _no("already")
        if not reminders.may_reach(client, patient, settings.UNIQUE_USERS_PER_DAY):
            return _no("limit")
        call = {
            "appointment": asked.appointment_id,
            "ref": asked.ref,
            "start": asked.start.astimezone(UTC).isoformat(),
            "reminder": asked.kind.value,
        }
        delivery_id = reminders.claim_elsewhere(client, patient, call, by=BY)
        return {"claimed": True, "why": "claimed", "delivery_id": delivery_id} if delivery_id else _no("already")

    @routes.post("/reminders/claim")
    def claim() -> Response:
        if refused := without_key(settings):
            return refused
        try:
            asked = ClaimRequest.model_validate_json(request.get_data(cache=False))
        except ValidationError as error:
            return unreadable(error)
        number = canonical_number(asked.phone)
        if number is None:
            return problem(422, "unreadable request", "phone is not a phone number.")
        named = patient_id(settings.patient_id_key, number)
        try:
            patient = str(client.get(f"alias:{named}") or named)
            answer = decide(asked, patient)
        except redis.RedisError:
            return problem(503, "state store unavailable", "Try again.", **{"Retry-After": "2"})
        log.info("reminder asked for", extra={"patient": patient, "kind": asked.kind, "why": answer["why"]})
        return Response(json.dumps(answer), mimetype="application/json")

    return routes


def _no(why: str) -> dict[str, object]:
    return {"claimed": False, "why": why}
