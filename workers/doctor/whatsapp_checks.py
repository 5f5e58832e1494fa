"""Meta: token and phone number, whether the account tells us of messages, and the templates of the reminders."""

from __future__ import annotations

import datetime as dt
from functools import partial
from typing import Any

from shared.conversation import Appointment
from shared.messages import ReminderKind
from shared.settings import Settings
from workers.doctor import graph, templates
from workers.doctor.check import Check, failed, off, ok, warning
from workers.doctor.runner import Group
from workers.doctor.templates import WantedTemplate
from workers.reminders import compose

NUMBER, SUBSCRIPTION = "whatsapp number", "webhook subscription"
NUMBER_FIELDS = "display_phone_number,verified_name,quality_rating,code_verification_status,throughput"


def groups(settings: Settings) -> list[Group]:
    """One thread for each thing that is read."""
    found = [Group(NUMBER, partial(check_number, settings)), Group(SUBSCRIPTION, partial(check_subscription, settings))]
    for wanted in wanted_templates(settings):
        found.append(Group(wanted.check_name, partial(check_template, settings, wanted)))
    return found


def wanted_templates(settings: Settings) -> list[WantedTemplate]:
    """What the reminders would send: language, parameters and buttons are those of their own code."""
    visit = Appointment(id="0", ref="", start=dt.datetime.now(dt.UTC), status="scheduled")
    kinds = {"REMINDER_TEMPLATE": ReminderKind.AHEAD, "MISSED_TEMPLATE": ReminderKind.MISSED_1}
    found = []
    for setting, kind in kinds.items():
        sent = compose.template(visit, kind, settings)
        found.append(WantedTemplate(setting, sent.name, sent.language, len(sent.payloads), tuple(sent.parameters)))
    return found


def check_number(settings: Settings) -> list[Check]:
    if lacking := _lacking(settings, "WHATSAPP_PHONE_NUMBER_ID"):
        return [off(NUMBER, f"not checked: {lacking} is not set")]
    answer = graph.get(settings, settings.WHATSAPP_PHONE_NUMBER_ID or "", fields=NUMBER_FIELDS)
    if isinstance(answer, dict):
        return [judge_number(answer)]
    return [graph.explain(NUMBER, answer, "WHATSAPP_PHONE_NUMBER_ID")]


def judge_number(fields: dict[str, Any]) -> Check:
    """The token is valid, as the number can be read."""
    quality, verified = str(fields.get("quality_rating")), str(fields.get("code_verification_status"))
    level = fields.get("throughput")
    throughput = level.get("level") if isinstance(level, dict) else "unknown"
    number, title = fields.get("display_phone_number"), fields.get("verified_name")
    found = f"{number} ({title}), quality {quality}, throughput {throughput}"
    if quality in ("YELLOW", "RED"):
        advice = "patients block or report it: send less unasked; Meta may lower its limit"
        return warning(NUMBER, found, advice)
    if verified == "NOT_VERIFIED":
        return warning(NUMBER, f"{found}, not verified", "verify the number in the WhatsApp Manager")
    return ok(NUMBER, found)


def check_subscription(settings: Settings) -> list[Check]:
    if lacking := _lacking(settings, "WHATSAPP_BUSINESS_ACCOUNT_ID"):
        return [off(SUBSCRIPTION, f"cannot be checked: {lacking} is not set")]
    answer = graph.get(settings, f"{settings.WHATSAPP_BUSINESS_ACCOUNT_ID}/subscribed_apps")
    if isinstance(answer, dict):
        return [judge_subscription(answer.get("data"))]
    return [graph.explain(SUBSCRIPTION, answer, "WHATSAPP_BUSINESS_ACCOUNT_ID")]


def judge_subscription(rows: object) -> Check:
    apps = (
        [row.get("whatsapp_business_api_data") for row in rows if isinstance(row, dict)]
        if isinstance(rows, list)
        else []
    )
    names = [str(app.get("name")) for app in apps if isinstance(app, dict)]
    if not names:
        advice = (
            "subscribe the app: curl -X POST -H 'Authorization: Bearer TOKEN' "
            "https://graph.facebook.com/VERSION/ACCOUNT/subscribed_apps"
        )
        return failed(SUBSCRIPTION, "no app listens to this account: Meta sends no message and no error", advice)
    return ok(SUBSCRIPTION, f"told: {', '.join(names)}")


def check_template(settings: Settings, wanted: WantedTemplate) -> list[Check]:
    name = wanted.check_name
    reminds = settings.REMINDER_HOURS_AHEAD or settings.REMINDER_SAME_DAY_HOURS
    if wanted.setting == "REMINDER_TEMPLATE" and not reminds:
        return [off(name, "reminders are off")]
    if lacking := _lacking(settings, "WHATSAPP_BUSINESS_ACCOUNT_ID"):
        return [off(name, f"cannot be checked: {lacking} is not set")]
    path = f"{settings.WHATSAPP_BUSINESS_ACCOUNT_ID}/message_templates"
    answer = graph.get(settings, path, fields=templates.FIELDS, name=wanted.name, limit="100")
    if isinstance(answer, dict):
        return [templates.judge(wanted, answer.get("data"))]
    return [graph.explain(name, answer, "WHATSAPP_BUSINESS_ACCOUNT_ID")]


def _lacking(settings: Settings, object_id: str) -> str | None:
    """The first setting without which this cannot be asked."""
    return next((name for name in ("WHATSAPP_ACCESS_TOKEN", object_id) if not getattr(settings, name)), None)
